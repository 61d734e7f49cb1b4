import t, { type Test } from 'tap'
import type { Clock } from '../../../src/api/clock.ts'
import { unavailable } from '../../../src/api/errors.ts'
import { newId } from '../../../src/api/id.ts'
import type { Node } from '../../../src/api/node.ts'
import type { Cluster } from '../../../src/api/swarm.ts'
import {
  CertificateAuthority,
  type LeaderRpc,
} from '../../../src/manager/ca/certificate-authority.ts'
import { createCluster } from '../../../src/manager/ca/create-cluster.ts'
import { readJoin } from '../../../src/manager/ca/join-body.ts'
import { joinCluster } from '../../../src/manager/ca/join-cluster.ts'
import { newNode } from '../../../src/manager/ca/new-node.ts'
import type { Store } from '../../../src/manager/store/store.ts'
import type { Credentials } from '../../../src/pki/credentials.ts'
import { createKeyAndCsr } from '../../../src/pki/csr.ts'
import { newJoinToken } from '../../../src/pki/join-token.ts'
import { connect, connectAnonymously } from '../../../src/rpc/client.ts'
import { RpcHandlers } from '../../../src/rpc/handlers.ts'
import { RpcServer } from '../../../src/rpc/server.ts'
import { storedCluster } from '../../support/ca/stored-cluster.ts'
import { noLog, realClock, testCluster } from '../../support/rpc/cluster-fixture.ts'

const deps = { log: noLog, clock: realClock }
const info = { addr: ':2377', hostname: 'joiner' }
const spec = { Name: 'default', Labels: {} }

const listen = async (t: Test, handlers: RpcHandlers, credentials: Credentials) => {
  const server = new RpcServer({ ...deps, handlers }, { listenAddr: '127.0.0.1:0', credentials })
  await server.start()
  t.teardown(() => server.stop())
  return `127.0.0.1:${server.port}`
}

/** A cluster of one manager that serves its CA; time and leadership are the test's. */
const startManager = async (t: Test) => {
  const time = { aheadMs: 0 }
  const clock: Clock = { ...realClock, nowMs: () => Date.now() + time.aheadMs }
  const { store, ...created } = await storedCluster(clock)
  const leadership = { isLeader: true }
  const leader: LeaderRpc = {
    request: async () => {
      throw unavailable('the cluster has no leader')
    },
  }
  const handlers = new RpcHandlers()
  const isLeader = () => leadership.isLeader
  const authority = new CertificateAuthority({ store, clock, log: noLog, isLeader, leader })
  authority.register(handlers)
  const addr = await listen(t, handlers, created.credentials)
  const cluster = (): Cluster => store.view().cluster()!
  const node = (id: string): Node => store.view().get('node', id)!
  return { ...created, store, addr, cluster, node, time, leadership, handlers, authority }
}

const changeCluster = (store: Store, change: (cluster: Cluster) => Cluster) =>
  store.update((tx) => tx.put('cluster', change(tx.cluster()!)))

t.test('a new cluster', async (t) => {
  const { cluster, node, credentials } = await createCluster(
    { clock: realClock, newId },
    { spec, addr: '10.1.0.1:2377', availability: 'drain', hostname: 'first', subnetSize: 20 },
  )
  t.match(cluster.ID, /^[0-9a-z]{25}$/)
  t.match(node.ID, /^[0-9a-z]{25}$/)
  t.match(credentials, { nodeId: node.ID, role: 'manager', clusterId: cluster.ID })
  t.equal(credentials.rootCAPem, cluster.Swarmctl.RootCACert)
  t.equal(cluster.TLSInfo.TrustRoot, cluster.Swarmctl.RootCACert)
  t.not(cluster.JoinTokens.Worker, cluster.JoinTokens.Manager)
  t.same(
    [cluster.SubnetSize, cluster.DataPathPort, cluster.DefaultAddrPool],
    [20, 4789, ['10.0.0.0/8']],
  )
  t.match(cluster.Spec, {
    Name: 'default',
    Orchestration: { TaskHistoryRetentionLimit: 5 },
    CAConfig: { NodeCertExpiry: 7_776_000_000_000_000 },
    Dispatcher: { HeartbeatPeriod: 1_000_000_000 },
  })
  t.match(node, {
    Spec: { Role: 'manager', Availability: 'drain' },
    Status: { Addr: '10.1.0.1' },
    ManagerStatus: { Leader: true, Addr: '10.1.0.1:2377' },
    Swarmctl: { Index: 1, ObservedRole: 'manager', Addr: '10.1.0.1:2377' },
  })
})

t.test('a node joins with the role of its token', async (t) => {
  const manager = await startManager(t)
  const { JoinTokens } = manager.cluster()
  const worker = await joinCluster(deps, {
    addrs: [manager.addr],
    token: ` ${JoinTokens.Worker}\n`,
    info: { ...info, availability: 'drain' },
  })
  t.match(worker, { role: 'worker', clusterId: manager.cluster().ID })
  t.match(manager.node(worker.nodeId), {
    Spec: { Role: 'worker', Availability: 'drain' },
    Description: { Hostname: 'joiner' },
    Status: { State: 'unknown', Addr: '127.0.0.1' },
    Swarmctl: { Index: 2, ObservedRole: 'worker', Addr: '127.0.0.1:2377' },
  })
  const second = await joinCluster(deps, {
    addrs: [manager.addr],
    token: JoinTokens.Manager,
    info: { addr: '10.9.9.9:3000' },
  })
  t.equal(second.role, 'manager')
  t.match(manager.node(second.nodeId).Swarmctl, { Index: 3, Addr: '10.9.9.9:3000' })

  const nodes = manager.store.view().list('node').length
  const withPort = (dataPathPort: number) => ({
    addrs: [manager.addr],
    token: JoinTokens.Worker,
    info: { ...info, dataPathPort },
  })
  await t.rejects(joinCluster(deps, withPort(4790)), {
    code: 'FAILED_PRECONDITION',
    message:
      "this swarm's data path port is 4789, this daemon has 4790: start it with --data-path-port 4789 and join again",
  })
  t.equal(manager.store.view().list('node').length, nodes, 'nobody was admitted')
  t.equal((await joinCluster(deps, withPort(4789))).role, 'worker')

  manager.handlers.onRequest('whoami', async (_body, { peer }) => peer)
  for (const credentials of [worker, second]) {
    const { nodeId, role, clusterId } = credentials
    const connection = await connect(manager.addr, {
      ...deps,
      credentials,
      handlers: new RpcHandlers(),
    })
    t.same(await connection.request('whoami', {}), { nodeId, role, clusterId })
    connection.close()
  }
})

t.test('tokens that admit nobody', async (t) => {
  const manager = await startManager(t)
  const join = (token: string) => joinCluster(deps, { addrs: [manager.addr], token, info })
  await t.rejects(join('nonsense'), { code: 'INVALID_ARGUMENT', message: /^invalid join token/ })
  const wrong = newJoinToken(manager.cluster().Swarmctl.RootCACert)
  await t.rejects(join(wrong), {
    code: 'UNAUTHENTICATED',
    message: /^the join token is not valid any more: .*join-token`$/,
  })
  const old = manager.cluster().JoinTokens.Worker
  await changeCluster(manager.store, (cluster) => ({
    ...cluster,
    JoinTokens: { ...cluster.JoinTokens, Worker: newJoinToken(cluster.Swarmctl.RootCACert) },
  }))
  await t.rejects(join(old), { code: 'UNAUTHENTICATED' })
  t.equal(manager.store.view().list('node').length, 1)
  t.equal((await join(manager.cluster().JoinTokens.Worker)).role, 'worker')
})

t.test('a wrong cluster gets nothing secret', async (t) => {
  const genuine = await startManager(t)
  const attacker = await testCluster()
  const token = genuine.cluster().JoinTokens.Manager
  const secret = token.slice(-25)
  const genuineRoot = genuine.cluster().Swarmctl.RootCACert
  const answers = {
    'its own root': attacker.root.certPem,
    'the right root that it has no key of': genuineRoot,
    'the right root and its own after it': genuineRoot + attacker.root.certPem,
    'its own root and the right one after it': attacker.root.certPem + genuineRoot,
    'no certificate': 'nonsense',
  }
  for (const [name, rootCAPem] of Object.entries(answers)) {
    const received: string[] = []
    const handlers = new RpcHandlers()
    const record = (method: string, answer: unknown) =>
      handlers.onRequest(
        method,
        async (body) => {
          received.push(`${method} ${JSON.stringify(body)}`)
          return answer
        },
        { anonymous: true },
      )
    record('ca.root', { rootCAPem })
    record('ca.join', {})
    const addr = await listen(t, handlers, await attacker.issue())
    const joining = joinCluster(deps, { addrs: [addr], token, info })
    await t.rejects(joining, { name: 'SwarmctlError', message: new RegExp(addr) }, name)
    t.same(received, ['ca.root {}'], name)
    t.notOk(received.join().includes(secret))
  }
  const attackerAddr = await listen(t, new RpcHandlers(), await attacker.issue())
  await t.rejects(joinCluster(deps, { addrs: [attackerAddr], token, info }), {
    code: 'PERMISSION_DENIED',
  })
  const { addr } = await startManager(t)
  await t.rejects(joinCluster(deps, { addrs: [addr], token, info }), {
    code: 'UNAUTHENTICATED',
    message: `the join token is not of the cluster at ${addr}: its CA is another one. Check the address, and print the token on that cluster with \`swarmctl swarm join-token\``,
  })
})

t.test('the root that the token names stays among those that are trusted', async (t) => {
  const genuine = await startManager(t)
  const other = await testCluster()
  const handlers = new RpcHandlers()
  const rootCAPem = genuine.cluster().Swarmctl.RootCACert
  const anonymous = { anonymous: true }
  handlers.onRequest('ca.root', async () => ({ rootCAPem }), anonymous)
  const answer = { rootCAPem: other.root.certPem }
  handlers.onRequest(
    'ca.join',
    async (body) => ({ ...(await genuine.authority.join(readJoin(body), '127.0.0.1')), ...answer }),
    anonymous,
  )
  const addr = await listen(t, handlers, genuine.credentials)
  const joining = () =>
    joinCluster(deps, { addrs: [addr], token: genuine.cluster().JoinTokens.Worker, info })
  await t.rejects(joining(), { code: 'UNAVAILABLE', message: /does not answer as a manager does/ })
  answer.rootCAPem = rootCAPem + other.root.certPem
  t.equal((await joining()).rootCAPem, answer.rootCAPem, 'while it is rotated there are two')
})

t.test('what a joining node is told', async (t) => {
  const manager = await startManager(t)
  const token = manager.cluster().JoinTokens.Worker
  const behind: Clock = { ...realClock, nowMs: () => Date.now() - 2 * 3_600_000 }
  await t.rejects(joinCluster({ ...deps, clock: behind }, { addrs: [manager.addr], token, info }), {
    code: 'UNAUTHENTICATED',
    message: /but this machine's clock says .*NTP/,
  })
  await t.rejects(joinCluster(deps, { addrs: [], token, info }), { code: 'INVALID_ARGUMENT' })
  await t.rejects(joinCluster(deps, { addrs: ['127.0.0.1:1'], token, info }), {
    code: 'UNAVAILABLE',
    message: "can't connect to 127.0.0.1:1: nothing listens there: is the swarmctl daemon running?",
  })
  const joined = await joinCluster(deps, { addrs: ['127.0.0.1:1', manager.addr], token, info })
  t.equal(joined.role, 'worker', 'the next address is tried')
  const workerAddr = await listen(t, new RpcHandlers(), joined)
  await t.rejects(joinCluster(deps, { addrs: [workerAddr], token, info }), {
    code: 'PERMISSION_DENIED',
  })
  manager.leadership.isLeader = false
  await t.rejects(joinCluster(deps, { addrs: [manager.addr], token, info }), {
    code: 'UNAVAILABLE',
    message: 'the cluster has no leader',
  })
})

t.test('a repeated join is the same node, for a while', async (t) => {
  const manager = await startManager(t)
  const token = manager.cluster().JoinTokens.Worker
  const key = await createKeyAndCsr()
  const join = () => joinCluster(deps, { addrs: [manager.addr], token, info, key })
  const [first, second] = await Promise.all([join(), join()])
  t.equal(first.nodeId, second.nodeId)
  t.equal((await join()).nodeId, first.nodeId)
  t.equal(manager.store.view().list('node').length, 2)
  manager.time.aheadMs = 11 * 60_000
  await t.rejects(join(), { code: 'FAILED_PRECONDITION', message: /join again with a new one/ })
  manager.time.aheadMs = 0
  await changeCluster(manager.store, (cluster) => ({
    ...cluster,
    Swarmctl: { ...cluster.Swarmctl, RemovedNodes: [first.nodeId] },
  }))
  await t.rejects(join(), { code: 'FAILED_PRECONDITION' })
})

t.test('every node has its own index, the smallest that is free', async (t) => {
  const manager = await startManager(t)
  const token = manager.cluster().JoinTokens.Worker
  const join = () => joinCluster(deps, { addrs: [manager.addr], token, info })
  const joined = await Promise.all([...Array(8)].map(join))
  const indexes = joined.map(({ nodeId }) => manager.node(nodeId).Swarmctl.Index)
  t.same(
    indexes.sort((a, b) => a - b),
    [2, 3, 4, 5, 6, 7, 8, 9],
  )
  await manager.store.update((tx) => {
    tx.remove(
      'node',
      joined.find(({ nodeId }) => tx.get('node', nodeId)?.Swarmctl.Index === 5)!.nodeId,
    )
  })
  t.equal(manager.node((await join()).nodeId).Swarmctl.Index, 5)
  await manager.store.batch(
    [...Array(245).keys()].map((i) => (tx) => {
      const details = { availability: 'active', hostname: '', addr: 'h:1', ip: 'h' } as const
      tx.put('node', newNode({ ...details, nodeId: `filler-${i}`, role: 'worker', index: i + 10 }))
    }),
  )
  await t.rejects(join(), {
    code: 'FAILED_PRECONDITION',
    message: /^the cluster is full: it has 254 nodes/,
  })
})

t.test('a renewal carries the role that the node has now', async (t) => {
  const manager = await startManager(t)
  const token = manager.cluster().JoinTokens.Worker
  const worker = await joinCluster(deps, { addrs: [manager.addr], token, info })
  const connection = await connect(manager.addr, {
    ...deps,
    credentials: worker,
    handlers: new RpcHandlers(),
  })
  t.teardown(() => connection.close())
  const renew = async () =>
    connection.request('ca.renew', { csrPem: (await createKeyAndCsr()).csrPem })
  t.match(await renew(), { role: 'worker', rootCAPem: worker.rootCAPem })
  await manager.store.update((tx) => {
    const node = tx.get('node', worker.nodeId)!
    tx.put('node', { ...node, Spec: { ...node.Spec, Role: 'manager' } })
  })
  t.equal(manager.node(worker.nodeId).Swarmctl.ObservedRole, 'worker')
  const promoted = (await renew()) as { certPem: string; role: string }
  t.equal(promoted.role, 'manager')
  t.equal(manager.node(worker.nodeId).Swarmctl.ObservedRole, 'manager')
  await t.rejects(connection.request('ca.renew', { csrPem: 'x' }), { code: 'INVALID_ARGUMENT' })
  await t.rejects(connection.request('ca.renew', 'x'), { code: 'INVALID_ARGUMENT' })
  const forwarded = { nodeId: manager.credentials.nodeId, csrPem: '' }
  await t.rejects(connection.request('ca.renew-forwarded', forwarded), {
    code: 'PERMISSION_DENIED',
    message: 'ca.renew-forwarded may not be called by a worker',
  })
  await manager.store.update((tx) => tx.remove('node', worker.nodeId))
  await t.rejects(renew(), { code: 'PERMISSION_DENIED', message: /is not in the cluster/ })
  const stranger = await connectAnonymously(manager.addr, { ...deps, handlers: new RpcHandlers() })
  await t.rejects(stranger.request('ca.renew', { csrPem: '' }), { code: 'PERMISSION_DENIED' })
  stranger.close()
})

t.test('a follower passes calls on to the leader', async (t) => {
  const leader = await startManager(t)
  const follower = await joinCluster(deps, {
    addrs: [leader.addr],
    token: leader.cluster().JoinTokens.Manager,
    info,
  })
  const toLeader = await connect(leader.addr, {
    ...deps,
    credentials: follower,
    handlers: new RpcHandlers(),
  })
  t.teardown(() => toLeader.close())
  const handlers = new RpcHandlers()
  const authority = new CertificateAuthority({
    ...deps,
    store: leader.store,
    isLeader: () => false,
    leader: toLeader,
  })
  const unregister = authority.register(handlers)
  const addr = await listen(t, handlers, follower)
  const worker = await joinCluster(deps, {
    addrs: [addr],
    token: leader.cluster().JoinTokens.Worker,
    info,
  })
  t.equal(leader.node(worker.nodeId).Status.Addr, '127.0.0.1')
  const connection = await connect(addr, {
    ...deps,
    credentials: worker,
    handlers: new RpcHandlers(),
  })
  t.teardown(() => connection.close())
  const { csrPem } = await createKeyAndCsr()
  t.match(await connection.request('ca.renew', { csrPem }), { role: 'worker' })
  leader.leadership.isLeader = false
  await t.rejects(connection.request('ca.renew', { csrPem }), {
    code: 'UNAVAILABLE',
    message: /is not the leader any more/,
  })
  unregister()
  await t.rejects(connection.request('ca.renew', { csrPem }), { code: 'UNAVAILABLE' })
})
