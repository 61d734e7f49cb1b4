import { precondition } from '../api/errors.ts'

/**
 * Overlay traffic of a node with another port than the others' would be lost without a word. `wanted` is undefined where nothing is
 * known of the swarm's. @throws SwarmctlError FAILED_PRECONDITION
 */
export const requireDataPathPort = (wanted: number | undefined, own: number): void => {
  if (wanted === undefined || wanted === own) return
  throw precondition(
    `this swarm's data path port is ${wanted}, this daemon has ${own}: start it with --data-path-port ${wanted}`,
  )
}
