import t from 'tap'
import { nodesByName, untilRunning } from '../support/lab/api.ts'
import { formCluster, joinHost } from '../support/lab/cluster.ts'
import { eventually } from '../support/lab/eventually.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'

// Day 2 of a cluster: locked managers, a lost majority, damaged disks, backups, changed addresses.

const CREATE = ['service', 'create', '--quiet', '--no-resolve-image']

/** A command that must fail; returns its one line. */
const refused = async (host: LabHost, args: string[], input?: string): Promise<string> => {
  const result = await host.swarmctl(args, {
    check: false,
    timeoutMs: 60_000,
    ...(input !== undefined && { input }),
  })
  if (result.code === 0) throw new Error(`${args.join(' ')} was not refused: ${result.stdout}`)
  return result.stderr.trim()
}

const localState = async (host: LabHost): Promise<string> =>
  (await host.dockerViaSwarmctl(['info', '--format', '{{.Swarm.LocalNodeState}}'])).stdout.trim()

/** Also while the Engine is down. */
const nodeState = async (host: LabHost): Promise<string> => {
  const answer = await host.apiRequest('/info')
  return (answer.json() as { Swarm: { LocalNodeState: string } }).Swarm.LocalNodeState
}

const untilState = (host: LabHost, state: string): Promise<unknown> =>
  eventually(async () => (await localState(host)) === state, { what: `${host.name} ${state}` })

const untilReachable = (at: LabHost, names: readonly string[]): Promise<unknown> =>
  eventually(
    async () => {
      const nodes = await nodesByName(at)
      return names.every((name) => nodes.get(name)?.ManagerStatus?.Reachability === 'reachable')
    },
    { what: `${names.join(', ')} reachable managers`, timeoutMs: 60_000 },
  )

const restart = async (host: LabHost): Promise<void> => {
  await host.kill9Daemon()
  await host.spawnDaemon([])
}

labTest(t, 'managers lock, and a survivor goes on alone', { hosts: 4 }, async (t, lab) => {
  const [h1, h2, h3, h4] = lab.hosts as [LabHost, LabHost, LabHost, LabHost]
  await formCluster(lab, { managers: 3, workers: 1, initArgs: ['--autolock'] })
  const keyOf = async (host: LabHost) => (await host.swarmctl(['unlock-key', '-q'])).stdout.trim()

  await t.test('a restarted manager is locked until it gets the key', async (t) => {
    const key = await keyOf(h2)
    t.match(key, /^SWMKEY-1-/)
    await untilReachable(h1, ['h1', 'h2', 'h3'])
    for (const host of [h1, h2, h3]) {
      await eventually(
        async () =>
          (await host.exec('grep', ['-c', 'sealed', `${host.dataDir}/data-key.json`])).stdout,
        { what: `the key of ${host.name} is sealed` },
      )
      const plain = ['-rlE', 'PRIVATE KEY', host.dataDir]
      t.equal((await host.exec('grep', plain, { check: false })).stdout, '', 'no key is plain')
    }
    await restart(h2)
    await untilState(h2, 'locked')
    t.match(await refused(h2, ['node', 'ls']), /needs to be unlocked/)
    t.match(await refused(h2, ['leave']), /locked.*--force/)
    t.match(await refused(h2, ['unlock'], `SWMKEY-1-${'A'.repeat(43)}\n`), /invalid key/)
    const nodes = await eventually(
      async () => {
        const all = await nodesByName(h1)
        return all.get('h2')?.ManagerStatus?.Reachability === 'unreachable' ? all : undefined
      },
      { what: 'the others see that it is away' },
    )
    t.equal(nodes.get('h2')?.Spec.Role, 'manager')
    await h2.swarmctl(['unlock'], { input: `${key}\n` })
    t.equal(await localState(h2), 'active')
    await untilReachable(h1, ['h2'])
    t.match(await refused(h2, ['unlock'], `${key}\n`), /not locked/)
  })

  await t.test('the docker CLI rotates, shows and gives the key; off means off', async (t) => {
    const old = await keyOf(h1)
    const docker = (args: string[], input?: string) =>
      h3.dockerViaSwarmctl(['swarm', ...args], input === undefined ? {} : { input })
    const rotated = (await docker(['unlock-key', '-q', '--rotate'])).stdout.trim()
    t.not(rotated, old)
    t.equal((await docker(['unlock-key', '-q'])).stdout.trim(), rotated)
    await eventually(
      async () => {
        await restart(h3)
        await untilState(h3, 'locked')
        return (await refused(h3, ['unlock'], `${old}\n`)).includes('invalid key')
      },
      { what: 'the old key opens nothing any more' },
    )
    await docker(['unlock'], `${rotated}\n`)
    await untilReachable(h1, ['h3'])
    await h1.swarmctl(['swarm', 'update', '--autolock=false'])
    await eventually(
      async () =>
        (await h3.exec('grep', ['-c', 'plain', `${h3.dataDir}/data-key.json`], { check: false }))
          .code === 0,
      { what: 'the key is plain again' },
    )
    await restart(h3)
    await untilReachable(h1, ['h3'])
    t.match(await refused(h1, ['unlock-key']), /no unlock key is set/)
  })

  await t.test(
    'a survivor of a lost majority keeps all state and refuses the others',
    async (t) => {
      await h1.swarmctl([...CREATE, '--name', 'web', '--replicas', '2', 'swarmctl-test:1'])
      await h1.swarmctl(['secret', 'create', 'kept', '-'], { input: 'x' })
      await untilRunning(h1, 'web', 2)
      const before = {
        cluster: ((await h1.apiRequest('/swarm')).json() as { ID: string }).ID,
        token: (await h1.swarmctl(['join-token', '-q', 'worker'])).stdout,
        worker: (await nodesByName(h1)).get('h4')?.ID,
      }
      await h1.kill9Daemon()
      await h2.kill9Daemon()
      await eventually(async () => (await h3.apiRequest('/nodes')).status >= 500, {
        what: 'no leader',
      })
      const init = ['swarm', 'init', '--force-new-cluster']
      t.match((await h3.dockerViaSwarmctl(init, { timeoutMs: 60_000 })).stdout, /now a manager/)
      const nodes = await nodesByName(h3)
      t.strictSame([...nodes.keys()].sort(), ['h3', 'h4'])
      t.equal(nodes.get('h4')?.ID, before.worker)
      t.equal(((await h3.apiRequest('/swarm')).json() as { ID: string }).ID, before.cluster)
      t.equal((await h3.swarmctl(['join-token', '-q', 'worker'])).stdout, before.token)
      t.match((await h3.swarmctl(['secret', 'ls'])).stdout, /kept/)
      await untilRunning(h3, 'web', 2, { on: ['h3', 'h4'] })
      await h3.swarmctl(['service', 'scale', '-q', 'web=3'])
      await untilRunning(h3, 'web', 3, { on: ['h3', 'h4'] })

      await h1.spawnDaemon([])
      await h2.spawnDaemon([])
      // Those two are a majority of the old members.
      await eventually(async () => /removed/.test(h1.daemon?.log() ?? ''), {
        what: 'h1 is told that it is removed',
      })
      t.strictSame([...(await nodesByName(h3)).keys()].sort(), ['h3', 'h4'])
      await restart(h3)
      await eventually(async () => (await nodesByName(h3)).size === 2, { what: 'it stays so' })
      await h1.swarmctl(['leave', '--force'], { timeoutMs: 60_000 })
      const token = (await h3.swarmctl(['join-token', '-q', 'manager'])).stdout.trim()
      await h1.swarmctl(['join', '--token', token, `${h3.ip}:2377`], { timeoutMs: 60_000 })
      await untilReachable(h3, ['h1', 'h3'])
      t.match(await refused(h4, ['init', '--force-new-cluster']), /not a swarm manager/)
    },
  )
})

/** The machine gets another address, as with a new DHCP lease. */
const moveTo = async (host: LabHost, address: string): Promise<void> => {
  const ip = (...args: string[]) => host.exec('ip', args)
  const shown = (await ip('-4', '-o', 'addr', 'show', 'dev', 'eth0')).stdout
  const [old, bits] = (/inet (\S+)\/(\d+)/.exec(shown) ?? []).slice(1)
  const gateway = /default via (\S+)/.exec((await ip('route')).stdout)?.[1]
  await ip('addr', 'del', `${old}/${bits}`, 'dev', 'eth0')
  await ip('addr', 'add', `${address}/${bits}`, 'dev', 'eth0')
  if (gateway) await ip('route', 'replace', 'default', 'via', gateway)
}

/** Flips bytes of a file on a host, as a bad disk does. */
const flip = async (host: LabHost, path: string, offset: number): Promise<void> => {
  const [output, seek] = [`of=${path}`, `seek=${offset}`]
  await host.exec('dd', [output, seek, 'bs=1', 'count=8', 'conv=notrunc', 'if=/dev/urandom'])
}

/** Damages the log of a manager that is down, within its first record. */
const damageLog = async (host: LabHost): Promise<void> => {
  const wal = `${host.dataDir}/raft/wal`
  const segments = (await host.exec('ls', [wal])).stdout
  const first = segments.split('\n').find((name) => name.endsWith('.wal'))
  await flip(host, `${wal}/${first}`, 512 + 70)
}

const untilOthersVote = (at: LabHost, name: string): Promise<unknown> =>
  eventually(
    async () => {
      const answer = await at.apiRequest('/nodes')
      if (answer.status !== 200) return false
      return (await nodesByName(at)).get(name)?.ManagerStatus?.Reachability === 'reachable'
    },
    { what: `${name} serves again`, timeoutMs: 60_000 },
  )

/** Everything that a restored swarm must have as it was. */
const identity = async (host: LabHost) => {
  const ids = async (path: string) =>
    ((await host.apiRequest(path)).json() as { ID: string }[]).map(({ ID }) => ID).sort()
  const swarm = (await host.apiRequest('/swarm')).json() as { ID: string; JoinTokens: object }
  return {
    cluster: swarm.ID,
    tokens: swarm.JoinTokens,
    services: await ids('/services'),
    secrets: await ids('/secrets'),
    configs: await ids('/configs'),
    networks: await ids('/networks'),
  }
}

/** Asks a manager's cluster port for the services, as managers forward such requests, with a node's stored credentials. */
const ASK = `
  const { request } = require('node:https')
  const { keyPem: key, certPem: cert, rootCAPem: ca } = JSON.parse(require('node:fs').readFileSync(process.argv[1]))
  const options = { host: process.argv[2], port: 2377, path: '/services', key, cert, ca, checkServerIdentity() {} }
  request(options, (answer) => { console.log(answer.statusCode); process.exit() }).end()`

const askAs = async (host: LabHost, credentials: string, at: LabHost): Promise<string> =>
  (await host.exec(process.execPath, ['-e', ASK, credentials, at.ip])).stdout.trim()

/** Creates `live-0`, `live-1` … one after the other, until it is told to stop. */
const writeConfigs = (host: LabHost) => {
  let isOver = false
  let count = 0
  const run = async (): Promise<void> => {
    for (let n = 0; !isOver; n += 1) {
      const body = { Name: `live-${n}`, Labels: {}, Data: 'eA==' }
      const answer = await host.apiRequest('/configs/create', { method: 'POST', body })
      if (answer.status !== 201) throw new Error(answer.text)
      count += 1
    }
  }
  const running = run()
  const stop = async (): Promise<void> => {
    isOver = true
    await running
  }
  return { acknowledged: () => count, stop }
}

/** The numbers of those that are there, in order. */
const liveConfigs = async (host: LabHost): Promise<number[]> => {
  const configs = (await host.apiRequest('/configs')).json() as { Spec: { Name: string } }[]
  return configs
    .flatMap(({ Spec }) => /^live-(\d+)$/.exec(Spec.Name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b)
}

labTest(t, 'damaged disks, backups, new addresses', { hosts: 4 }, async (t, lab) => {
  const [h1, h2, h3, h4] = lab.hosts as [LabHost, LabHost, LabHost, LabHost]
  await formCluster(lab, { managers: 3, workers: 1 })
  await h1.swarmctl(['network', 'create', 'back'])
  await h1.swarmctl(['secret', 'create', 'password', '-'], { input: 'open sesame' })
  await h1.swarmctl(['config', 'create', 'motd', '-'], { input: 'hello' })
  await h1.swarmctl([
    ...[...CREATE, '--name', 'web', '--replicas', '1', '--constraint', 'node.hostname==h4'],
    ...['--network', 'back', '--secret', 'password', 'swarmctl-test:1'],
  ])
  await untilRunning(h1, 'web', 1)
  const started = async (): Promise<string> => {
    const id = (await h4.docker(['ps', '-q', '--filter', 'name=web'])).stdout.trim()
    return (await h4.docker(['inspect', '-f', '{{.State.StartedAt}} {{.Id}}', id])).stdout
  }

  await t.test('a damaged log: the manager says so, does not vote, and comes back', async (t) => {
    await untilReachable(h1, ['h1', 'h2', 'h3'])
    await h3.kill9Daemon()
    await damageLog(h3)
    await h3.spawnDaemon([])
    await untilOthersVote(h3, 'h3')
    const log = h3.daemon?.log() ?? ''
    t.equal(log.match(/does not vote and takes its state anew/g)?.length, 1, 'said once')
    t.match(log, /is damaged at byte 512/)
    t.match(log, /has the state again and votes/)
    t.match((await h3.exec('ls', [`${h3.dataDir}/raft-damaged`])).stdout, /wal/, 'kept aside')
    t.match(await identity(h3), await identity(h1))
    await h3.swarmctl(['config', 'create', 'after-damage', '-'], { input: 'x' })
  })

  await t.test('a state that lost its index, and a log that is gone', async () => {
    await h2.kill9Daemon()
    await h2.exec('sh', ['-c', `rm ${h2.dataDir}/raft/state/MANIFEST-*`])
    await h2.spawnDaemon([])
    await untilOthersVote(h2, 'h2')
    await h2.kill9Daemon()
    await h2.exec('rm', ['-rf', `${h2.dataDir}/raft`])
    await h2.spawnDaemon([])
    await untilOthersVote(h2, 'h2')
    await untilReachable(h1, ['h1', 'h2', 'h3'])
  })

  await t.test('a demoted manager has no rights by its old certificate', async (t) => {
    const old = `${h2.dir}/old-credentials.json`
    await h2.exec('cp', [`${h2.dataDir}/credentials.json`, old])
    t.equal(await askAs(h2, old, h1), '200')
    await h1.swarmctl(['node', 'demote', 'h2'])
    await eventually(async () => (await nodesByName(h1)).get('h2')?.ManagerStatus === undefined, {
      what: 'h2 no manager',
    })
    for (const manager of [h1, h3]) {
      await eventually(async () => (await askAs(h2, old, manager)) === '403', {
        what: `${manager.name} refuses the old certificate`,
      })
    }
    await h1.swarmctl(['node', 'promote', 'h2'])
    await untilReachable(h1, ['h2'])
    await untilOthersVote(h2, 'h2')
    t.equal(await askAs(h2, `${h2.dataDir}/credentials.json`, h1), '200')
  })

  await t.test('a manager that comes back under another address is found again', async (t) => {
    const next = h2.ip.replace(/\d+$/, (octet) => String(Number(octet) + 100))
    await h2.kill9Daemon()
    await moveTo(h2, next)
    await h2.spawnDaemon([])
    await untilOthersVote(h2, 'h2')
    const node = await eventually(
      async () => {
        const found = (await nodesByName(h1)).get('h2')
        return found?.ManagerStatus?.Addr === `${next}:2377` ? found : undefined
      },
      { what: 'its new address' },
    )
    t.equal(node.ManagerStatus?.Reachability, 'reachable')
    // It has to be found by who starts now, too, and be able to lead.
    await h3.kill9Daemon()
    await h3.spawnDaemon([])
    await untilReachable(h2, ['h1', 'h2', 'h3'])
  })

  const file = `${h1.dir}/swarm.backup`
  const secret = `${h1.dir}/passphrase`
  const restoreArgs = (host: LabHost) => [
    ...['restore', file, '--passphrase-file', secret, '--advertise-addr', host.ip],
    ...host.daemonFlags(),
  ]
  let before: Awaited<ReturnType<typeof identity>>
  let running = ''
  let writtenBefore = 0

  await t.test('a backup of a swarm that works on', async (t) => {
    await h1.exec('sh', ['-c', `echo 'correct horse' > ${secret}`])
    before = await identity(h1)
    running = await started()
    const writer = writeConfigs(h1)
    await eventually(async () => writer.acknowledged() > 5, { what: 'writes before the backup' })
    const acknowledged = writer.acknowledged()
    const made = await h2.swarmctl(['backup', file, '--passphrase-file', secret])
    await writer.stop()
    writtenBefore = acknowledged
    t.match(made.stdout, new RegExp(`Backup of swarm ${before.cluster} as of change \\d+`))
    t.equal((await h1.exec('stat', ['-c', '%a', file])).stdout.trim(), '600')
    t.equal((await h1.exec('grep', ['-c', 'sesame', file], { check: false })).stdout.trim(), '0')
    t.match(await refused(h4, ['backup', file, '--passphrase-file', secret]), /not a swarm manager/)
    t.match(await refused(h1, restoreArgs(h1)), /already part of a swarm/)
    await h1.swarmctl(['config', 'create', 'after-the-backup', '-'], { input: 'x' })
  })

  await t.test('restored on an empty machine: the same swarm, the worker untouched', async (t) => {
    for (const host of [h1, h2, h3]) await host.kill9Daemon()
    await h3.exec('rm', ['-rf', h3.dataDir])
    await h3.spawnDaemon([])
    const wrong = `${h1.dir}/wrong`
    await h1.exec('sh', ['-c', `echo no > ${wrong}; head -c 900 ${file} > ${file}.cut`])
    const asked = (path: string, pass: string) =>
      refused(h3, ['restore', path, '--passphrase-file', pass, ...h3.daemonFlags()])
    t.match(await asked(file, wrong), /^swarmctl: the passphrase is not the one of this backup$/)
    t.match(await asked(`${file}.cut`, secret), /^swarmctl: the backup is cut off/)
    t.equal(await localState(h3), 'inactive', 'nothing changed')
    const made = await h3.swarmctl(restoreArgs(h3), { timeoutMs: 60_000 })
    t.match(made.stdout, new RegExp(`Swarm ${before.cluster} is restored`))
    const restored = await identity(h3)
    t.strictSame({ ...restored, configs: [] }, { ...before, configs: [] })
    const missing = before.configs.filter((id) => !restored.configs.includes(id))
    t.strictSame(missing, [])
    const live = await liveConfigs(h3)
    t.strictSame(
      live,
      Array.from({ length: live.length }, (_, n) => n),
      'all up to one change, nothing after it',
    )
    t.ok(live.length >= writtenBefore, `${live.length} of at least ${writtenBefore}`)
    await eventually(async () => (await nodesByName(h3)).get('h4')?.Status.State === 'ready', {
      what: 'the old worker',
    })
    await untilRunning(h3, 'web', 1)
    t.equal(await started(), running, 'its container never stopped')
    await h3.swarmctl(['service', 'update', '-q', '--label-add', 'x=1', 'web'])
  })

  await t.test('leaving while the Engine is down loses no container', async (t) => {
    const old = (await nodesByName(h3)).get('h4')?.ID as string
    await h4.killEngine()
    t.match(await refused(h4, ['leave']), /Start the Engine and leave again; with --force/)
    t.equal(await nodeState(h4), 'active', 'nothing changed')
    await h4.swarmctl(['leave', '--force'], { timeoutMs: 60_000 })
    t.equal(await nodeState(h4), 'inactive')
    await h4.startEngine()
    const kept = async () => (await h4.docker(['ps', '-aq'])).stdout.trim()
    await eventually(async () => (await kept()) === '', { what: 'its containers are removed' })
    await h3.swarmctl(['node', 'rm', '--force', old])
    const token = (await h3.swarmctl(['join-token', '-q', 'worker'])).stdout.trim()
    await joinHost(h4, h3, token)
    await untilRunning(h3, 'web', 1)
  })

  await t.test('the only manager moves: its workers are told', async () => {
    const next = h3.ip.replace(/\d+$/, (octet) => String(Number(octet) + 100))
    // While it runs, as when a lease ends.
    await moveTo(h3, next)
    await eventually(async () => (h4.daemon?.log() ?? '').includes(`"manager":"${next}:2377"`), {
      what: 'the worker registers at the new address',
      timeoutMs: 60_000,
    })
    await eventually(
      async () => {
        const answer = await h3.apiRequest('/nodes')
        return answer.status === 200 && (await nodesByName(h3)).get('h4')?.Status.State === 'ready'
      },
      { what: 'the worker found its manager', timeoutMs: 60_000 },
    )
  })

  await t.test('the only manager is damaged: it says what to do, and that works', async (t) => {
    await h3.kill9Daemon()
    await damageLog(h3)
    await h3.spawnDaemon([])
    await untilState(h3, 'error')
    t.match(await refused(h3, ['node', 'ls']), /leave --force.*swarmctl restore FILE/)
    await h3.swarmctl(['leave', '--force'], { timeoutMs: 60_000 })
    await h3.swarmctl(['restore', file, '--passphrase-file', secret, ...h3.daemonFlags()], {
      timeoutMs: 60_000,
    })
    const { configs: _ids, ...same } = before
    t.match(await identity(h3), same)
  })
})
