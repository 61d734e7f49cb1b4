import t from 'tap'
import type { Clock } from '../../src/api/clock.ts'
import { unavailable } from '../../src/api/errors.ts'
import { InitRequest } from '../../src/api/swarm.ts'
import { Autolock } from '../../src/daemon/autolock.ts'
import {
  type ForceableNode,
  forcedStart,
  requireValidity,
} from '../../src/daemon/force-new-cluster.ts'
import { Leadership } from '../../src/daemon/leadership.ts'
import { REJOIN_METHOD } from '../../src/daemon/manager-recovery.ts'
import type { MemberStart } from '../../src/daemon/member.ts'
import type { NodeKeys } from '../../src/daemon/node-keys.ts'
import type { Store } from '../../src/manager/store/store.ts'
import { readCredentials } from '../../src/pki/credentials.ts'
import { createKeyAndCsr } from '../../src/pki/csr.ts'
import type { CallContext } from '../../src/rpc/connection.ts'
import { RpcHandlers } from '../../src/rpc/handlers.ts'
import { ManagerOnDisk, untilLeading } from '../support/daemon/manager-on-disk.ts'
import { noLog, realClock, testCluster } from '../support/rpc/cluster-fixture.ts'

const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

/** Time stands still; what is planned is run by hand. */
const manualClock = () => {
  const planned: { delayMs: number; run: () => void }[] = []
  const clock: Clock = {
    nowMs: () => 0,
    schedule(delayMs, run) {
      const plan = { delayMs, run }
      planned.push(plan)
      return () => {
        const at = planned.indexOf(plan)
        if (at >= 0) planned.splice(at, 1)
      }
    },
  }
  return { clock, planned }
}

t.test('a beginning of leadership that fails is tried again while this node leads', async (t) => {
  const { clock, planned } = manualClock()
  const done: string[] = []
  let failures = 8
  const leadership = new Leadership({
    ...{ clock, log: noLog },
    async lead() {
      if (failures-- > 0) throw unavailable('a full disk')
      done.push('lead')
    },
    async follow() {
      done.push('follow')
    },
  })
  leadership.set(true)
  const delays: number[] = []
  for (await settled(); planned.length > 0; await settled()) {
    const { delayMs, run } = planned.shift() as (typeof planned)[0]
    delays.push(delayMs)
    run()
  }
  t.strictSame(delays, [100, 200, 400, 800, 1600, 3200, 5000, 5000])
  t.strictSame(done, ['lead'])

  failures = 1
  leadership.set(false)
  leadership.set(true)
  await settled()
  t.equal(planned.length, 1)
  leadership.set(false)
  await settled()
  t.strictSame(planned, [], 'another leads: no more of it')
  failures = 1
  leadership.set(true)
  await leadership.stop()
  t.strictSame(planned, [])
  t.strictSame(done, ['lead', 'follow', 'follow', 'follow'])
})

t.test('a manager that goes on alone leads although its disk refused a note first', async (t) => {
  const manager = await ManagerOnDisk.create(t)
  await (await manager.bootstrap()).stop()
  manager.record = { ...manager.record, forcesNewCluster: true }
  manager.refusedRecords = 1
  const role = manager.role()
  await role.start(undefined)
  await untilLeading(role)
  t.equal(manager.record.forcesNewCluster, undefined)
  await role.stop()
})

t.test('a manager that leads certifies itself without a connection', async (t) => {
  const manager = await ManagerOnDisk.create(t)
  const role = await manager.bootstrap()
  const { keyPem, csrPem } = await createKeyAndCsr()
  const certified = await role.runtime!.certifySelf(csrPem)
  const { nodeId, role: certifiedRole, notAfter } = readCredentials({ keyPem, ...certified })
  t.strictSame([nodeId, certifiedRole], [manager.record.nodeId, 'manager'])
  t.ok(notAfter > Date.now())
  await role.stop()
})

t.test('an expired certificate ends no swarm that has one manager left', async (t) => {
  const { issue } = await testCluster()
  const ageMs = 400 * 24 * 3_600_000
  const [manager, worker] = [await issue({ ageMs }), await issue({ ageMs, role: 'worker' })]
  const early = await issue({ ageMs: -ageMs })
  const forced = { forcesNewCluster: true }
  t.doesNotThrow(() => requireValidity(forced, manager, realClock))
  const advice = /expired .*join it again; if no other manager is left.*init --force-new-cluster/
  t.throws(() => requireValidity({}, manager, realClock), advice)
  t.throws(() => requireValidity(forced, worker, realClock), /expired .*join it again$/)
  t.throws(() => requireValidity(forced, early, realClock), /NTP/, 'a clock can be set right')
})

t.test('what is asked of a manager before its log is open is not served yet', async (t) => {
  const manager = await ManagerOnDisk.create(t)
  await (await manager.bootstrap()).stop()
  const handlers = new RpcHandlers()
  const role = manager.role(handlers)
  let isStarted = false
  const started = role.start(undefined).then(() => {
    isStarted = true
  })
  const peer = { nodeId: 'other', role: 'manager', clusterId: '' } as const
  const codes = new Set<unknown>()
  for (; !isStarted; await settled()) {
    for (const method of [REJOIN_METHOD, 'manager.step-down']) {
      const ask = async () =>
        handlers.find('request', method, peer).handler({}, { peer } as CallContext)
      await ask().catch(({ code }) => codes.add(code))
    }
  }
  await started
  t.strictSame([...codes], ['UNAVAILABLE'])
  await role.stop()
})

t.test('autolock lets go of the keys before whoever stops it goes on', async (t) => {
  let finish = () => {}
  const locked = new Promise<void>((resolve) => {
    finish = resolve
  })
  const events: string[] = []
  const store = {
    watch: () => () => {},
    readBarrier: async () => {},
    view: () => ({ cluster: () => ({ Swarmctl: { UnlockKey: 'key' } }) }),
  } as unknown as Store
  const keys = {
    async lockWith() {
      events.push('writes')
      await locked
      events.push('written')
    },
  } as unknown as NodeKeys
  const autolock = new Autolock({ store, keys, clock: realClock, log: noLog })
  autolock.start()
  await settled()
  const stopped = autolock.stop().then(() => events.push('stopped'))
  await settled()
  t.strictSame(events, ['writes'])
  finish()
  await stopped
  t.strictSame(events, ['writes', 'written', 'stopped'])
})

t.test('only a manager with a state goes on alone', async (t) => {
  const manager = await ManagerOnDisk.create(t)
  const role = await manager.bootstrap()
  const { record } = manager
  const request = InitRequest.parse({ ForceNewCluster: true })
  const credentials = { role: 'manager' } as MemberStart['credentials']
  const stalled = { record, credentials, keys: undefined }
  const force = (node: Partial<ForceableNode>) =>
    forcedStart({ state: 'active', member: undefined, stalled: undefined, ...node }, request, {})
  const member = { record, start: stalled, runtime: role.runtime }
  const wanted = { ...record, forcesNewCluster: true }
  t.match(force({ member }).record, wanted)
  t.match(force({ state: 'error', stalled }).record, wanted, 'a port was taken')
  t.throws(() => force({ member: { ...member, runtime: undefined } }), /no state/, 'a damaged log')
  const empty = { store: { view: () => ({ cluster: () => undefined }) } } as unknown
  const runtime = empty as NonNullable<typeof role.runtime>
  t.throws(
    () => force({ member: { ...member, runtime } }),
    /no state/,
    'begun anew, not let in yet',
  )
  const worker = { ...stalled, credentials: { ...credentials, role: 'worker' as const } }
  t.throws(() => force({ stalled: worker }), /not a swarm manager/)
  t.throws(() => force({ state: 'inactive' }), /in no swarm/)
  t.throws(() => force({ state: 'locked', stalled }), /locked/)
  await role.stop()
})
