import type { Node } from '../../api/node.ts'
import { timeMs } from './task-facts.ts'

/**
 * How long tasks of vanished nodes are left alone when most of the cluster vanished at once, milliseconds. Then rather this manager's
 * network failed than all those nodes, and starting everything on the few that are left would drown them.
 */
export const BRAKE_HOLD_MS = 30_000
/** Fewer nodes than this never hold: in a small cluster losing one or two is an ordinary failure. */
export const BRAKE_NODES_MIN = 3
/** The share of the nodes that must vanish within BRAKE_HOLD_MS. */
export const BRAKE_SHARE = 0.5

/**
 * In a cluster that large a lost node is acted on this much later, milliseconds: nodes that vanish together are noticed one by one
 * within a heartbeat's period. Short enough for tasks to run elsewhere within 5 s of the loss.
 */
export const BRAKE_SETTLE_MS = 500

/** Nodes whose tasks are not replaced yet, and when to look again (milliseconds since the epoch). */
export interface Brake {
  held: Set<string>
  /** Whether most of the cluster vanished, rather than one node a moment ago. */
  isEngaged: boolean
  untilMs?: number
}

/** A node's own UpdatedAt tells when it went down: nothing else is written to a node without an agent. */
export const planBrake = (nodes: readonly Node[], nowMs: number): Brake => {
  const down = nodes.filter((node) => node.Status.State === 'down')
  const recent = down.filter((node) => hasHappenedWithin(node, BRAKE_HOLD_MS, nowMs))
  const present = nodes.length - down.length + recent.length
  const isEngaged = recent.length >= BRAKE_NODES_MIN && recent.length > present * BRAKE_SHARE
  if (isEngaged) return hold(recent, BRAKE_HOLD_MS, true)
  if (present <= BRAKE_NODES_MIN) return hold([], 0, false)
  const settling = recent.filter((node) => hasHappenedWithin(node, BRAKE_SETTLE_MS, nowMs))
  return hold(settling, BRAKE_SETTLE_MS, false)
}

/** What was written in the future was written before the clock was set back: it must not hold tasks until then. */
const hasHappenedWithin = (node: Node, durationMs: number, nowMs: number): boolean => {
  const sinceMs = nowMs - timeMs(node.UpdatedAt)
  return sinceMs > -durationMs && sinceMs < durationMs
}

const hold = (nodes: readonly Node[], durationMs: number, isEngaged: boolean): Brake => {
  const held = new Set(nodes.map((node) => node.ID))
  if (nodes.length === 0) return { held, isEngaged }
  const untilMs = Math.min(...nodes.map((node) => timeMs(node.UpdatedAt))) + durationMs
  return { held, isEngaged, untilMs }
}
