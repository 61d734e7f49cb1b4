import type { RaftMember } from './raft-member.ts'
import type { RaftWorld } from './raft-world.ts'

const encoder = new TextEncoder()
/** Errors of `propose` after which the command has certainly no effect. */
const NO_EFFECT = new Set(['RAFT_NOT_LEADER', 'RAFT_DROPPED', 'RAFT_LOG_FULL', 'RAFT_TOO_LARGE'])

const commandCounts = new WeakMap<RaftWorld, number>()

/** One request of a client: a few writes to whoever believes to lead, or a read anywhere. */
export function request(world: RaftWorld): void {
  const { random, faults } = world
  const any = world.pick([...world.members.values()])
  if (random() < faults.readShare) {
    const reader = random() < 0.5 ? any : (world.pick(world.leaders()) ?? any)
    if (reader !== undefined) void readFrom(world, reader)
    return
  }
  const writer = random() < 0.2 ? any : (world.pick(world.leaders()) ?? any)
  if (writer === undefined) return
  for (let left = Math.ceil(random() * 3); left > 0; left -= 1) void writeTo(world, writer)
}

/** Resolves to whether it was acknowledged. */
export async function writeTo(world: RaftWorld, member: RaftMember): Promise<boolean> {
  const { life } = member
  if (life?.started !== true || member.isPaused) return false
  const { clients } = world.checker
  const count = (commandCounts.get(world) ?? 0) + 1
  commandCounts.set(world, count)
  const command = `c${count}`
  const { mustSee } = clients
  try {
    const { index, result } = await life.node.propose(encoder.encode(command))
    if (!life.alive) return false
    if (result !== command) throw new Error(`${command} got the result of ${result}`)
    clients.onAcknowledged(command, index, mustSee)
    return true
  } catch (error) {
    onFailedWrite(world, command, error)
    return false
  }
}

function onFailedWrite(world: RaftWorld, command: string, error: unknown): void {
  if (!(error instanceof Error) || !('code' in error)) {
    world.fail(error)
    return
  }
  if (!NO_EFFECT.has(String(error.code))) return
  try {
    world.checker.clients.onNoEffect(command)
  } catch (broken) {
    world.fail(broken)
  }
}

/** Resolves to whether it could be served. */
export async function readFrom(world: RaftWorld, member: RaftMember): Promise<boolean> {
  const { life } = member
  if (life?.started !== true || member.isPaused) return false
  const { clients } = world.checker
  const { mustSee } = clients
  try {
    await life.node.readBarrier()
  } catch {
    // Nobody could say in time, or the node ended: the client asks again.
    return false
  }
  if (!life.alive) return false
  try {
    clients.onRead(member.id, life.machine.lastIndex, mustSee)
  } catch (broken) {
    world.fail(broken)
  }
  return true
}
