import { invalid } from './errors.ts'

/** Filters of a list request: values of a key are alternatives (labels all hold), keys must all match. */
export type Filters = Record<string, string[]>

/** @throws SwarmctlError INVALID_ARGUMENT for a key that the list does not know */
export const requireFilterKeys = (filters: Filters, known: readonly string[]): void => {
  for (const key of Object.keys(filters)) {
    if (!known.includes(key)) throw invalid(`invalid filter '${key}'`)
  }
}

/** @throws SwarmctlError INVALID_ARGUMENT for a value that the key can never have */
export const requireFilterValues = (
  filters: Filters,
  key: string,
  known: readonly string[],
): void => {
  for (const value of filters[key] ?? []) {
    if (!known.includes(value)) throw invalid(`invalid ${key} filter: '${value}'`)
  }
}

export const matchesAny = (values: readonly string[] | undefined, actual: string): boolean =>
  values === undefined || values.length === 0 || values.includes(actual)

export const matchesPrefix = (values: readonly string[] | undefined, actual: string): boolean =>
  values === undefined || values.length === 0 || values.some((value) => actual.startsWith(value))

/** Docker's local network list matches any part of a name. */
export const matchesPart = (values: readonly string[] | undefined, actual: string): boolean =>
  values === undefined || values.length === 0 || values.some((value) => actual.includes(value))

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

/** Docker's words for true: `1`, `true`. */
export const filterFlag = (filters: Filters, key: string): boolean | undefined => {
  const value = filters[key]?.[0]
  if (value === undefined) return undefined
  if (value === '1' || value === 'true') return true
  if (value === '0' || value === 'false') return false
  throw invalid(`invalid ${key} filter: '${value}'`)
}
