import t from 'tap'
import { eventMatches, swarmEvent } from '../../src/http/swarm-events.ts'
import { sampleNode, sampleService } from '../support/objects.ts'

const NOW_MS = 1_700_000_000_000

t.test('what has changed in a service', async (t) => {
  const old = sampleService('s1', 'web')
  const attributes = (from: object, to: object) =>
    swarmEvent(
      { kind: 'service', action: 'update', object: { ...old, ...to }, old: { ...old, ...from } },
      NOW_MS,
    )?.Actor.Attributes
  const updating = { UpdateStatus: { State: 'updating' } }
  const done = { UpdateStatus: { State: 'completed' } }
  t.strictSame(attributes({}, updating), { name: 'web', 'updatestate.new': 'updating' })
  t.strictSame(attributes(updating, done), {
    name: 'web',
    'updatestate.old': 'updating',
    'updatestate.new': 'completed',
  })
  t.strictSame(attributes(done, {}), { name: 'web' })
})

t.test('what has changed in a node', async (t) => {
  const old = sampleNode('n1', 1)
  const attributes = (from: object, to: object) =>
    swarmEvent(
      { kind: 'node', action: 'update', object: { ...old, ...to }, old: { ...old, ...from } },
      NOW_MS,
    )?.Actor.Attributes
  const name = old.Description.Hostname
  const { ManagerStatus: _, ...worker } = old
  const manager = (Leader: boolean) => ({
    ManagerStatus: { Leader, Reachability: 'reachable', Addr: '' },
  })
  t.strictSame(attributes({ ManagerStatus: undefined }, manager(true)), { name })
  t.strictSame(attributes(manager(false), manager(true)), {
    name,
    'leader.old': 'false',
    'leader.new': 'true',
  })
  t.strictSame(attributes({}, { Spec: { ...worker.Spec, Name: 'mine' } }), { name: 'mine' })
  const role = (ObservedRole: string) => ({ Swarmctl: { ...old.Swarmctl, ObservedRole } })
  t.strictSame(attributes(role('worker'), role('manager')), {
    name,
    'role.old': 'worker',
    'role.new': 'manager',
  })
})

t.test('filters of events', async (t) => {
  const event = swarmEvent(
    { kind: 'service', action: 'create', object: sampleService('s1abc', 'web-front') } as never,
    NOW_MS,
  )!
  const passing = [
    {},
    { service: ['web-front'] },
    { service: ['web'] },
    { service: ['other', 's1'] },
    { type: ['service', 'node'], scope: ['swarm'] },
    { event: ['create'] },
    { label: ['name=web-front'] },
    // The Engine knows no such key either, and lets everything through.
    { nope: ['x'] },
    { service: [] },
  ]
  for (const filters of passing) t.ok(eventMatches(event, filters), JSON.stringify(filters))
  const stopping = [
    { service: ['front'] },
    { node: ['other'] },
    { container: ['x'] },
    { image: ['nginx'] },
    { type: ['node'] },
    { event: ['creat'] },
    { scope: ['local'] },
    { label: ['com.example'] },
    { type: ['service'], event: ['remove'] },
  ]
  for (const filters of stopping) t.notOk(eventMatches(event, filters), JSON.stringify(filters))
})
