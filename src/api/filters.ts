import { invalid } from './errors.ts'

/** Filters of a list request: values of a key are alternatives (labels all hold), keys must all match. */
export type Filters = Record<string, string[]>

/** @throws SwarmctlError INVALID_ARGUMENT for a key that the list does not know */
export const requireFilterKeys = (filters: Filters, known: readonly string[]): void => {
  for (const key of Object.keys(filters)) {
    if (!known.includes(key)) throw invalid(`invalid filter '${key}'`)
  }
}

/**
 * The values of a key that has only these, which may be written in any case; an empty one stands for no filter.
 * @throws SwarmctlError INVALID_ARGUMENT for a value that the key can never have
 */
export const filterWords = (filters: Filters, key: string, known: readonly string[]): string[] =>
  (filters[key] ?? [])
    .filter((value) => value !== '')
    .map((value) => {
      const word = value.toLowerCase()
      if (!known.includes(word)) throw invalid(`Invalid ${key} filter: '${value}'`)
      return word
    })

export const matchesAny = (values: readonly string[] | undefined, actual: string): boolean =>
  values === undefined || values.length === 0 || values.includes(actual)

export const matchesPrefix = (values: readonly string[] | undefined, actual: string): boolean =>
  values === undefined || values.length === 0 || values.some((value) => actual.startsWith(value))

/**
 * As Docker matches names and ids of networks: as a whole, or by a pattern that fits any part (`^web$`). What is no pattern fits nothing. One
 * may take long on purpose; whoever may ask rules the cluster.
 */
export const matchesPattern = (values: readonly string[] | undefined, actual: string): boolean =>
  values === undefined ||
  values.length === 0 ||
  values.some((value) => value === actual || patternOf(value)?.test(actual) === true)

const patternOf = (text: string): RegExp | undefined => {
  try {
    return new RegExp(text)
  } catch {
    return undefined
  }
}

/** Each of `key`, `key=` (present) and `key=value` must hold. */
export const matchesLabels = (
  values: readonly string[] | undefined,
  labels: Readonly<Record<string, string>>,
): boolean =>
  (values ?? []).every((wanted) => {
    const equals = wanted.indexOf('=')
    const key = equals < 0 ? wanted : wanted.slice(0, equals)
    const value = equals < 0 ? '' : wanted.slice(equals + 1)
    return Object.hasOwn(labels, key) && (value === '' || labels[key] === value)
  })

/** Docker's words for true (`1`, `true`) and false; absent: undefined. @throws SwarmctlError INVALID_ARGUMENT */
export const filterFlag = (filters: Filters, key: string): boolean | undefined => {
  const [value, ...more] = filters[key] ?? []
  if (value === undefined) return undefined
  if (more.length > 0) throw invalid(`got more than one value for filter key "${key}"`)
  if (value === '1' || value === 'true') return true
  if (value === '0' || value === 'false') return false
  throw invalid(`invalid value for filter '${key}', must be "true" (or "1"), or "false" (or "0")`)
}
