import t, { type Test } from 'tap'
import { RpcHandlers } from '../../src/rpc/handlers.ts'
import { RpcPool } from '../../src/rpc/pool.ts'
import { RpcServer } from '../../src/rpc/server.ts'
import { noLog, realClock, testCluster } from '../support/rpc/cluster-fixture.ts'

const cluster = await testCluster()
const manager = await cluster.issue()
const handlers = new RpcHandlers()
handlers.onRequest('whoami', async (_body, { peer }) => `${peer?.role}`)

const serve = async (t: Test, listenAddr = '127.0.0.1:0') => {
  const server = new RpcServer(
    { handlers, log: noLog, clock: realClock },
    { listenAddr, credentials: manager },
  )
  await server.start()
  t.teardown(() => server.stop())
  return { server, addr: `127.0.0.1:${server.port}` }
}

/** A pool whose time is the test's. */
const makePool = async (t: Test) => {
  const time = { nowMs: Date.now() }
  const pool = new RpcPool(
    {
      handlers: new RpcHandlers(),
      log: noLog,
      clock: { ...realClock, nowMs: () => time.nowMs },
      random: () => 0,
    },
    { credentials: await cluster.issue({ role: 'worker', nodeId: 'node-1' }) },
  )
  t.teardown(() => pool.close())
  return { pool, time }
}

t.test('one connection per address, made anew after a loss', async (t) => {
  const { server, addr } = await serve(t)
  const { pool, time } = await makePool(t)
  t.equal(pool.current(addr), undefined)
  const [first, second] = await Promise.all([pool.get(addr), pool.get(addr)])
  t.equal(first, second)
  t.equal(pool.current(addr), first)
  await t.rejects(pool.get(addr, { expectNodeId: 'other' }), { code: 'UNAUTHENTICATED' })
  t.equal(await pool.get(addr, { expectNodeId: manager.nodeId }), first)

  time.nowMs += 5000
  const lost = new Promise((resolve) => {
    first.onClose(resolve)
  })
  await server.stop()
  await lost
  t.equal(pool.current(addr), undefined)
  await t.rejects(pool.get(addr), { code: 'UNAVAILABLE', message: /nothing listens/ })
  await serve(t, addr)
  await t.rejects(pool.get(addr), { message: /nothing listens/ }, 'no attempt so soon after one')
  time.nowMs += 100
  const again = await pool.get(addr)
  t.not(again, first)
  t.equal(await again.request('whoami', {}), 'worker')
})

t.test('a connection to a worker is not taken for one to a manager', async (t) => {
  const worker = await cluster.issue({ role: 'worker' })
  const server = new RpcServer(
    { handlers, log: noLog, clock: realClock },
    { listenAddr: '127.0.0.1:0', credentials: worker },
  )
  await server.start()
  t.teardown(() => server.stop())
  const addr = `127.0.0.1:${server.port}`
  const { pool } = await makePool(t)
  const named = await pool.get(addr, { expectNodeId: worker.nodeId })
  t.equal(await pool.get(addr, { expectNodeId: worker.nodeId }), named)
  await t.rejects(pool.get(addr), {
    code: 'UNAUTHENTICATED',
    message: `the node at ${addr} is a worker, not a manager`,
  })
})

t.test('attempts get rarer, to a limit', async (t) => {
  const { server, addr } = await serve(t)
  await server.stop()
  const { pool, time } = await makePool(t)
  const waits: number[] = []
  for (let attempt = 0; attempt < 7; attempt++) {
    const failed = await pool.get(addr).catch((error: Error) => error)
    let waitMs = 0
    // The same error object means that no attempt was made.
    while ((await pool.get(addr).catch((error: Error) => error)) === failed) {
      time.nowMs += 50
      waitMs += 50
    }
    waits.push(waitMs)
    // The attempt that ended the loop counts as the next failure.
  }
  t.same(waits, [50, 100, 200, 400, 800, 1000, 1000])
})

t.test(
  'new credentials: a renewal and another root keep connections, a new role replaces them',
  async (t) => {
    const { addr } = await serve(t)
    const { pool } = await makePool(t)
    const first = await pool.get(addr)
    pool.setCredentials(await cluster.issue({ role: 'worker', nodeId: 'node-1' }))
    t.equal(await pool.get(addr), first)
    const other = (await testCluster()).root.certPem
    const rotating = await cluster.issue({ role: 'worker', nodeId: 'node-1' })
    pool.setCredentials({ ...rotating, rootCAPem: rotating.rootCAPem + other })
    t.equal(await pool.get(addr), first)
    pool.setCredentials(await cluster.issue({ role: 'manager', nodeId: 'node-1' }))
    t.notOk(first.isOpen)
    const promoted = await pool.get(addr)
    t.equal(await promoted.request('whoami', {}), 'manager')
    pool.drop(addr)
    t.notOk(promoted.isOpen)
    pool.close()
    await t.rejects(pool.get(addr), { code: 'UNAVAILABLE', message: 'this node is shutting down' })
  },
)
