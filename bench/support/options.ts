/** Reads the flags that benchmarks share; each throws with the flag and what was given. */

/** A count of at least 1. */
export const readCount = (flag: string, given: string): number => {
  const value = Number(given)
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${flag} ${given}`)
  return value
}

/** The one of `known` that was named. */
export const readOneOf = <T extends string>(
  flag: string,
  given: string,
  known: readonly T[],
): T => {
  const found = known.find((one) => one === given)
  if (found === undefined) throw new Error(`--${flag} ${given}`)
  return found
}

export const readFormat = (given: string): 'table' | 'json' =>
  readOneOf('format', given, ['table', 'json'])

/** The names of a list that is parted by commas, in the order in which they are known; all of `fallback` when none was given. */
export const readNames = <T extends string>(
  flag: string,
  given: string | undefined,
  known: readonly T[],
  fallback: readonly T[] = known,
): readonly T[] => {
  if (given === undefined) return fallback
  const names = given.split(',')
  const unknown = names.filter((name) => !known.some((one) => one === name))
  if (unknown.length > 0) throw new Error(`--${flag}: no ${unknown.join(', ')}`)
  return known.filter((one) => names.includes(one))
}
