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

/** Nodes whose tasks are not replaced yet, and when to look again (milliseconds since the epoch). */
export interface Brake {
  held: Set<string>
  untilMs?: number
}

/** A node's own UpdatedAt tells when it went down: nothing else is written to a node without an agent. */
export const planBrake = (nodes: readonly Node[], nowMs: number): Brake => {
  const down = nodes.filter((node) => node.Status.State === 'down')
  const recent = down.filter((node) => timeMs(node.UpdatedAt) + BRAKE_HOLD_MS > nowMs)
  const present = nodes.length - down.length + recent.length
  if (recent.length < BRAKE_NODES_MIN || recent.length <= present * BRAKE_SHARE) {
    return { held: new Set() }
  }
  const untilMs = Math.min(...recent.map((node) => timeMs(node.UpdatedAt))) + BRAKE_HOLD_MS
  return { held: new Set(recent.map((node) => node.ID)), untilMs }
}
