/** A node leaves while its disk takes no note of whose containers may be left. */
import { mkdirSync, readdirSync, rmdirSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  CrashBench,
  filesOf,
  isReady,
  joinedWorker,
  secondNode,
  stateOf,
} from '../support/daemon/crash-bench.ts'
import { eventually } from '../support/lab/eventually.ts'

/** In the way of `leftovers.json`, as a full disk is. Returns what takes it away. */
const block = (dataDir: string) => {
  const path = join(dataDir, 'leftovers.json.new')
  mkdirSync(path)
  return () => rmdirSync(path)
}

const isListening = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = createConnection(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })

const portOf = ({ ListenAddr }: { ListenAddr: string }) => Number(ListenAddr.split(':')[1])

const LABELS = { 'com.docker.swarm.task.id': 't1', 'com.docker.swarm.node.id': 'n1' }

/** A container of the node that left, on an Engine that can be told to keep it. */
const withContainer = ({ engine }: CrashBench) => {
  engine.answers.set('GET /containers/json', {
    status: 200,
    body: [{ Id: 'c1', State: 'created', Labels: LABELS, NetworkSettings: {} }],
  })
  engine.answers.set('DELETE /containers/c1', { status: 500, body: { message: 'device busy' } })
  return () => engine.answers.set('DELETE /containers/c1', { status: 204, body: '' })
}

const isMember = (path: string) => {
  const names = readdirSync(path)
  return names.includes('node.json') && names.includes('credentials.json')
}

t.test('nothing goes on of a worker, which can join again', async (t) => {
  const bench = await CrashBench.create(t)
  const { manager, request } = await secondNode(bench, 'Worker')
  const path = bench.place()
  const second = await bench.daemon(path)
  await second.join(request)
  t.ok(await isListening(portOf(request)))
  block(path)
  await second.leave(true)
  t.equal(stateOf(second), 'inactive')
  t.notOk(await isListening(portOf(request)))
  t.strictSame(filesOf(path), [])
  t.notOk(isMember(path))
  await second.join(request)
  await isReady(manager, second.status().nodeId)
})

t.test('nor of one that the cluster removes', async (t) => {
  const bench = await CrashBench.create(t)
  const { manager, request } = await secondNode(bench, 'Worker')
  const path = bench.place()
  const second = await bench.daemon(path)
  await second.join(request)
  block(path)
  await manager.control().removeNode(second.status().nodeId, true)
  const what = 'it left'
  await eventually(() => stateOf(second) === 'inactive', { what, intervalMs: 10 })
  t.notOk(await isListening(portOf(request)))
  t.strictSame(filesOf(path), [])
})

t.test('one whose containers stay as well is a member, until it can leave', async (t) => {
  const bench = await CrashBench.create(t)
  const { manager, path, second } = await joinedWorker(bench)
  const { nodeId } = second.status()
  const free = withContainer(bench)
  block(path)
  await t.rejects(second.leave(true), { message: /\(c1\): device busy: .*Make room.*--force/ })
  t.equal(stateOf(second), 'error')
  t.ok(isMember(path))
  await t.rejects(second.leave(true), /device busy/, 'asked again, before it has begun again')
  const what = 'it goes on as a member'
  await eventually(() => stateOf(second) === 'active', { what, intervalMs: 10 })
  await isReady(manager, nodeId)
  free()
  await second.leave(true)
  t.equal(stateOf(second), 'inactive')
  t.notOk(isMember(path))
})

t.test('one that may be noted after all leaves, and its containers go later', async (t) => {
  const bench = await CrashBench.create(t)
  const { path, second } = await joinedWorker(bench)
  withContainer(bench)
  const unblock = block(path)
  const refused = t.rejects(second.leave(true), /device busy/, 'that they stay is said')
  // What the member takes away makes room.
  await eventually(() => !readdirSync(path).includes('agent'), { what: 'room', intervalMs: 1 })
  unblock()
  await refused
  t.equal(stateOf(second), 'inactive')
  t.notOk(isMember(path))
  t.ok(readdirSync(path).includes('leftovers.json'))
})

const withoutKeys = async (t: Test) => {
  const bench = await CrashBench.create(t)
  const { path, second } = await joinedWorker(bench)
  await bench.stop(second)
  rmSync(join(path, 'credentials.json'))
  const free = withContainer(bench)
  block(path)
  const daemon = await bench.daemon(path)
  t.equal(stateOf(daemon), 'error')
  return { bench, daemon, free, path }
}

t.test('one that lost its keys keeps its record as long as its containers stay', async (t) => {
  const { daemon, free, path } = await withoutKeys(t)
  await t.rejects(daemon.leave(true), /device busy/)
  t.equal(stateOf(daemon), 'error')
  t.ok(readdirSync(path).includes('node.json'))
  free()
  await daemon.leave(true)
  t.equal(stateOf(daemon), 'inactive')
  t.notOk(readdirSync(path).includes('node.json'))
})

t.test('a record that can’t be taken away leaves a member, not a ghost', async (t) => {
  const bench = await CrashBench.create(t)
  const { path, second } = await joinedWorker(bench)
  // A name that no file can be renamed to.
  mkdirSync(join(path, 'node-left.json', 'full'), { recursive: true })
  await t.rejects(second.leave(true))
  t.equal(stateOf(second), 'error')
  t.ok(isMember(path))
  rmSync(join(path, 'node-left.json'), { recursive: true })
  await second.leave(true)
  t.equal(stateOf(second), 'inactive')
  t.notOk(isMember(path))
})
