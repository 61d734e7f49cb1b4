import { cp, mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { unavailable } from '../../src/api/errors.ts'
import { askToRejoin, hasLogOnDisk, REJOIN_METHOD } from '../../src/daemon/manager-recovery.ts'
import type { NodeRecord } from '../../src/daemon/node-file.ts'
import { raftClock, raftStorage } from '../../src/daemon/raft-storage.ts'
import { createEntry } from '../../src/raft/entry.ts'
import type { CallContext } from '../../src/rpc/connection.ts'
import { RpcHandlers } from '../../src/rpc/handlers.ts'
import type { RpcPool } from '../../src/rpc/pool.ts'
import {
  ManagerOnDisk,
  poolOf,
  sendRaft,
  tellLaterTerm,
} from '../support/daemon/manager-on-disk.ts'
import { sampleNode, sampleSecret } from '../support/objects.ts'
import { noLog, realClock } from '../support/rpc/cluster-fixture.ts'

const OTHER = { nodeId: 'other', addr: '10.0.0.2:2377' }

t.test('a leader is found through another manager, and asked until it agrees', async (t) => {
  let refusals = 2
  const asked: string[] = []
  const pool = poolOf({
    'follower:1': () => {
      asked.push('follower')
      return { kind: 'redirect', nodeId: 'l', addr: 'leader:1' }
    },
    'leader:1': () => {
      asked.push('leader')
      if (refusals-- > 0) throw unavailable('a membership change is under way')
      return { kind: 'done' }
    },
  })
  const clock = {
    nowMs: () => 0,
    schedule(_ms: number, run: () => void) {
      setImmediate(run)
      return () => {}
    },
  }
  const managers = () => [
    { nodeId: 'x', addr: 'away:1' },
    { nodeId: 'f', addr: 'follower:1' },
  ]
  const deps = { pool, clock, log: noLog, managers }
  t.equal(await askToRejoin(deps, new AbortController().signal), true)
  t.strictSame(asked, ['follower', 'leader', 'follower', 'leader', 'follower', 'leader'])
  const over = new AbortController()
  let looks = 0
  const nobody = () => {
    looks += 1
    if (looks === 3) over.abort()
    return []
  }
  t.equal(await askToRejoin({ ...deps, managers: nobody }, over.signal), false, 'the daemon ends')
  t.equal(looks, 3)
})

t.test('when it is over nobody is waited for, and nobody else is asked', async (t) => {
  const over = new AbortController()
  const asked: string[] = []
  // One connection is never made, and one manager never answers.
  const pools: Pick<RpcPool, 'get'>[] = [
    { get: () => new Promise(() => {}) },
    poolOf({
      'silent:1': (signal) =>
        new Promise((_, reject) => {
          signal?.addEventListener('abort', () => reject(unavailable('given up')))
        }),
    }),
  ]
  const managers = () => ['silent:1', 'next:1'].map((addr) => ({ nodeId: addr, addr }))
  const asking = pools.map((pool) => {
    const get = (addr: string) => {
      asked.push(addr)
      return pool.get(addr)
    }
    return askToRejoin({ pool: { get }, clock: realClock, log: noLog, managers }, over.signal)
  })
  await new Promise(setImmediate)
  over.abort()
  t.strictSame(await Promise.all(asking), [false, false])
  t.strictSame(asked, ['silent:1', 'silent:1'])
})

/** A manager that led a cluster of one, and has stopped. */
const managerOnDisk = async (t: Test) => {
  const manager = await ManagerOnDisk.create(t)
  const first = await manager.bootstrap()
  await first.stop()
  const { dataDir } = manager
  const damageLog = async () => {
    const [name = ''] = (await readdir(join(dataDir, 'raft/wal'))).filter((n) => /wal$/.test(n))
    const file = await open(join(dataDir, 'raft/wal', name), 'r+')
    await file.write(Buffer.from([255, 0, 255, 0]), 0, 4, 600)
    await file.close()
  }
  const knows = (managers: NodeRecord['managers']) => {
    manager.record = { ...manager.record, managers }
  }
  const [role, record] = [() => manager.role(), () => manager.record]
  return { manager, dataDir, role, damageLog, knows, record, fatal: manager.fatal }
}

t.test('the only manager leaves a damaged log where it is, and says what to do', async (t) => {
  const { dataDir, role, damageLog, record, fatal } = await managerOnDisk(t)
  t.equal(record().hasLog, true, 'noted before anything was promised')
  await cp(join(dataDir, 'raft'), join(dataDir, 'copy'), { recursive: true })
  await damageLog()
  const damaged = role()
  for (const _attempt of [1, 2]) {
    await t.rejects(damaged.start(undefined), /damaged at byte 512.*swarmctl restore FILE/)
  }
  t.equal(damaged.isActive, false)
  await rm(join(dataDir, 'raft'), { recursive: true })
  await t.rejects(role().start(undefined), /log of this manager is gone.*swarmctl restore FILE/)
  await cp(join(dataDir, 'copy'), join(dataDir, 'raft'), { recursive: true })
  const whole = role()
  await whole.start(undefined)
  t.equal(whole.damage, '', 'a whole one starts')
  await whole.stop()
  t.strictSame(fatal, [])
})

t.test(
  'what is whole and can’t be read is left as it is, and one line says what to do',
  async (t) => {
    const { manager, dataDir, role, knows, fatal } = await managerOnDisk(t)
    // Another version could read it: it is no reason to begin anew, although others could help.
    knows([OTHER])
    const raft = join(dataDir, 'raft')
    await cp(raft, join(dataDir, 'copy'), { recursive: true })
    const dataKey = manager.keys.dataKey
    const clock = raftClock(realClock)
    const open = () => raftStorage(dataDir, { clock, dataKey, onTrouble: () => {} })
    const spoilState = async (key: string, value: Uint8Array) => {
      const { state } = open()
      const meta = await state.open()
      await state.load()
      state.write(meta!, [{ key, value }])
      await state.close()
    }
    const spoilLog = async (kind: 'command' | 'membership', data: Uint8Array) => {
      const { wal, state } = open()
      const { entries, hardState } = await wal.open()
      const { index, term } = entries.at(-1)!
      const entry = createEntry({ index: index + 1, term }, kind, data)
      await wal.append({ hardState, reset: null, entries: [entry] })
      await wal.close()
      // LevelDB has opened itself.
      await state.close()
    }
    const bytes = (...values: number[]) => new Uint8Array(values)
    /** Format, stamp, and msgpack of a number. */
    const noObject = new Uint8Array(26).fill(1)
    const cases: [what: RegExp, spoil: () => Promise<void>][] = [
      [
        /^the state is whole, .*\(secret\/s: it is no object\)/,
        () => spoilState('secret/s', noObject),
      ],
      [/^the state is whole, .*\(secret\/s: /, () => spoilState('secret/s', bytes(1, 7))],
      [/^the state is whole, .*\(volume\/v: .*no kind/, () => spoilState('volume/v', noObject)],
      [
        /^the state is whole, .*format 9 is a newer .*this one reads 1/,
        () => spoilState('node/n', bytes(9)),
      ],
      [/^entry \d+ of the log is whole, .*\(a change: /, () => spoilLog('command', bytes(1, 0, 0))],
      [
        /^entry \d+ of the log .*its header is none/,
        () => spoilLog('command', bytes(1, 0, 0, 0, 1, 7)),
      ],
      [/^entry \d+ of the log .*format version 9/, () => spoilLog('membership', bytes(9))],
    ]
    const advice = /: run the version that wrote it, or run "swarmctl leave --force"[^\n]*$/
    for (const [what, spoil] of cases) {
      await spoil()
      const spoilt = role()
      for (const _attempt of [1, 2]) {
        const error = await spoilt.start(undefined).catch((thrown: Error) => thrown)
        t.match(error?.message, what)
        t.match(error?.message, advice)
        t.notMatch(error?.message, '\n')
      }
      t.equal(spoilt.isActive, false)
      await rm(raft, { recursive: true })
      await cp(join(dataDir, 'copy'), raft, { recursive: true })
    }
    t.notOk((await readdir(dataDir)).includes('raft-damaged'))
    t.strictSame(fatal, [])
  },
)

t.test('one of several puts it aside, takes no part, and waits to be let in', async (t) => {
  const { dataDir, role, damageLog, knows, fatal } = await managerOnDisk(t)
  knows([OTHER])
  await damageLog()
  const damaged = role()
  await damaged.start(undefined)
  t.match(damaged.damage, /does not vote and takes its state anew from the other managers/)
  t.equal(damaged.runtime, undefined, 'no vote, no acknowledgement')
  t.equal(damaged.isActive, true)
  t.ok((await readdir(join(dataDir, 'raft-damaged'))).includes('wal'))
  t.equal(await hasLogOnDisk(dataDir), false)
  await damaged.stop()
  // The daemon was restarted meanwhile: the empty directory must not be taken for a new manager's.
  const again = role()
  await again.start(undefined)
  t.ok((await readdir(join(dataDir, 'raft-damaged'))).includes('wal'), 'it is kept')
  t.match(again.damage, /gone from its disk/)
  t.equal(again.runtime, undefined)
  await again.end()
  t.equal(again.damage, '', 'demoted: it need not be a manager any more')
  t.strictSame(fatal, [])
})

t.test('a damaged table of the state is put aside, and it begins anew', async (t) => {
  const { manager, dataDir, role, knows, fatal } = await managerOnDisk(t)
  knows([OTHER])
  // LevelDB makes a table of what is in its log when it is opened again.
  const whole = role()
  await whole.start(undefined)
  await whole.stop()
  const state = join(dataDir, 'raft/state')
  const tables = (await readdir(state)).filter((name) => name.endsWith('.ldb'))
  t.ok(tables.length > 0)
  for (const name of tables) {
    const file = await open(join(state, name), 'r+')
    await file.write(Buffer.alloc(100), 0, 100, 0)
    await file.close()
  }
  const pool = poolOf({ [OTHER.addr]: () => ({ kind: 'done' }) })
  const damaged = manager.role(undefined, pool)
  await damaged.start(undefined)
  t.match(damaged.damage, /^the disk of this manager is damaged \(the state is damaged\): /)
  while (!damaged.runtime) await new Promise((resolve) => setTimeout(resolve, 5))
  t.ok((await readdir(join(dataDir, 'raft-damaged'))).includes('state'))
  await damaged.stop()
  t.strictSame(fatal, [])
})

for (const gone of ['raft', 'raft/wal']) {
  t.test(`${gone} is gone: it begins anew, once it is let in`, async (t) => {
    const { manager, dataDir, knows, fatal } = await managerOnDisk(t)
    knows([OTHER])
    await rm(join(dataDir, gone), { recursive: true })
    const role = manager.role(undefined, poolOf({ [OTHER.addr]: () => ({ kind: 'done' }) }))
    await role.start(undefined)
    while (!role.runtime) await new Promise((resolve) => setTimeout(resolve, 5))
    t.match(role.damage, /does not vote/, 'until the others have let it in')
    const left = (await readdir(dataDir)).includes('raft-damaged')
    t.equal(left, gone === 'raft/wal', 'the state that has no log is put aside')
    await role.stop()
    // Its own new log, and nothing beside it that doesn't fit.
    const again = manager.role()
    await again.start(undefined)
    t.equal(again.damage, '')
    await again.stop()
    t.strictSame(fatal, [])
  })
}

t.test(
  'an empty folder (a disk of its own that was replaced) takes no place of what was put aside',
  async (t) => {
    const { manager, dataDir, knows, fatal } = await managerOnDisk(t)
    knows([OTHER])
    const [raft, aside] = [join(dataDir, 'raft'), join(dataDir, 'raft-damaged')]
    await rename(raft, aside)
    await mkdir(join(raft, 'lost+found'), { recursive: true })
    const role = manager.role(undefined, poolOf({ [OTHER.addr]: () => ({ kind: 'done' }) }))
    await role.start(undefined)
    while (!role.runtime) await new Promise((resolve) => setTimeout(resolve, 5))
    t.ok((await readdir(raft)).includes('lost+found'))
    t.ok((await readdir(aside)).includes('state'))
    await role.stop()
    t.strictSame(fatal, [])
  },
)

t.test('what is damaged once more while it begins anew is put aside as well', async (t) => {
  const { manager, dataDir, knows, fatal } = await managerOnDisk(t)
  knows([OTHER])
  const [raft, copy] = [join(dataDir, 'raft'), join(dataDir, 'copy')]
  await cp(raft, copy, { recursive: true })
  await rm(raft, { recursive: true })
  const comesBack = async () => {
    await cp(join(copy, 'state'), join(raft, 'state'), { recursive: true })
    return { kind: 'done' }
  }
  const role = manager.role(undefined, poolOf({ [OTHER.addr]: comesBack }))
  await role.start(undefined)
  while (!role.runtime) await new Promise((resolve) => setTimeout(resolve, 5))
  t.ok((await readdir(join(dataDir, 'raft-damaged'))).includes('state'))
  await role.stop()
  t.strictSame(fatal, [])
})

t.test('a manager that waits to be let in ends at once', async (t) => {
  const { manager, dataDir, knows, fatal } = await managerOnDisk(t)
  knows([OTHER])
  await rm(join(dataDir, 'raft'), { recursive: true })
  const asked = Promise.withResolvers<void>()
  const silent = (signal?: AbortSignal) =>
    new Promise((_, reject) => {
      asked.resolve()
      signal?.addEventListener('abort', () => reject(unavailable('given up')))
    })
  const role = manager.role(undefined, poolOf({ [OTHER.addr]: silent }))
  await role.start(undefined)
  await asked.promise
  await role.stop()
  t.equal(role.isActive, false)
  t.strictSame(fatal, [])
})

t.test('it ends while it begins anew: nothing of it runs on', async (t) => {
  const { manager, dataDir, knows, fatal } = await managerOnDisk(t)
  knows([OTHER])
  await rm(join(dataDir, 'raft'), { recursive: true })
  const handlers = new RpcHandlers()
  let stopping: Promise<void> | undefined
  const pool = poolOf({
    [OTHER.addr]: () => {
      stopping = role.stop()
      return { kind: 'done' }
    },
  })
  const role = manager.role(handlers, pool)
  await role.start(undefined)
  while (!stopping) await new Promise(setImmediate)
  await stopping
  const peer = { nodeId: 'other', role: 'manager', clusterId: '' } as const
  t.throws(() => handlers.find('notify', 'raft.message', peer), /not served/)
  t.equal(role.runtime, undefined)
  t.strictSame(fatal, [])
})

t.test('a disk that refuses the new log is tried again', async (t) => {
  const { manager, dataDir, knows, fatal } = await managerOnDisk(t)
  knows([OTHER])
  const raft = join(dataDir, 'raft')
  await rm(raft, { recursive: true })
  let isAnswered = false
  const pool = poolOf({
    [OTHER.addr]: async () => {
      await writeFile(raft, 'in the way')
      isAnswered = true
      return { kind: 'done' }
    },
  })
  const role = manager.role(undefined, pool)
  await role.start(undefined)
  while (!isAnswered) await new Promise(setImmediate)
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.equal(role.runtime, undefined)
  await rm(raft)
  while (!role.runtime) await new Promise((resolve) => setTimeout(resolve, 20))
  t.match(role.damage, /does not vote/, 'until the others have let it in')
  await role.stop()
  t.strictSame(fatal, [], 'no reason to end the daemon')
})

t.test('only who leads for certain says that a member is removed', async (t) => {
  const manager = await ManagerOnDisk.create(t)
  const handlers = new RpcHandlers()
  const role = await manager.bootstrap(handlers)
  const peer = { nodeId: 'other', role: 'manager', clusterId: '' } as const
  const { handler } = handlers.find('request', REJOIN_METHOD, peer)
  const ask = () => handler({}, { peer } as CallContext)
  t.strictSame(await ask(), { kind: 'done' }, 'it is no member')
  tellLaterTerm(role, handlers, 'other')
  t.equal(role.runtime?.isLeader, true, 'it does not know yet')
  const seen = await ask().then(
    () => role.runtime?.raftStatus().role,
    ({ code }) => code,
  )
  t.match(seen, /leader|UNAVAILABLE/)
  await role.stop()
})

t.test(
  "a demoted manager's certificate moves no leader, until it is a manager again",
  async (t) => {
    const manager = await ManagerOnDisk.create(t)
    const handlers = new RpcHandlers()
    const role = await manager.bootstrap(handlers)
    await role.runtime?.store.update((tx) => tx.put('node', sampleNode('old', 2)))
    const { id: to = '', term = 0 } = role.runtime?.raftStatus() ?? {}
    const [from, later] = ['old', { term: term + 5, lastIndex: 1000, lastTerm: term + 4 }]
    const isMoved = async () => {
      await new Promise((resolve) => setTimeout(resolve, 50))
      return role.runtime?.raftStatus().term !== term || !role.runtime.isLeader
    }
    const vote = { kind: 'vote', from, to, ...later, force: true } as const
    const position = { term: later.term, prevIndex: 1, prevTerm: 1, commit: 1 }
    const append = { kind: 'append', from, to, ...position, entries: [] } as const
    sendRaft(handlers, vote)
    sendRaft(handlers, append)
    tellLaterTerm(role, handlers, from)
    t.equal(await isMoved(), false)
    const answers = sendRaft(handlers, { kind: 'pre-vote', from, to, ...later })
    t.equal(await isMoved(), false)
    t.strictSame(answers, [], 'a leader in office has nothing to say to who was no member')
    const managersAsOf = (role.runtime?.store.view().index ?? 0) + 1
    const managers = [{ nodeId: from, addr: OTHER.addr }]
    manager.record = { ...manager.record, managers, managersAsOf }
    sendRaft(handlers, vote)
    t.equal(await isMoved(), true, 'the leader told of it: this one may lag behind')
    await role.stop()
  },
)

t.test('who watches the state is told when the manager ends', async (t) => {
  const manager = await ManagerOnDisk.create(t)
  const role = await manager.bootstrap()
  const { runtime } = role
  const told: string[] = []
  const watch = (name: string) =>
    runtime?.watch(
      (changes) => {
        // The leader's own loops write as well.
        if (changes.some(({ kind }) => kind === 'secret')) told.push(`${name} change`)
      },
      () => told.push(`${name} over`),
    )
  const write = (name: string) =>
    runtime?.store.update((tx) => tx.put('secret', sampleSecret(name.padEnd(25, '0'), name)))
  const unwatch = watch('goes')
  watch('stays')
  await write('a')
  unwatch?.()
  await write('b')
  await role.stop()
  t.strictSame(told, ['goes change', 'stays change', 'stays change', 'stays over'])
})
