/** A crash at every place of what makes and ends a node: the next start finds one that goes on, or one that the same command takes on. */
import t from 'tap'
import type { Daemon } from '../../src/daemon/daemon.ts'
import {
  CrashBench,
  filesOf,
  isReady,
  joinedWorker,
  nodesOf,
  secondNode,
  stateOf,
  unlike,
  untilLeading,
} from '../support/daemon/crash-bench.ts'
import type { CrashImage } from '../support/daemon/crash-images.ts'
import { freePort, initRequest } from '../support/daemon/crash-node.ts'

const PASSPHRASE = 'correct horse'

t.test('init', async (t) => {
  const bench = await CrashBench.create(t)
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

t.test('join', async (t) => {
  const bench = await CrashBench.create(t)
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
  const bench = await CrashBench.create(t)
  const { manager, path, second } = await joinedWorker(bench)
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

t.test('leave of the last manager by force', async (t) => {
  const bench = await CrashBench.create(t)
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
  const bench = await CrashBench.create(t)
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
