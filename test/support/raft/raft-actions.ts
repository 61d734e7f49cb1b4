// The faults of a run, one at a time, each of which ends by itself.

import { FAULT_MS, TICK_MS } from './raft-faults.ts'
import type { RaftMember } from './raft-member.ts'
import { changeMembers } from './raft-membership-changes.ts'
import { readFrom, writeTo } from './raft-workload.ts'
import type { RaftWorld } from './raft-world.ts'

type Action = (world: RaftWorld, member: RaftMember) => void

/** Does one of the things that the faults of this run allow, or nothing. */
export function act(world: RaftWorld): void {
  const { odds } = world.faults
  const any = world.pick([...world.members.values()])
  // Half of what happens happens to the leader: there it hurts most.
  const member = world.random() < 0.5 ? any : (world.leader() ?? any)
  if (member?.life === undefined) return
  const actions: readonly [number, Action][] = [
    [odds.crash, (_, one) => crash(world, one)],
    [odds.storm, storm],
    [odds.partition, partition],
    [odds.lonely, isolateLeader],
    [odds.deposed, deposeUnheard],
    [odds.flicker, flicker],
    [odds.clog, clog],
    [odds.pause, pause],
    [odds.fullDisk, fillDisk],
    [odds.failedSync, failSync],
    [odds.slowDisk, slowDown],
    [odds.membership, changeMembers],
    [odds.transfer, transfer],
  ]
  for (const [odd, action] of actions) {
    if (world.random() >= odd) continue
    action(world, member)
    return
  }
}

function crash(world: RaftWorld, member: RaftMember): void {
  member.crash()
  world.later(world.random() * FAULT_MS, () => member.boot())
}

function storm(world: RaftWorld, first: RaftMember): void {
  for (const member of world.members.values()) {
    if (member === first || world.random() < 0.5) crash(world, member)
  }
}

/** Two sides that don't hear each other, or one of which hears the other; or single links. */
function partition(world: RaftWorld): void {
  const { network, random } = world
  network.healAll()
  world.later(random() * 2 * FAULT_MS, () => network.healAll())
  const ids = [...world.members.keys()]
  if (random() < 0.3) {
    for (const a of ids) for (const b of ids) if (random() < 0.3) network.cut(a, b)
    return
  }
  const side = new Set(ids.filter(() => random() < 0.5))
  const symmetric = random() < 0.5
  for (const a of ids) {
    for (const b of ids) {
      if (side.has(a) === side.has(b)) continue
      if (symmetric || side.has(a)) network.cut(a, b)
    }
  }
}

/** A leader with entries that only one other gets, or nobody, while the rest elects another one. */
function isolateLeader(world: RaftWorld): void {
  const { network, random, faults } = world
  const leader = world.leader()
  if (leader === undefined) return
  network.healAll()
  const others = [...world.members.keys()].filter((id) => id !== leader.id)
  // The slow one, if there is one, so that the same positions are overwritten while its disk is busy.
  const slow = [...world.members.values()].find((one) => one.isSlow)?.id
  const friend = random() < 0.6 ? (slow ?? world.pick(others)) : undefined
  const deaf = random() < 0.5
  for (const id of others) {
    if (id === friend) continue
    network.cut(leader.id, id)
    if (deaf) network.cut(id, leader.id)
  }
  for (let left = Math.ceil(random() * 3); left > 0; left -= 1) void writeTo(world, leader)
  const electionMs = faults.electionTicks * TICK_MS
  world.later(electionMs * (0.3 + random() * 4), () => network.healAll())
  if (random() < 0.3) world.later(random() * electionMs, () => crash(world, leader))
}

/**
 * The others elect another leader, and the old one hears nothing of that, only late answers to what it said
 * before, while clients go on to ask it.
 */
function deposeUnheard(world: RaftWorld): void {
  const { network, random, faults, clock } = world
  const leader = world.leader()
  if (leader === undefined) return
  network.healAll()
  const others = [...world.members.keys()].filter((id) => id !== leader.id)
  const friend = world.pick(others)
  const electionMs = faults.electionTicks * TICK_MS
  const lateMs = electionMs * (1 + random() * 1.5)
  for (const id of others) {
    if (id === friend) network.clog(id, leader.id, clock.nowMs + lateMs)
    else network.cut(id, leader.id)
  }
  world.later(random() * electionMs, () => {
    for (const id of others) network.cut(leader.id, id)
  })
  for (let afterMs = 0; afterMs < lateMs; afterMs += lateMs / 20) {
    world.later(afterMs, () => void readFrom(world, leader))
  }
  world.later(lateMs * 1.2, () => network.healAll())
}

/** A process that ends and begins again a few times, and reads each time; the leader's answers come late. */
function flicker(world: RaftWorld, member: RaftMember): void {
  const { random, network, clock } = world
  const pauseMs = 10 + random() * 60
  const times = 2 + Math.floor(random() * 4)
  for (const id of world.members.keys()) {
    if (random() < 0.5) network.clog(id, member.id, clock.nowMs + pauseMs * times * random())
  }
  for (let time = 0; time < times; time += 1) {
    world.later(time * pauseMs, () => {
      member.crash()
      member.boot()
    })
    world.later(time * pauseMs + pauseMs * random(), () => void readFrom(world, member))
  }
}

function clog(world: RaftWorld, member: RaftMember): void {
  const untilMs = world.clock.nowMs + world.random() * FAULT_MS
  for (const id of world.members.keys()) {
    if (world.random() < 0.5) world.network.clog(member.id, id, untilMs)
    if (world.random() < 0.3) world.network.clog(id, member.id, untilMs)
  }
}

function pause(world: RaftWorld, member: RaftMember): void {
  member.pausedUntilMs = world.clock.nowMs + world.random() * FAULT_MS
}

function fillDisk(world: RaftWorld, member: RaftMember): void {
  member.walDisk.full = true
  world.later(world.random() * FAULT_MS, () => {
    member.walDisk.full = false
  })
}

function failSync(_world: RaftWorld, member: RaftMember): void {
  member.walDisk.failing = true
}

function slowDown(world: RaftWorld, member: RaftMember): void {
  member.slowUntilMs = world.clock.nowMs + world.random() * 2 * FAULT_MS
}

function transfer(world: RaftWorld): void {
  const leader = world.leader()
  const to = world.pick([...(leader?.status?.voters ?? [])])
  // Refused, or not done in time: both are answers.
  if (to !== undefined) leader?.life?.node.transferLeadership(to).catch(() => {})
}
