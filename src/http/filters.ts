import { invalid } from '../api/errors.ts'
import type { Filters } from '../api/filters.ts'

/** Parses the `filters` query parameter: `{"name":{"web":true}}`, or the older `{"name":["web"]}`. */
export const parseFilters = (text: string | null): Filters => {
  if (!text) return {}
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw invalid(`invalid filters: ${(error as Error).message}`)
  }
  if (value === null) return {}
  if (typeof value !== 'object' || Array.isArray(value)) throw invalid('invalid filters: not a map')
  return Object.fromEntries(
    Object.entries(value).map(([key, wanted]) => [key, valuesOf(key, wanted)]),
  )
}

const valuesOf = (key: string, wanted: unknown): string[] => {
  if (Array.isArray(wanted)) return wanted.map(String)
  if (typeof wanted !== 'object') throw invalid(`invalid filters: "${key}" is not a map`)
  return Object.entries(wanted ?? {})
    .filter(([, on]) => on === true)
    .map(([name]) => name)
}
