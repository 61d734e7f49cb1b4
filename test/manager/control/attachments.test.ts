import t from 'tap'
import type { AttachRequest } from '../../../src/api/network-attachment.ts'
import type { Task } from '../../../src/api/task.ts'
import type { TaskState } from '../../../src/api/task-state.ts'
import { ATTACHMENTS_MAX } from '../../../src/manager/control/attachments.ts'
import { overlayEndpoint } from '../../../src/manager/dispatcher/overlay-view.ts'
import { applyStatus } from '../../../src/manager/dispatcher/status-writer.ts'
import { planEndedAttachments } from '../../../src/manager/orchestrator/ended-attachments.ts'
import { planOrphans } from '../../../src/manager/orchestrator/reap-plan.ts'
import type { Store } from '../../../src/manager/store/store.ts'
import { newControl, rejects } from '../../support/control/control-fixture.ts'
import { sampleCluster, sampleNetwork, sampleNode, sampleTask } from '../../support/objects.ts'

const network = (id: string, subnet: string, Attachable = true) => {
  const made = sampleNetwork(id, id)
  return {
    ...made,
    Spec: { ...made.Spec, Attachable },
    IPAMOptions: { Configs: subnet === '' ? [] : [{ Subnet: subnet }] },
    Swarmctl: { ...made.Swarmctl, Index: subnet === '' ? 0 : Number(subnet.split('.')[1]) },
  }
}

/** Two nodes; `big` is cut into blocks, `small` is not. */
const start = async () => {
  const { control, store } = newControl()
  await store.update((tx) => {
    tx.put('cluster', sampleCluster())
    tx.put('node', sampleNode('n1', 1))
    tx.put('node', sampleNode('n2', 2))
    tx.put('network', network('big', '10.5.0.0/16'))
    tx.put('network', network('small', '10.6.0.0/24'))
    tx.put('network', network('closed', '10.7.0.0/24', false))
    tx.put('network', network('young', ''))
  })
  const attach = (nodeId: string, change: Partial<AttachRequest> = {}) =>
    control.attachContainer(nodeId, {
      ...{ containerId: 'c1', name: 'alone', network: 'big', address: '', isFixed: false },
      ...{ isRunning: false, aliases: ['me'] },
      ...change,
    })
  return { control, store, attach }
}

const addressOf = (task: Task) => task.NetworksAttachments?.[0]?.Addresses[0]

const report = (store: Store, { ID, NodeID }: Task, State: TaskState) =>
  store.update((tx) => applyStatus(tx, NodeID, ID, { Timestamp: '', State, Message: '' }))

t.test('on a node-local network the node gives the addresses', async (t) => {
  const { store, attach } = await start()
  const made = network('mv', '')
  const DriverConfiguration = { Name: 'macvlan', Options: {} }
  await store.update((tx) =>
    tx.put('network', { ...made, Spec: { ...made.Spec, DriverConfiguration } }),
  )
  const task = await attach('n1', { network: 'mv' })
  t.match(task.NetworksAttachments, [{ Network: { ID: 'mv' }, Addresses: [], Aliases: ['me'] }])
  t.strictSame(task.Spec.Networks, [{ Target: 'mv' }])
  const fixed = { network: 'mv', containerId: 'c2', address: '192.168.50.9', isFixed: true }
  t.strictSame((await attach('n1', fixed)).Spec.Networks, [
    { Target: 'mv', Swarmctl: { IPv4Address: '192.168.50.9' } },
  ])
  const given = { network: 'mv', containerId: 'c3', address: '192.168.50.10' }
  t.strictSame((await attach('n1', given)).Spec.Networks, [{ Target: 'mv' }], 'the Engine’s word')
})

t.test('a container gets an address of its node, and holds it until it has ended', async (t) => {
  const { store, attach } = await start()
  const task = await attach('n1')
  t.match(task, {
    NodeID: 'n1',
    ServiceID: '',
    DesiredState: 'running',
    Spec: { Runtime: 'attachment', NetworkAttachmentSpec: { ContainerID: 'c1' } },
  })
  t.equal(addressOf(task), '10.5.1.2/16')
  t.equal(addressOf(await attach('n2')), '10.5.2.2/16')
  t.equal((await attach('n1')).ID, task.ID, 'the same container again')
  const second = await attach('n1', { containerId: 'c2' })
  t.equal(addressOf(second), '10.5.1.3/16')
  await report(store, task, 'complete')
  const back = await attach('n1', { address: '10.5.1.2' })
  t.not(back.ID, task.ID)
  t.equal(addressOf(back), '10.5.1.2/16', 'it comes back to the address that it had')
  const small = await attach('n1', { network: 'small' })
  t.equal(addressOf(small), '10.6.0.253/24', 'behind the node’s gateway, which came with it')
  t.strictSame(store.view().get('network', 'small')?.Swarmctl.Gateways, { n1: '10.6.0.254' })
})

t.test(
  'one that is asked for again before the first request is answered is the same',
  async (t) => {
    const { store, attach } = await start()
    const made = network('mv', '')
    const DriverConfiguration = { Name: 'macvlan', Options: {} }
    await store.update((tx) =>
      tx.put('network', { ...made, Spec: { ...made.Spec, DriverConfiguration } }),
    )
    // The network's mark keeps the first two apart, no later ones.
    await attach('n1', { network: 'mv', containerId: 'first' })
    for (const where of ['mv', 'big', 'small']) {
      const asked = { network: where, containerId: `on-${where}` }
      const twice = await Promise.all([attach('n1', asked), attach('n1', asked)])
      t.equal(twice[0].ID, twice[1].ID, where)
      t.not((await attach('n2', asked)).ID, twice[0].ID, `another node's on ${where}`)
    }
    const wrong = { network: 'closed', containerId: 'c9' }
    const [refused, granted] = await Promise.allSettled([
      attach('n1', wrong),
      attach('n1', { containerId: 'c9' }),
    ])
    t.strictSame([refused.status, granted.status], ['rejected', 'fulfilled'])
    t.equal(store.view().list('task').length, 8)
  },
)

t.test('an address that is asked for', async (t) => {
  const { attach } = await start()
  const wanted = { address: '10.6.0.77', network: 'small' }
  t.equal(addressOf(await attach('n1', { ...wanted, isFixed: true })), '10.6.0.77/24')
  const other = { ...wanted, containerId: 'c2' }
  await rejects(
    t,
    attach('n2', { ...other, isFixed: true }),
    400,
    'address 10.6.0.77 of network small is in use',
  )
  t.not(addressOf(await attach('n2', other)), '10.6.0.77/24', 'one that it had before is no must')
  const outside = { containerId: 'c3', network: 'small', address: '10.9.0.1', isFixed: true }
  await rejects(t, attach('n1', outside), 400, /network small has no address 10.9.0.1/)
})

t.test('what can’t be attached to, and what is no request', async (t) => {
  const { attach, control } = await start()
  const text = 'network closed not manually attachable'
  await rejects(t, attach('n1', { network: 'closed' }), 403, text)
  await rejects(t, attach('n1', { network: 'absent' }), 404, 'network absent not found')
  await rejects(t, attach('n1', { network: 'young' }), 503, /network young has no subnet yet/)
  await rejects(t, attach('gone'), 400, /node gone is not there any more/)
  await rejects(t, control.attachContainer('n1', { containerId: 7 }), 400, /containerId/)
  await rejects(t, control.attachContainer('n1', null), 400, /attachment/)
})

t.test('a node that is paused or drained takes no new containers', async (t) => {
  const { store, attach } = await start()
  const early = await attach('n1', { containerId: 'provisional', name: '' })
  const setAvailability = (Availability: 'active' | 'pause' | 'drain') =>
    store.update((tx) => {
      const node = tx.get('node', 'n1')!
      tx.put('node', { ...node, Spec: { ...node.Spec, Availability } })
    })
  for (const [availability, word] of [
    ['pause', 'paused'],
    ['drain', 'drained'],
  ] as const) {
    await setAvailability(availability)
    const text = `node host-1 is ${word} and takes no new containers: use another node, or set it to active`
    await rejects(t, attach('n1', { containerId: 'new' }), 400, text)
    const wanted = { containerId: 'new', address: '10.5.1.9', isFixed: true }
    await rejects(t, attach('n1', wanted), 400, text)
    await attach('n2', { containerId: `on-n2-while-${availability}` })
  }
  t.equal((await attach('n1', { taskId: early.ID })).ID, early.ID, 'what was begun is ended')
  t.equal((await attach('n1', { name: 'renamed' })).ID, early.ID, 'what is there stays')
  t.ok(await attach('n1', { containerId: 'of-a-restart-policy', isRunning: true }))
  await setAvailability('active')
  t.ok(await attach('n1', { containerId: 'new' }))
})

t.test('a node puts no more containers on a network than its bridge takes', async (t) => {
  const { store, attach } = await start()
  const first = await attach('n1')
  await store.update((tx) => {
    for (let i = 1; i < ATTACHMENTS_MAX; i++) {
      const NetworksAttachments = first.NetworksAttachments?.map((one) => ({
        ...one,
        Addresses: [],
      }))
      tx.put('task', {
        ...first,
        ID: `full${i}`,
        ...(NetworksAttachments && { NetworksAttachments }),
      })
    }
  })
  const text = `network big has ${ATTACHMENTS_MAX} containers on this node, which is the most: remove some`
  await rejects(t, attach('n1', { containerId: 'c2' }), 400, text)
  t.equal((await attach('n1', { name: 'renamed', taskId: first.ID })).ID, first.ID)
  t.equal(addressOf(await attach('n2', { containerId: 'c2' })), '10.5.2.2/16')
  await attach('n1', { containerId: 'c2', network: 'small' })
  await report(store, first, 'complete')
  t.ok(await attach('n1', { containerId: 'c2' }))
})

t.test('a container that is made after its attachment, and one that is renamed', async (t) => {
  const { store, attach } = await start()
  const early = await attach('n1', { containerId: 'provisional', name: '' })
  const { ID } = await attach('n1', { taskId: early.ID, aliases: ['me', 'c1'] })
  t.equal(ID, early.ID)
  const node = sampleNode('n1', 1)
  t.match(
    overlayEndpoint(store.view().get('task', ID)!, node),
    { state: 'starting', hostname: '' },
    'before it runs its name stands for nothing',
  )
  await report(store, early, 'running')
  t.match(overlayEndpoint(store.view().get('task', ID)!, node), {
    ...{ nodeId: 'n1', serviceId: '', state: 'ready', hostname: 'alone', containerId: 'c1' },
    addresses: [{ networkId: 'big', addr: '10.5.1.2', aliases: ['me', 'c1'] }],
  })
  const twin = await attach('n1', { containerId: 'early' })
  const bound = await attach('n1', { taskId: twin.ID })
  t.equal(bound.ID, twin.ID, 'the one that is named, whosever the container is')
  await report(store, bound, 'complete')
  await attach('n1', { name: 'other' })
  t.equal(overlayEndpoint(store.view().get('task', ID)!, node)?.hostname, 'other')
  t.equal(store.view().list('task').length, 2)
})

t.test('an attached network can’t be removed, and lists of tasks hide attachments', async (t) => {
  const { control, store, attach } = await start()
  const task = await attach('n1')
  await report(store, task, 'running')
  await rejects(t, control.removeNetwork('big'), 400, `network big is in use by task ${task.ID}`)
  t.strictSame(await control.listTasks(), [])
  t.strictSame(await control.listTasks({ node: ['n1'] }), [])
  const listed = await control.listTasks({ runtime: ['attachment'] })
  t.strictSame(
    listed.map(({ ID }) => ID),
    [task.ID],
  )
  const use = control.networkUse(store.view().get('network', 'big')!)
  t.strictSame(use, { Peers: [{ Name: 'n1', IP: '192.168.0.1' }], Services: {} })
  await report(store, task, 'complete')
  await control.removeNetwork('big')
})

t.test('an ended attachment goes, and one whose node was removed ends', async (t) => {
  const { store, attach } = await start()
  const task = await attach('n1')
  const tasks = () => [...store.view().list('task'), sampleTask('t2', 's1')]
  t.strictSame(planEndedAttachments(tasks()).operations, [])
  const [orphaned] = planOrphans(tasks(), new Map(), 0).operations
  t.match(orphaned, { kind: 'set-task-status', taskId: task.ID, status: { State: 'orphaned' } })
  await report(store, task, 'complete')
  t.strictSame(planEndedAttachments(tasks()).operations, [{ kind: 'remove-task', taskId: task.ID }])
})
