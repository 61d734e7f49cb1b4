import { SwarmctlError } from '../../api/errors.ts'
import type { Node } from '../../api/node.ts'

/** A node's index is one octet of its block's address, without 0 and 255 (design §8). */
export const NODE_INDEX_MAX = 254

/** The smallest index that no node has. Throws FAILED_PRECONDITION when all 254 are taken. */
export const freeNodeIndex = (nodes: readonly Node[]): number => {
  const taken = new Set(nodes.map((node) => node.Swarmctl.Index))
  for (let index = 1; index <= NODE_INDEX_MAX; index++) {
    if (!taken.has(index)) return index
  }
  throw new SwarmctlError(
    'FAILED_PRECONDITION',
    `the cluster is full: it has ${NODE_INDEX_MAX} nodes; remove one that is down with \`swarmctl node rm\``,
  )
}
