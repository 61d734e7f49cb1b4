/** A crash at every place of what changes a node that is a member. */
import { mkdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { newId } from '../../src/api/id.ts'
import { SwarmSpec } from '../../src/api/swarm.ts'
import type { Daemon } from '../../src/daemon/daemon.ts'
import { NodeKeys } from '../../src/daemon/node-keys.ts'
import { systemClock } from '../../src/daemon/system-clock.ts'
import { createCluster } from '../../src/manager/ca/create-cluster.ts'
import { newUnlockKey } from '../../src/pki/data-key.ts'
import {
  CrashBench,
  filesOf,
  joinedWorker,
  nodesOf,
  otherwise,
  stateOf,
  untilLeading,
} from '../support/daemon/crash-bench.ts'
import type { CrashImage } from '../support/daemon/crash-images.ts'
import { freePort, initRequest, joinRequest } from '../support/daemon/crash-node.ts'
import { eventually } from '../support/lab/eventually.ts'

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
    { what: `it is a ${role}`, timeoutMs: 30_000, intervalMs: 10 },
  )

/** One that is demoted before that is told of it by nobody, and waits out its time (10 s). */
const untilVoting = (node: Daemon) => {
  const ignore = () => {}
  return eventually(() => node.watch(ignore, ignore), { what: 'it votes', intervalMs: 10 })
}

t.test('promote and demote', async (t) => {
  const bench = await CrashBench.create(t)
  const { manager, path, second } = await joinedWorker(bench)
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

t.test('init --force-new-cluster', async (t) => {
  const bench = await CrashBench.create(t)
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
  const bench = await CrashBench.create(t)
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
