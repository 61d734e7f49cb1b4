/** Thrown when the code, not its surroundings, is wrong: a broken invariant of consensus. It is never caught. */
export class RaftInvariantError extends Error {
  override readonly name = 'RaftInvariantError'
}

/** Ends the operation when an invariant is broken; also in production, since going on could lose a write. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new RaftInvariantError(message)
}
