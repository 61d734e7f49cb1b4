/** A crash at every place of what changes a node's life: the next start finds a node that goes on, or one that the same command takes on. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { newId } from '../../src/api/id.ts'
import { SwarmSpec } from '../../src/api/swarm.ts'
import type { Daemon } from '../../src/daemon/daemon.ts'
import { NodeKeys } from '../../src/daemon/node-keys.ts'
import { systemClock } from '../../src/daemon/system-clock.ts'
import { createCluster } from '../../src/manager/ca/create-cluster.ts'
import { newUnlockKey } from '../../src/pki/data-key.ts'
import { type CrashImage, CrashImages } from '../support/daemon/crash-images.ts'
import { daemonOn, freePort, initRequest, joinRequest } from '../support/daemon/crash-node.ts'
import { StandInEngine } from '../support/http/stand-in-engine.ts'
import { eventually } from '../support/lab/eventually.ts'

const KEYS_AND_LOG = ['credentials.json', 'data-key.json', 'raft']
const PASSPHRASE = 'correct horse'

class Bench {
  readonly dir = mkdtempSync(join(tmpdir(), 'swarmctl-crash-'))
  readonly engine = new StandInEngine(join(this.dir, 'engine.sock'))
  readonly #daemons = new Set<Daemon>()
  #count = 0

  static async create(t: Test): Promise<Bench> {
    const bench = new Bench()
    await bench.engine.start()
    t.teardown(async () => {
      for (const daemon of bench.#daemons) await daemon.stop()
      await bench.engine.stop()
      rmSync(bench.dir, { recursive: true })
    })
    return bench
  }

  place(): string {
    this.#count += 1
    return join(this.dir, `data${this.#count}`)
  }

  async daemon(dataDir = this.place()): Promise<Daemon> {
    const daemon = await daemonOn(dataDir, this.engine.socketPath)
    this.#daemons.add(daemon)
    return daemon
  }

  async stop(daemon: Daemon): Promise<void> {
    this.#daemons.delete(daemon)
    await daemon.stop()
  }

  /** What a crash would leave of a data directory at each place of what `run` does. */
  async images(dataDir: string, run: () => Promise<unknown>): Promise<CrashImage[]> {
    this.#count += 1
    const images = new CrashImages(dataDir, join(this.dir, `images${this.#count}`))
    images.start()
    try {
      await run()
    } finally {
      images.stop()
    }
    return images.images
  }

  /** Starts a daemon on each, one after the other. */
  async each(images: CrashImage[], look: (daemon: Daemon, path: string) => Promise<void>) {
    for (const { path, kind, before } of images) {
      const daemon = await this.daemon(path)
      try {
        await look(daemon, path)
      } catch (error) {
        const { message } = error as Error
        const { localNodeState, error: said } = daemon.status()
        throw new Error(`${kind} died before ${before}: ${message}; ${localNodeState} ${said}`)
      }
      await this.stop(daemon)
    }
  }
}

const stateOf = (daemon: Daemon) => daemon.status().localNodeState

const untilLeading = (daemon: Daemon) =>
  eventually(async () => (await daemon.route()).kind === 'self', {
    ...{ what: 'it leads', timeoutMs: 5_000, intervalMs: 5 },
  })

const nodesOf = (manager: Daemon) => manager.control().listNodes()

const isReady = (manager: Daemon, nodeId: string) =>
  eventually(
    async () => {
      const node = (await nodesOf(manager)).find(({ ID }) => ID === nodeId)
      return node?.Status.State === 'ready'
    },
    { what: 'its agent is back', timeoutMs: 5_000, intervalMs: 10 },
  )

/** Of a node in no swarm what is below its names goes unseen, whatever it is: one of each is enough. */
const unlike = (images: readonly CrashImage[]) => {
  const seen = new Set<string>()
  return images.filter(({ path }) => {
    const names = existsSync(path) ? readdirSync(path) : []
    const isNew = !seen.has(names.join())
    if (!names.includes('node.json')) seen.add(names.join())
    return isNew
  })
}

/** One of each of a member whose record or keys differ. */
const otherwise = (images: readonly CrashImage[]) => {
  const seen = new Set<string>()
  return images.filter(({ path }) => {
    const names = readdirSync(path)
    const files = names.filter((name) => /^(node|credentials|data-key)\.json$/.test(name))
    const all = [...names, ...files.map((name) => readFileSync(join(path, name), 'utf8'))].join()
    const isNew = !seen.has(all)
    seen.add(all)
    return isNew
  })
}

const filesOf = (path: string) => readdirSync(path).filter((name) => KEYS_AND_LOG.includes(name))

t.test('init', async (t) => {
  const bench = await Bench.create(t)
  const path = bench.place()
  const request = initRequest(await freePort())
  let first: Daemon | undefined
  const images = await bench.images(path, async () => {
    first = await bench.daemon(path)
    await first.init(request)
  })
  await bench.stop(first as Daemon)
  const states = new Set<string>()
  await bench.each(unlike(images), async (daemon) => {
    states.add(stateOf(daemon))
    if (stateOf(daemon) === 'inactive') await daemon.init(request)
    await untilLeading(daemon)
    t.equal((await nodesOf(daemon)).length, 1)
  })
  t.strictSame([...states].sort(), ['active', 'inactive'])
})

const secondNode = async (bench: Bench, role: 'Worker' | 'Manager') => {
  const [port, port2] = [await freePort(), await freePort()]
  const manager = await bench.daemon()
  await manager.init(initRequest(port))
  const { JoinTokens } = await manager.control().getCluster()
  return { manager, port, request: joinRequest(port2, port, JoinTokens[role]) }
}

t.test('join', async (t) => {
  const bench = await Bench.create(t)
  const { manager, request } = await secondNode(bench, 'Worker')
  const path = bench.place()
  const second = await bench.daemon(path)
  const images = await bench.images(path, () => second.join(request))
  const { nodeId } = second.status()
  await bench.stop(second)
  const ids = new Set<string>()
  await bench.each(images, async (daemon) => {
    if (stateOf(daemon) === 'inactive') await daemon.join(request)
    ids.add(daemon.status().nodeId)
    await isReady(manager, daemon.status().nodeId)
  })
  t.ok(ids.has(nodeId), 'it resumed')
  t.ok(ids.size > 1, 'and joined again')
})

t.test('leave of a worker', async (t) => {
  const bench = await Bench.create(t)
  const { manager, request } = await secondNode(bench, 'Worker')
  const path = bench.place()
  const second = await bench.daemon(path)
  await second.join(request)
  const images = await bench.images(path, () => second.leave(false))
  await bench.stop(second)
  let resumed = 0
  await bench.each(images, async (daemon, at) => {
    if (stateOf(daemon) !== 'inactive') {
      resumed += 1
      await isReady(manager, daemon.status().nodeId)
      await daemon.leave(false)
    }
    t.equal(stateOf(daemon), 'inactive')
    t.strictSame(filesOf(at), [], 'no key stays behind')
  })
  t.ok(resumed > 0)
  const { path: last } = images.findLast(({ kind }) => kind === 'power') as CrashImage
  t.strictSame(filesOf(last), [], 'who was told that it left has left for good')
  t.ok(resumed < images.length)
})

const setRole = async (manager: Daemon, nodeId: string, Role: 'worker' | 'manager') => {
  const node = await manager.control().getNode(nodeId)
  await manager.control().updateNode(nodeId, node.Version.Index, { ...node.Spec, Role })
}

/** Until the cluster and the node itself are of one mind. */
const untilIs = (manager: Daemon, node: Daemon, role: 'worker' | 'manager') =>
  eventually(
    async () => {
      if (node.status().role !== role || stateOf(node) !== 'active') return false
      const seen = await manager.control().getNode(node.status().nodeId)
      const is = seen.ManagerStatus ? 'manager' : 'worker'
      return is === role && seen.Status.State === 'ready'
    },
    { what: `it is a ${role}`, timeoutMs: 10_000, intervalMs: 10 },
  )

/** One that is demoted before that is told of it by nobody, and waits out its time (10 s). */
const untilVoting = (node: Daemon) => {
  const ignore = () => {}
  return eventually(() => node.watch(ignore, ignore), { what: 'it votes', intervalMs: 10 })
}

t.test('promote and demote', async (t) => {
  const bench = await Bench.create(t)
  const { manager, request } = await secondNode(bench, 'Worker')
  const path = bench.place()
  const second = await bench.daemon(path)
  await second.join(request)
  const { nodeId } = second.status()
  const promoting = await bench.images(path, async () => {
    await setRole(manager, nodeId, 'manager')
    await untilIs(manager, second, 'manager')
  })
  await untilVoting(second)
  const demoting = await bench.images(path, async () => {
    await setRole(manager, nodeId, 'worker')
    await untilIs(manager, second, 'worker')
    await eventually(() => filesOf(path).length === 2, { what: 'its log is gone' })
  })
  await bench.stop(second)
  await bench.each(otherwise(demoting), async (daemon, at) => {
    await untilIs(manager, daemon, 'worker')
    await eventually(() => filesOf(at).length === 2, { what: 'its log is gone' })
  })
  // A manager's log must not go back in time: what is found before there is one. By its certificate it may be a manager whom the
  // cluster has noted as a worker since.
  const early = otherwise(promoting).filter(({ path: at }) => !filesOf(at).includes('raft'))
  for (const image of early) {
    await setRole(manager, nodeId, 'manager')
    await bench.each([image], async (daemon) => {
      await untilIs(manager, daemon, 'manager')
      await untilVoting(daemon)
      await setRole(manager, nodeId, 'worker')
      await untilIs(manager, daemon, 'worker')
    })
  }
  t.ok(early.length > 0)
})

t.test('leave of the last manager by force', async (t) => {
  const bench = await Bench.create(t)
  const path = bench.place()
  const manager = await bench.daemon(path)
  await manager.init(initRequest(await freePort()))
  const images = await bench.images(path, () => manager.leave(true))
  await bench.stop(manager)
  await bench.each(images, async (daemon, at) => {
    if (stateOf(daemon) === 'inactive') t.strictSame(filesOf(at), [], 'no key stays behind')
    else await untilLeading(daemon)
  })
})

t.test('restore', async (t) => {
  const bench = await Bench.create(t)
  const manager = await bench.daemon()
  const request = initRequest(await freePort())
  await manager.init(request)
  const chunks: Uint8Array[] = []
  for await (const chunk of (await manager.backup(PASSPHRASE)).bytes) chunks.push(chunk)
  await bench.stop(manager)
  const file = async function* () {
    yield* chunks
  }
  const path = bench.place()
  const second = await bench.daemon(path)
  const images = await bench.images(path, () => second.restore(request, PASSPHRASE, file()))
  await bench.stop(second)
  await bench.each(unlike(images), async (daemon) => {
    if (stateOf(daemon) === 'inactive') await daemon.restore(request, PASSPHRASE, file())
    await untilLeading(daemon)
    t.equal((await nodesOf(daemon)).length, 1)
  })
})

t.test('init --force-new-cluster', async (t) => {
  const bench = await Bench.create(t)
  const path = bench.place()
  const [port, port2] = [await freePort(), await freePort()]
  const manager = await bench.daemon(path)
  await manager.init(initRequest(port))
  const { JoinTokens } = await manager.control().getCluster()
  const lost = await bench.daemon()
  await lost.join(joinRequest(port2, port, JoinTokens.Manager))
  await bench.stop(lost)
  const force = initRequest(port, { ForceNewCluster: true })
  const images = await bench.images(path, () => manager.init(force))
  await bench.stop(manager)
  let [isBegun, asked] = [false, 0]
  await bench.each(images, async (daemon, at) => {
    // The record says so until all of it is done; then the manager leads as any.
    isBegun ||= (await readFile(join(at, 'node.json'), 'utf8')).includes('forcesNewCluster')
    if (!isBegun) {
      asked += 1
      await daemon.init(force)
    }
    await untilLeading(daemon)
    t.equal((await nodesOf(daemon)).length, 1)
  })
  t.ok(asked > 0)
  t.ok(isBegun)
})

t.test('autolock on, another key, and off', async (t) => {
  const bench = await Bench.create(t)
  const path = bench.place()
  mkdirSync(path)
  const keys = await NodeKeys.create(path)
  const { credentials } = await createCluster(
    { clock: systemClock, newId },
    { spec: SwarmSpec.parse({}), addr: '127.0.0.1:2377' },
  )
  await keys.storeCredentials(credentials)
  const [first, second] = [newUnlockKey(), newUnlockKey()]
  for (const [before, after] of [
    [undefined, first],
    [first, second],
    [second, undefined],
  ] as const) {
    const images = await bench.images(path, () => keys.lockWith(after))
    let follows = false
    for (const image of images) {
      const opened = await opensWith(image.path, follows ? [after] : [before, after])
      t.match(opened, { keys: { dataKey: keys.dataKey }, credentials }, image.before)
      // Whose lock the data key has says all: from here on nobody needs the key of before.
      follows ||= (await opensWith(image.path, [before]).catch(() => undefined)) === undefined
    }
    t.equal(follows || after === undefined, true)
    const last = images.at(-2) as CrashImage
    t.ok(await opensWith(last.path, [after]), 'the new state is durable')
  }
})

/** What a node opens with one of these unlock keys. */
const opensWith = async (path: string, unlockKeys: readonly (string | undefined)[]) => {
  for (const key of unlockKeys) {
    const stored = await NodeKeys.open(path, key).catch(() => undefined)
    if (stored?.kind === 'open') return stored
  }
  throw new Error('no key opens it')
}
