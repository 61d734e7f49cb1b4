import t from 'tap'
import type { ManagersList } from '../../src/api/assignment.ts'
import { managersList } from '../../src/manager/dispatcher/managers-list.ts'
import { encodeMessage } from '../../src/raft/wire.ts'
import { RpcHandlers } from '../../src/rpc/handlers.ts'
import { Host, type World } from '../support/managers/host.ts'
import { ManagerChecker } from '../support/managers/manager-checker.ts'
import { drawManagerFaults } from '../support/managers/manager-faults.ts'
import { Process } from '../support/managers/process.ts'
import { SimulatedNetwork } from '../support/managers/simulated-network.ts'
import { SimulatedPool } from '../support/managers/simulated-pool.ts'
import { Trace } from '../support/managers/trace.ts'
import { seededRandom, VirtualClock } from '../support/raft/virtual-clock.ts'

/** Enough for an election and a change of members, many times. */
const LIMIT_MS = 20_000

/** Three managers on virtual time, where nothing fails but what the test does. */
class Managers {
  readonly hosts: Host[] = []
  readonly network: SimulatedNetwork
  readonly world: World
  /** Whether agents hear who the managers are. */
  areTold = true
  /** What they hear in place of the leader's list. */
  told: ManagersList | undefined

  constructor() {
    const clock = new VirtualClock()
    const random = seededRandom(7)
    const trace = new Trace(() => clock.nowMs)
    const faults = { ...drawManagerFaults(random), skew: 0, diskMs: 1, keepEntriesMax: 1_000 }
    const calm = { loss: 0, duplication: 0, delayMs: 1, ordered: true }
    this.network = new SimulatedNetwork({ clock, random, trace, faults: calm })
    let ids = 0
    this.world = {
      ...{ clock, random, trace, faults, network: this.network, checker: new ManagerChecker() },
      isFaulty: () => false,
      newId: () => `id${String(++ids).padStart(23, '0')}`,
      onCrash: ({ id }) => t.fail(`${id} ended`),
      onKilled: () => {},
      onTouched: () => {},
      managersToldTo: () => this.told ?? (this.areTold ? this.list() : undefined),
    }
  }

  list(): ManagersList | undefined {
    const store = this.leader()?.life?.runtime.store
    return store && managersList(store.view())
  }

  leader(): Host | undefined {
    return this.hosts.find(({ life }) => life?.started && life.runtime.isLeader)
  }

  async until(isDone: () => boolean | undefined, limitMs = LIMIT_MS): Promise<boolean> {
    const { clock } = this.world as { clock: VirtualClock }
    const end = clock.nowMs + limitMs
    while (!isDone()) {
      if (!clock.step(end)) return false
      await new Promise((resolve) => setImmediate(resolve))
    }
    return true
  }

  /** Runs something at the leader, to its end. */
  async atLeader(run: (leader: Host) => Promise<unknown>): Promise<void> {
    await this.until(() => this.leader() !== undefined)
    let isDone = false
    const done = run(this.leader() as Host).finally(() => {
      isDone = true
    })
    await this.until(() => isDone)
    await done
  }

  /** The node's object as its admission, a demotion or a promotion writes it. */
  setRole(host: Host, Role: 'manager' | 'worker'): Promise<void> {
    const node = host.node()
    return this.atLeader(({ life }) =>
      (life as NonNullable<typeof life>).runtime.store.update((tx) =>
        tx.put('node', { ...(tx.get('node', host.id) ?? node), Spec: { ...node.Spec, Role } }),
      ),
    )
  }

  /** The leader stops, hands over, and comes back. */
  async restart(): Promise<void> {
    const old = this.leader()
    let isStopped = false
    void old?.life?.runtime.stop().then(() => {
      isStopped = true
    })
    await this.until(() => isStopped)
    old?.crash()
    old?.boot()
    await this.until(() => old?.life?.started && this.leader() !== undefined)
  }

  async add(): Promise<Host> {
    const host = new Host(this.world, this.hosts.length + 1)
    this.hosts.push(host)
    if (host.number > 1) await this.setRole(host, 'manager')
    host.boot()
    await this.until(() => host.life?.started && host.life.runtime.isVoter)
    return host
  }
}

const termOf = ({ life }: Host) => life?.runtime.raftStatus().term ?? 0
const appliedOf = ({ life }: Host) => life?.runtime.raftStatus().applied ?? 0

t.test('a demoted manager has no say, and leads when it was promoted again', async (t) => {
  const managers = new Managers()
  const { network, world } = managers
  const first = await managers.add()
  const [demoted, lagging, other] = [
    await managers.add(),
    await managers.add(),
    await managers.add(),
  ]
  const honest = [first, lagging, other]
  const former = managers.list() as ManagersList
  t.ok(former.managers.some(({ nodeId }) => nodeId === demoted.id))
  await managers.setRole(demoted, 'worker')
  const knows = ({ life }: Host) => life?.runtime.isDemoted(demoted.id)
  t.ok(await managers.until(() => honest.every(knows)), 'all know of the demotion')
  // Their agents' list is still that of before, as from a leader that does not know yet that it is demoted.
  managers.told = former
  await managers.until(() => false, 1_000)
  demoted.crash()
  demoted.wipe()

  // Somebody has its key and certificate.
  const thief = {
    ...{ id: demoted.id, addr: '192.168.0.99:2377', handlers: new RpcHandlers() },
    process: new Process(
      { ...world, onTouched: () => {}, onKilled: () => {} },
      { id: demoted.id, rate: 1, offsetMs: 0, killAtCall: () => 0 },
    ),
  }
  const pool = new SimulatedPool(network, thief)
  const before = honest.map(termOf)
  for (const { id: to, addr } of honest) {
    const term = termOf(first) + 5
    const [from, last] = [demoted.id, { lastIndex: 10_000, lastTerm: term - 1 }]
    let isSent = false
    const sent = pool.get(addr).then((connection) => {
      const vote = { kind: 'vote', from, to, term, ...last, force: true } as const
      const position = { prevIndex: 1, prevTerm: 1, commit: 1, entries: [] }
      connection.notify('raft.message', encodeMessage(vote))
      connection.notify(
        'raft.message',
        encodeMessage({ kind: 'append', from, to, term, ...position }),
      )
      isSent = true
    })
    await managers.until(() => isSent)
    await sent
  }
  await managers.until(() => false, 2_000)
  t.strictSame(honest.map(termOf), before, 'no term, no leader, no entry of it')
  thief.process.kill()

  // It is promoted again while one is away, and leads.
  managers.told = undefined
  await managers.until(() => false, 1_000)
  managers.areTold = false
  const links = [first, demoted, other].flatMap(({ id }) => [
    `${id} ${lagging.id}`,
    `${lagging.id} ${id}`,
  ])
  network.separate(links)
  await managers.setRole(demoted, 'manager')
  demoted.boot()
  t.ok(await managers.until(() => demoted.life?.started && demoted.life.runtime.isVoter))
  for (let tries = 0; tries < 10 && managers.leader() !== demoted; tries += 1)
    await managers.restart()
  t.equal(managers.leader(), demoted, 'it leads')
  network.heal()
  const hasAll = () => appliedOf(lagging) >= appliedOf(demoted)
  t.equal(await managers.until(hasAll, 30_000), false, 'for all that one knows it is a worker')
  managers.areTold = true
  t.equal(await managers.until(hasAll, 10_000), true, 'until its agent hears who the managers are')
  t.equal(managers.leader(), demoted)
  t.equal(world.checker.failure, undefined)
})
