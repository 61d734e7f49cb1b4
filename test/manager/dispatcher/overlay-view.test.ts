import fc from 'fast-check'
import t from 'tap'
import type { OverlayChange, OverlayView } from '../../../src/api/overlay-view.ts'
import {
  diffOverlayView,
  mergeOverlayChanges,
} from '../../../src/manager/dispatcher/overlay-change.ts'
import { OverlayTracker } from '../../../src/manager/dispatcher/overlay-tracker.ts'
import {
  emptyOverlayView,
  endpointState,
  overlayEndpoint,
  overlayNetwork,
  overlayService,
  overlayView,
} from '../../../src/manager/dispatcher/overlay-view.ts'
import { Bench, overlay, taskOn } from '../../support/dispatcher/bench.ts'
import { sampleNetwork, sampleNode, sampleService } from '../../support/objects.ts'

const at = (State: string, DesiredState: string) =>
  taskOn(
    't',
    'n1',
    {
      Status: { Timestamp: '', State: State as never, Message: '' },
      DesiredState: DesiredState as never,
    },
    '10.1.1.2/16',
  )

t.test('where an endpoint stands', async (t) => {
  const cases: [string, string, string | undefined][] = [
    ['assigned', 'running', 'starting'],
    ['starting', 'running', 'starting'],
    ['ready', 'ready', 'starting'],
    ['running', 'running', 'ready'],
    ['running', 'complete', 'ready'],
    ['running', 'shutdown', 'draining'],
    ['starting', 'remove', 'draining'],
    ['failed', 'running', undefined],
    ['shutdown', 'shutdown', undefined],
    ['complete', 'complete', undefined],
  ]
  for (const [state, desired, wanted] of cases)
    t.equal(
      overlayEndpoint(at(state, desired), sampleNode('n1', 1))?.state,
      wanted,
      `${state}, wanted ${desired}`,
    )
  t.equal(endpointState(at('running', 'running')), 'ready')
  const down = sampleNode('n1', 1, { Status: { State: 'down', Addr: '' } })
  t.equal(overlayEndpoint(at('running', 'running'), down), undefined, 'its node is down')
  t.equal(overlayEndpoint(at('running', 'running'), undefined), undefined)
  t.equal(overlayEndpoint(taskOn('t', 'n1'), sampleNode('n1', 1)), undefined, 'it has no address')
  const named = at('running', 'running')
  named.Spec = { ContainerSpec: { Hostname: 'db-{{.Task.Slot}}' } } as never
  t.match(overlayEndpoint(named, sampleNode('n1', 1)), {
    hostname: 'db-1',
    addresses: [{ networkId: 'net1', addr: '10.1.1.2', aliases: [] }],
  })
  const ContainerStatus = { ContainerID: '0123456789abcdef', PID: 7, ExitCode: 0 }
  const ran = (state: string) => {
    const task = at(state, 'running')
    task.Status = { ...task.Status, ContainerStatus }
    return overlayEndpoint(task, sampleNode('n1', 1))
  }
  t.match(ran('running'), { slot: 1, shortId: '0123456789ab' })
  t.equal(ran('starting')?.shortId, undefined, 'no change of its own')
  t.equal(ran('running')?.targets, undefined)
  const serving = at('running', 'running')
  const port = (PublishMode: 'ingress' | 'host', PublishedPort: number) => ({
    ...{ Protocol: 'tcp' as const, TargetPort: 80, PublishMode, PublishedPort },
  })
  serving.Swarmctl.Endpoint = { Ports: [port('ingress', 8080), port('host', 81)] }
  t.strictSame(overlayEndpoint(serving, sampleNode('n1', 1))?.targets, { 'tcp/8080': 80 })
})

t.test('services and networks', async (t) => {
  const service = sampleService('web', 'web', {
    Endpoint: {
      Spec: { Mode: 'vip' },
      VirtualIPs: [{ NetworkID: 'net1', Addr: '10.1.0.5/16' }],
      Ports: [
        { Protocol: 'tcp', TargetPort: 80, PublishedPort: 8080, PublishMode: 'ingress' },
        { Protocol: 'tcp', TargetPort: 81, PublishedPort: 8081, PublishMode: 'host' },
      ],
    },
  })
  service.Spec.TaskTemplate.Networks = [{ Target: 'net1', Aliases: ['www'] }, { Target: 'net2' }]
  t.match(overlayService(service), {
    vips: [{ networkId: 'net1', addr: '10.1.0.5' }],
    aliases: [{ networkId: 'net1', names: ['www'] }],
    ports: [{ TargetPort: 80 }],
  })
  t.equal(overlayService(service)?.ports.length, 1)
  t.equal(overlayService(sampleService('job', 'job')), undefined, 'nothing to send to it')
  t.match(overlayNetwork(overlay('net1', 7)), { index: 7, subnet: '10.7.0.0/16', mtu: 0 })
  t.equal(overlayNetwork(overlay('net1', 7))?.encrypted, false)
  for (const encrypted of ['', 'true', 'false']) {
    const network = overlay('net1', 7)
    network.Spec.DriverConfiguration.Options = { encrypted }
    t.equal(overlayNetwork(network)?.encrypted, true, 'its presence counts, as in Docker’s driver')
  }
  t.equal(overlayNetwork(sampleNetwork('n', 'n')), undefined, 'not allocated yet')
})

/** What a node makes of changes. */
const applied = (view: OverlayView, change: OverlayChange): OverlayView => {
  const part = (kind: keyof OverlayView) => {
    const map = new Map(view[kind] as Map<string, { id?: string; taskId?: string }>)
    for (const id of change[kind].remove) map.delete(id)
    for (const value of change[kind].put as { id?: string; taskId?: string }[])
      map.set((value.id ?? value.taskId)!, value)
    return new Map([...map].sort(([a], [b]) => (a < b ? -1 : 1)))
  }
  return {
    nodes: part('nodes'),
    networks: part('networks'),
    services: part('services'),
    endpoints: part('endpoints'),
  } as never
}
const sorted = (view: OverlayView): OverlayView =>
  applied(view, diffOverlayView(emptyOverlayView(), emptyOverlayView()))

t.test('the tracker is always equal to the whole view, and changes add up', async () => {
  const operation = fc.record({
    what: fc.constantFrom('task', 'state', 'desired', 'remove', 'node', 'service', 'rmservice'),
    id: fc.integer({ min: 0, max: 4 }),
    value: fc.integer({ min: 0, max: 4 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 30 }), async (operations) => {
      const b = new Bench()
      await b.store.update((tx) => {
        for (const i of [1, 2]) tx.put('node', sampleNode(`n${i}`, i))
      })
      const tracker = new OverlayTracker()
      tracker.reset(b.store.view())
      b.store.watch((changes) => {
        for (const change of changes) tracker.note(change, b.store.view())
      })
      let stepwise = sorted(tracker.current)
      let merged: OverlayChange | undefined
      const start = stepwise
      for (const { what, id, value } of operations) {
        await b.store.update((tx) => {
          const task = tx.get('task', `t${id}`)
          const node = tx.get('node', `n${1 + (id % 2)}`)!
          if (what === 'task' && task === undefined)
            tx.put('task', taskOn(`t${id}`, `n${1 + (value % 2)}`, {}, `10.1.1.${id}/16`))
          if (what === 'state' && task !== undefined)
            tx.put('task', {
              ...task,
              Status: {
                ...task.Status,
                State: (['assigned', 'running', 'failed'] as const)[value % 3]!,
              },
            })
          if (what === 'desired' && task !== undefined)
            tx.put('task', { ...task, DesiredState: value % 2 === 0 ? 'running' : 'shutdown' })
          if (what === 'remove' && task !== undefined) tx.remove('task', `t${id}`)
          if (what === 'node')
            tx.put('node', {
              ...node,
              Status: { ...node.Status, State: value % 2 === 0 ? 'ready' : 'down' },
            })
          if (what === 'service')
            tx.put(
              'service',
              sampleService(`s${id}`, `s${id}`, {
                Endpoint: { Spec: { Mode: value % 2 === 0 ? 'vip' : 'dnsrr' } },
              }),
            )
          if (what === 'rmservice' && tx.get('service', `s${id}`) !== undefined)
            tx.remove('service', `s${id}`)
        })
        if (value % 2 === 0) continue
        const change = tracker.take(b.store.view())
        if (change === undefined) continue
        stepwise = applied(stepwise, change)
        merged = merged === undefined ? change : mergeOverlayChanges(merged, change)
      }
      const last = tracker.take(b.store.view())
      if (last !== undefined) {
        stepwise = applied(stepwise, last)
        merged = merged === undefined ? last : mergeOverlayChanges(merged, last)
      }
      const whole = sorted(overlayView(b.store.view()))
      t.strictSame(sorted(tracker.current), whole)
      t.strictSame(stepwise, whole)
      if (merged !== undefined) t.strictSame(applied(start, merged), whole)
    }),
    { numRuns: 60 },
  )
})
