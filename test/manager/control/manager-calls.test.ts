import t from 'tap'
import type { Config } from '../../../src/api/config.ts'
import {
  type RaftReport,
  registerManagerCalls,
} from '../../../src/manager/control/manager-calls.ts'
import { connect } from '../../../src/rpc/client.ts'
import { RpcHandlers } from '../../../src/rpc/handlers.ts'
import { RpcServer } from '../../../src/rpc/server.ts'
import { newControl } from '../../support/control/control-fixture.ts'
import { noLog, realClock, testCluster } from '../../support/rpc/cluster-fixture.ts'

const deps = { log: noLog, clock: realClock }
const REPORT: RaftReport = {
  ...{ id: 'n1', role: 'leader', term: 2, leaderId: 'n1', committed: 9, applied: 9 },
  ...{ firstIndex: 1, lastIndex: 9, syncCount: 7 },
}

t.test('managers change and read configs on the cluster port, workers do not', async (t) => {
  const cluster = await testCluster()
  const { control, store } = newControl()
  const handlers = new RpcHandlers()
  const methods = registerManagerCalls(handlers, control, () => REPORT)
  const server = new RpcServer(
    { ...deps, handlers },
    { listenAddr: '127.0.0.1:0', credentials: await cluster.issue() },
  )
  await server.start()
  t.teardown(() => server.stop())
  const join = async (role: 'worker' | 'manager') =>
    connect(`127.0.0.1:${server.port}`, {
      ...{ ...deps, handlers: new RpcHandlers() },
      credentials: await cluster.issue({ role }),
    })

  const manager = await join('manager')
  const spec = { Name: 'motd', Data: 'aGVsbG8=' }
  const { ID: ref } = (await manager.request('config.create', spec)) as { ID: string }
  const read = (await manager.request('config.inspect', { ref })) as Config
  t.match(read, { ID: ref, Spec: { Name: 'motd', Data: 'aGVsbG8=' } })
  await t.rejects(manager.request('config.create', spec), { code: 'ALREADY_EXISTS' })
  await t.rejects(
    manager.request('config.create', { Name: 'bad', Data: '!' }),
    { code: 'INVALID_ARGUMENT', message: /must be base64/ },
    'checked as the API checks it',
  )
  await t.rejects(manager.request('config.inspect', { ref: 7 }), { code: 'INVALID_ARGUMENT' })
  await t.rejects(manager.request('config.inspect', 'motd'), { code: 'INVALID_ARGUMENT' })
  t.strictSame(await manager.request('manager.status', {}), REPORT)

  const worker = await join('worker')
  const methodNames = ['config.create', 'config.inspect', 'config.remove', 'manager.status']
  for (const method of methodNames) {
    await t.rejects(worker.request(method, { ref }), { code: 'PERMISSION_DENIED' }, method)
  }
  t.equal(store.view().list('config').length, 1, 'nothing of it happened')

  await manager.request('config.remove', { ref })
  t.equal(store.view().list('config').length, 0)
  for (const unregister of methods) unregister()
  await t.rejects(manager.request('config.create', spec), { code: 'UNAVAILABLE' })
})
