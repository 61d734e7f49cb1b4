import t from 'tap'
import type { Node } from '../../../src/api/node.ts'
import {
  type Member,
  managerStatusOf,
  planMembership,
} from '../../../src/manager/membership/plan-membership.ts'

const node = (ID: string, role: 'worker' | 'manager', observed = role): Node =>
  ({
    ID,
    Spec: { Role: role, Availability: 'active', Labels: {} },
    Swarmctl: { Index: 1, ObservedRole: observed, Addr: `${ID}:2377` },
  }) as unknown as Node

const member = (id: string, over: Partial<Member> = {}): Member => ({
  id,
  addr: `${id}:2377`,
  isVoter: true,
  isActive: true,
  isCaughtUp: true,
  ...over,
})

const three = ['a', 'b', 'c']
const managers = three.map((id) => node(id, 'manager'))
const members = three.map((id) => member(id))

t.test('nothing to do when members are the managers', async (t) => {
  t.equal(planMembership(managers, members, 'a'), undefined)
  t.equal(planMembership([...managers, node('w', 'worker')], members, 'a'), undefined)
})

t.test('a new manager becomes a learner, and a voter when it has caught up', async (t) => {
  const nodes = [...managers, node('d', 'manager')]
  t.strictSame(planMembership(nodes, members, 'a'), {
    kind: 'add-learner',
    id: 'd',
    addr: 'd:2377',
  })
  const learner = member('d', { isVoter: false, isCaughtUp: false })
  t.equal(planMembership(nodes, [...members, learner], 'a'), undefined, 'it waits')
  t.strictSame(planMembership(nodes, [...members, { ...learner, isCaughtUp: true }], 'a'), {
    kind: 'promote',
    id: 'd',
  })
  const promoted = node('d', 'manager', 'worker')
  t.equal(planMembership([...managers, promoted], members, 'a'), undefined, 'no certificate yet')
})

t.test('who is to be a worker, or is gone, is removed; the leader hands over first', async (t) => {
  const demoted = [node('a', 'manager'), node('b', 'worker', 'manager'), node('c', 'manager')]
  t.strictSame(planMembership(demoted, members, 'a'), { kind: 'remove', id: 'b' })
  t.strictSame(planMembership(demoted, members, 'b'), { kind: 'transfer', to: 'a' })
  t.strictSame(planMembership(managers.slice(0, 2), members, 'a'), { kind: 'remove', id: 'c' })
})

t.test('a removal that would leave no majority waits', async (t) => {
  const demoted = [node('a', 'manager'), node('b', 'worker', 'manager'), node('c', 'manager')]
  const cDown = [member('a'), member('b'), member('c', { isActive: false })]
  t.equal(planMembership(demoted, cDown, 'a'), undefined)
  t.equal(planMembership([node('a', 'worker', 'manager')], [member('a')], 'a'), undefined)
})

t.test('a change of members comes one at a time, removals first', async (t) => {
  const nodes = [node('a', 'manager'), node('b', 'manager'), node('d', 'manager')]
  t.strictSame(planMembership(nodes, members, 'a'), { kind: 'remove', id: 'c' })
})

t.test("a manager's status", async (t) => {
  t.strictSame(managerStatusOf(member('a'), 'a'), {
    Leader: true,
    Reachability: 'reachable',
    Addr: 'a:2377',
  })
  t.match(managerStatusOf(member('b', { isActive: false }), 'a'), { Reachability: 'unreachable' })
  t.equal(managerStatusOf(undefined, 'a'), undefined)
})

t.test('a member that registered under another address is known by it', async (t) => {
  const moved = { ...node('b', 'manager') }
  moved.Swarmctl = { ...moved.Swarmctl, Addr: '10.0.0.9:2377' }
  const nodes = [node('a', 'manager'), moved, node('c', 'manager')]
  const step = planMembership(nodes, members, 'a')
  t.match(step, { kind: 'set-addr', member: { id: 'b', isVoter: true }, addr: '10.0.0.9:2377' })
  const unknown = { ...moved, Swarmctl: { ...moved.Swarmctl, Addr: '' } }
  t.equal(planMembership([nodes[0], unknown, nodes[2]] as Node[], members, 'a'), undefined)
})

t.test('a learner that is silent gets no vote: it would be missing for a majority', async (t) => {
  const nodes = [...managers, node('d', 'manager')]
  const silent = member('d', { isVoter: false, isActive: false })
  t.equal(planMembership(nodes, [...members, silent], 'a'), undefined)
})
