// The end of a run. First a quorum is healed and must go on, whatever the others do; then all are healed and
// must agree.

import type { RaftMember } from './raft-member.ts'
import { readFrom, writeTo } from './raft-workload.ts'
import type { RaftWorld } from './raft-world.ts'

/** How long, in simulated time, until a quorum works, and until all agree. */
const QUORUM_MS = 15_000
const STEADY_MS = 2_500
/**
 * One leader may still fall after the quorum was cut off: a member that slept wakes up to votes granted before there was that leader,
 * and its answers of a higher term get through. The next leader stays.
 */
const STEADY_TRIALS = 2
/** Enough to read a disk. */
const START_MS = 20
const AGREE_MS = 25_000

/** A majority that must do without the others, and the voters and the index at which that was so. */
interface Core {
  readonly members: readonly RaftMember[]
  readonly voters: readonly string[]
  readonly applied: number
}

/** Throws when the cluster does not recover. */
export async function mustRecover(world: RaftWorld): Promise<void> {
  world.isCalm = true
  world.network.isCalm = true
  // Those that are down may know newer members than those that are up.
  for (const member of world.members.values()) member.boot()
  await world.advance(START_MS)
  const core = chooseCore(world)
  if (core !== undefined) {
    heal(world, core.members)
    await mustWork(world, core)
  }
  heal(world, [...world.members.values()])
  await mustAgree(world)
}

/**
 * A majority of the voters that stays up; the others crash for good, or hear nothing, or are not heard.
 * Undefined when the voters may still change, so that nobody can say which majority it takes.
 */
function chooseCore(world: RaftWorld): Core | undefined {
  const all = [...world.members.values()]
  const newest = all.reduce<RaftMember | undefined>((best, one) => {
    const isNewer = (one.status?.applied ?? -1) > (best?.status?.applied ?? -1)
    return isNewer ? one : best
  }, undefined)
  const status = newest?.status
  if (status === undefined || status.joint) return undefined
  if (isChanging(world, status.applied) || all.some(({ life }) => life?.started !== true)) {
    return undefined
  }
  const voters = status.voters.flatMap((id) => world.members.get(id) ?? [])
  const shuffled = voters.sort(() => world.random() - 0.5)
  const core = shuffled.slice(0, Math.floor(voters.length / 2) + 1)
  if (core.some((one) => one.isEmpty) || !knowsMembers(core, newest)) return undefined
  isolate(
    world,
    core,
    all.filter((one) => !core.includes(one)),
  )
  return { members: core, voters: status.voters, applied: status.applied }
}

/**
 * Whether one of them applied the last change of the members. Members count when their change is applied, as in etcd: a majority of the new ones,
 * none of whom heard that the change is committed, needs one of the old (docs/design/raft.md, Limits).
 */
function knowsMembers(core: readonly RaftMember[], newest: RaftMember | undefined): boolean {
  const applied = newest?.status?.applied ?? 0
  const changes = newest?.walDisk.entries.filter(
    ({ index, kind }) => kind === 'membership' && index <= applied,
  )
  const changedAt = changes?.at(-1)?.index ?? newest?.walDisk.base.index ?? 0
  return core.some(({ status }) => (status?.applied ?? 0) >= changedAt)
}

/** Whether a change of the members is under way or was made after an index. */
function isChanging(world: RaftWorld, after: number): boolean {
  return [...world.members.values()].some(({ walDisk }) =>
    walDisk.entries.some(({ index, kind }) => kind === 'membership' && index > after),
  )
}

/** A change that was not on a disk yet when the core was chosen may be in a snapshot by now. */
function hasOtherVoters(world: RaftWorld, voters: readonly string[], after: number): boolean {
  return [...world.members.values()].some(
    ({ status }) =>
      status !== undefined &&
      status.applied > after &&
      (status.joint || status.voters.join() !== voters.join()),
  )
}

function isolate(world: RaftWorld, core: readonly RaftMember[], others: readonly RaftMember[]) {
  world.network.healAll()
  for (const other of others) {
    if (world.random() < 0.2) {
      other.isDown = true
      other.crash()
      continue
    }
    const [hears, isHeard] = [world.random() < 0.4, world.random() < 0.7]
    for (const one of core) {
      if (!hears) world.network.cut(one.id, other.id)
      if (!isHeard || hears) world.network.cut(other.id, one.id)
    }
  }
}

function heal(world: RaftWorld, members: readonly RaftMember[]): void {
  if (members.length === world.members.size) world.network.healAll()
  for (const member of members) {
    member.isDown = false
    member.pausedUntilMs = 0
    member.clockFactor = 1
    member.walDisk.full = false
    member.walDisk.failing = false
    member.boot()
  }
}

/** The quorum writes and reads, has applied the same, and keeps its leader; unless the members change. */
async function mustWork(world: RaftWorld, { members, voters, applied }: Core): Promise<void> {
  const isOff = () => isChanging(world, applied) || hasOtherVoters(world, voters, applied)
  const works = async () => {
    const leader = leaderOf(members)
    const reached = leader?.status?.applied
    return (
      leader !== undefined &&
      members.every(({ status }) => status?.applied === reached) &&
      // The read first: it must not need a write to know what is committed (§6.4).
      (await within(world, readFrom(world, world.pick(members) ?? leader))) &&
      (await within(world, writeTo(world, leader)))
    )
  }
  const among = `of ${members.map(({ id }) => id)} alone`
  await until(world, QUORUM_MS, async () => isOff() || (await works()), `no progress ${among}`)
  const termOf = () => leaderOf(members)?.status?.term
  let [term, now] = [termOf(), termOf()]
  for (let trial = 0; trial < STEADY_TRIALS; trial += 1) {
    term = now
    await world.advance(STEADY_MS)
    now = termOf()
    if (term === now || isOff()) return
  }
  throw new Error(`term ${term} became ${now} ${among}: ${describe(world)}`)
}

/** All members have applied the same. Those who are none have nothing to say. */
async function mustAgree(world: RaftWorld): Promise<void> {
  let written = false
  const agrees = async () => {
    const leader = leaderOf([...world.members.values()])
    if (leader === undefined) return false
    written ||= await within(world, writeTo(world, leader))
    return written && hasAgreed(world)
  }
  await until(world, AGREE_MS, agrees, 'no agreement')
}

function hasAgreed(world: RaftWorld): boolean {
  const leader = leaderOf([...world.members.values()])
  const status = leader?.status
  if (status === undefined || status.joint) return false
  const lastIndex = leader?.life?.machine.lastIndex
  for (const [id, { life }] of world.members) {
    if (life?.started !== true) return false
    if (!status.members.has(id)) continue
    if (life.node.status().applied !== status.applied) return false
    // A snapshot that is taken over counts as applied before the state machine has it.
    if (life.machine.lastIndex !== lastIndex) return false
    if (life.node.status().removed) throw new Error(`${id} is a member and believes it was removed`)
    world.checker.clients.checkNothingLost(id, life.machine.commands)
  }
  return true
}

function leaderOf(members: readonly RaftMember[]): RaftMember | undefined {
  const leading = members.filter(({ status }) => status?.role === 'leader')
  return leading.sort((a, b) => (b.status?.term ?? 0) - (a.status?.term ?? 0))[0]
}

/** What an operation gives within a second. */
async function within(world: RaftWorld, operation: Promise<boolean>): Promise<boolean> {
  let result = false
  void operation.then((done) => {
    result = done
  })
  for (let waited = 0; waited < 1_000 && !result; waited += 50) await world.advance(50)
  return result
}

async function until(
  world: RaftWorld,
  ms: number,
  isDone: () => Promise<boolean>,
  what: string,
): Promise<void> {
  const deadline = world.clock.nowMs + ms
  while (!(await isDone())) {
    if (world.clock.nowMs >= deadline) throw new Error(`${what}: ${describe(world)}`)
    await world.advance(200)
  }
}

function describe(world: RaftWorld): string {
  return [...world.members.values()]
    .map(({ id, status }) => {
      if (status === undefined) return `${id} down`
      const { role, term, applied, committed, lastIndex, voters, learners } = status
      const config = `voters ${voters} learners ${learners} removed ${status.removed}`
      return `${id} ${role} term ${term} applied ${applied}/${committed}/${lastIndex} ${config}`
    })
    .join('; ')
}
