/** A root is rotated under nodes that talk over real sockets: dispatcher, CA and sessions are the real ones; raft and containers stay out. */
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { newId } from '../../src/api/id.ts'
import { NodeCertificate } from '../../src/daemon/node-certificate.ts'
import { CertificateAuthority } from '../../src/manager/ca/certificate-authority.ts'
import { joinCluster } from '../../src/manager/ca/join-cluster.ts'
import { RootRotation } from '../../src/manager/ca/root-rotation.ts'
import { Control } from '../../src/manager/control/control.ts'
import { Dispatcher } from '../../src/manager/dispatcher/dispatcher.ts'
import type { Credentials } from '../../src/pki/credentials.ts'
import { newJoinToken } from '../../src/pki/join-token.ts'
import { tlsInfoOf } from '../../src/pki/root-ca.ts'
import { connect } from '../../src/rpc/client.ts'
import { RpcHandlers } from '../../src/rpc/handlers.ts'
import { RpcPool } from '../../src/rpc/pool.ts'
import { RpcServer } from '../../src/rpc/server.ts'
import { type LiveSession, SessionClient } from '../../src/worker/session-client.ts'
import { storedCluster } from '../support/ca/stored-cluster.ts'
import { eventually } from '../support/lab/eventually.ts'
import { sampleNode } from '../support/objects.ts'
import { noLog, realClock } from '../support/rpc/cluster-fixture.ts'

const deps = { log: noLog, clock: realClock }

/** A manager that serves its cluster port; its own node is one of those that `startNode` starts. */
const startManager = async (t: Test) => {
  const { store, ...created } = await storedCluster()
  const handlers = new RpcHandlers()
  const leader = { request: () => Promise.reject(new Error('this is the leader')) }
  const tokens = (rootCACert: string) => newJoinToken(rootCACert)
  new CertificateAuthority({ store, ...deps, isLeader: () => true, leader }).register(handlers)
  const dispatcher = new Dispatcher({ store, ...deps, newId, leader: () => undefined })
  const rotation = new RootRotation({ store, ...deps, agents: dispatcher, newJoinToken: tokens })
  handlers.onStream('agent.session', (body, stream, context) =>
    dispatcher.serveSession(body, stream, context),
  )
  handlers.onRequest('echo', async (body) => body)
  const server = new RpcServer(
    { ...deps, handlers },
    { listenAddr: '127.0.0.1:0', credentials: created.credentials },
  )
  await server.start()
  dispatcher.start()
  rotation.start()
  t.teardown(async () => {
    rotation.stop()
    await dispatcher.stop()
    await server.stop()
  })
  const control = new Control({ store, clock: realClock, newId, newJoinToken: tokens })
  const cluster = () => store.view().cluster()!
  const rotate = () => {
    const { Version, Spec } = cluster()
    const ForceRotate = (Spec.CAConfig?.ForceRotate ?? 0) + 1
    return control.updateCluster(Version.Index, {
      ...Spec,
      CAConfig: { ...Spec.CAConfig, ForceRotate },
    })
  }
  const addr = `127.0.0.1:${server.port}`
  return { ...created, store, server, cluster, rotate, addr, dispatcher }
}
type Manager = Awaited<ReturnType<typeof startManager>>

/** What of a daemon has to do with certificates: its session, and a pool with a request under way at all times. */
const startNode = (t: Test, manager: Manager, credentials: Credentials) => {
  const node = {
    failures: [] as string[],
    requests: 0,
    sessionsLost: 0,
    stored: [credentials],
    isRunning: true,
    stop: async () => {},
  }
  const handlers = new RpcHandlers()
  const pool = new RpcPool({ ...deps, handlers, random: Math.random }, { credentials })
  let live: LiveSession | undefined
  const isManager = credentials.role === 'manager'
  const description = () => ({
    ...sampleNode(credentials.nodeId, 1).Description,
    TLSInfo: tlsInfoOf(certificate.current),
  })
  const certificate = new NodeCertificate(
    {
      ...deps,
      random: Math.random,
      renew: async (csrPem) => {
        const connection = await pool.get(manager.addr)
        return (await connection.request('ca.renew', { csrPem })) as {
          certPem: string
          rootCAPem: string
        }
      },
      store: async (next) => void node.stored.push(next),
      onChange: async (next) => {
        pool.setCredentials(next)
        if (isManager) manager.server.setCredentials(next)
        void live?.send({ kind: 'description', description: description() })
      },
    },
    { credentials },
  )
  const session = new SessionClient(
    {
      ...deps,
      random: Math.random,
      connect: ({ addr }, signal) =>
        connect(addr, { ...deps, handlers, credentials: certificate.current, signal }),
      hello: () => ({
        nodeId: credentials.nodeId,
        description: description(),
        addr: '127.0.0.1:2377',
      }),
      onMessage: async (message, current) => {
        if (message.kind === 'session') {
          live = current
          certificate.onTrustRoot(message.rootCACert)
        } else if (message.kind === 'trust-root') certificate.onTrustRoot(message.rootCACert)
        else if (message.kind === 'renew-certificate') certificate.onRenewCertificate()
      },
      onEnd: () => {
        if (node.isRunning) node.sessionsLost += 1
      },
      onRemoved: () => {},
    },
    { known: { managers: [{ nodeId: manager.node.ID, addr: manager.addr }], asOf: 0 } },
  )
  const ask = async () => {
    while (node.isRunning) {
      try {
        const connection = await pool.get(manager.addr)
        await connection.request('echo', node.requests++)
      } catch (error) {
        if (node.isRunning) node.failures.push((error as Error).message)
      }
      await sleep(2)
    }
  }
  certificate.start()
  session.start()
  const asking = ask()
  node.stop = async () => {
    node.isRunning = false
    await session.stop()
    await certificate.stop()
    await asking
    pool.close()
  }
  t.teardown(node.stop)
  return { node, certificate }
}

const info = { addr: ':2377', hostname: 'joiner' }
const join = (manager: Manager, token: string) =>
  joinCluster(deps, { addrs: [manager.addr], token, info })

const isOver = (manager: Manager) => !manager.cluster().RootRotationInProgress
/** All nodes show the cluster's certificate and trust what it trusts. */
const isWhole = (manager: Manager) =>
  manager.store
    .view()
    .list('node')
    .every(
      ({ Description: { TLSInfo } }) =>
        JSON.stringify(TLSInfo) === JSON.stringify(manager.cluster().TLSInfo),
    )

t.test('nothing is interrupted, and the new token admits', async (t) => {
  const manager = await startManager(t)
  const { JoinTokens, Swarmctl } = manager.cluster()
  const nodes = [startNode(t, manager, manager.credentials)]
  for (let i = 0; i < 2; i++) {
    nodes.push(startNode(t, manager, await join(manager, JoinTokens.Worker)))
  }
  await eventually(() => isWhole(manager), { what: 'all nodes have registered' })
  const before = nodes.map(({ node }) => node.requests)
  await manager.rotate()
  await eventually(() => isOver(manager), { what: 'the rotation is over' })
  await eventually(() => isWhole(manager), { what: 'all nodes trust the new root alone' })
  await eventually(() => nodes.every(({ node }, i) => node.requests > before[i]! + 50), {
    what: 'requests go on',
  })
  for (const { node, certificate } of nodes) {
    t.strictSame(node.failures, [])
    t.equal(node.sessionsLost, 0)
    t.equal(certificate.current.rootCAPem, manager.cluster().Swarmctl.RootCACert)
    t.strictSame(node.stored.at(-1), certificate.current, 'what is in force is on the disk')
  }
  t.not(manager.cluster().Swarmctl.RootCACert, Swarmctl.RootCACert)
  await t.rejects(join(manager, JoinTokens.Worker), {
    code: 'UNAUTHENTICATED',
    message: /its CA is another one/,
  })
  const joined = await join(manager, manager.cluster().JoinTokens.Manager)
  t.equal(joined.role, 'manager')
  startNode(t, manager, joined)
  await eventually(() => isWhole(manager), { what: 'the new node is ready' })

  // Who was not there at all holds nothing that is worth anything.
  const gone = { ...deps, handlers: new RpcHandlers(), credentials: manager.credentials }
  await t.rejects(connect(manager.addr, gone), { code: 'UNAUTHENTICATED' })
})

t.test('a node that was away, one that joins, a second rotation', async (t) => {
  const manager = await startManager(t)
  const { JoinTokens } = manager.cluster()
  const self = startNode(t, manager, manager.credentials)
  const away = startNode(t, manager, await join(manager, JoinTokens.Worker))
  await eventually(() => isWhole(manager), { what: 'all nodes have registered' })
  await away.node.stop()
  await manager.rotate()
  const issuer = () => manager.cluster().TLSInfo.CertIssuerPublicKey
  const hasRenewed = () => tlsInfoOf(self.certificate.current).CertIssuerPublicKey === issuer()
  await eventually(hasRenewed, { what: 'the manager has a certificate of the new root' })
  t.notOk(isOver(manager), 'the one that is away is waited for')

  const joined = startNode(t, manager, await join(manager, JoinTokens.Worker))
  t.equal(tlsInfoOf(joined.certificate.current).CertIssuerPublicKey, issuer(), 'of the new root')
  const first = issuer()
  await manager.rotate()
  t.not(issuer(), first)
  await eventually(hasRenewed, { what: 'it has one of the second new root' })
  t.notOk(isOver(manager))

  const back = startNode(t, manager, away.certificate.current)
  await eventually(() => isOver(manager), { what: 'it came back, and the rotation ends' })
  await eventually(() => isWhole(manager), { what: 'all nodes trust the new root alone' })
  for (const { node } of [self, joined, back]) {
    t.strictSame(node.failures, [])
    t.equal(node.sessionsLost, 0)
  }
})
