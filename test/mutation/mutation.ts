/** One known defect of Raft implementations, as a change of the sources that only a test run sees. */
export interface Mutation {
  readonly name: string
  /** Relative to the root of the project. */
  readonly file: string
  /** Occurs exactly once in the file; `test/mutation/mutations.test.ts` makes sure of it. */
  readonly original: string
  readonly mutated: string
  /** Who had it, or which rule it breaks. */
  readonly reference: string
}

/** Where a mutation stands in the text of its file. Throws when it is not there exactly once. */
export function positionOf(mutation: Mutation, text: string): number {
  const at = text.indexOf(mutation.original)
  if (at === -1) throw new Error(`${mutation.name}: ${mutation.file} lacks the original text`)
  if (text.indexOf(mutation.original, at + 1) !== -1) {
    throw new Error(`${mutation.name}: ${mutation.file} has the original text more than once`)
  }
  return at
}

/** The text of the mutation's file with the defect in it. */
export function mutate(mutation: Mutation, text: string): string {
  const at = positionOf(mutation, text)
  const { original, mutated } = mutation
  return text.slice(0, at) + mutated + text.slice(at + original.length)
}
