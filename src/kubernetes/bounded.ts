/** Nodes that one document may unfold to through aliases. */
const NODE_COUNT_MAX = 1_000_000

/** Thrown: Error, for a tree that aliases make too large, or a part of itself. */
export const requireBounded = (tree: unknown): void => {
  const open = new Set<object>()
  let count = 0
  const visit = (value: unknown): void => {
    count += 1
    if (count > NODE_COUNT_MAX)
      throw new Error(`aliases unfold to more than ${NODE_COUNT_MAX} nodes`)
    if (typeof value !== 'object' || value === null) return
    if (open.has(value)) throw new Error('an anchor contains its own alias')
    open.add(value)
    for (const item of Object.values(value)) visit(item)
    open.delete(value)
  }
  visit(tree)
}
