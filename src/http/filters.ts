import { z } from 'zod'
import { invalid } from '../api/errors.ts'
import type { Filters } from '../api/filters.ts'

/** A key's values, as the keys of a map or as the older list. */
const FilterValues = z.union([
  z.record(z.string(), z.boolean()),
  z.array(z.string()),
  z.null().transform(() => []),
])
const FiltersParameter = z.record(z.string(), FilterValues).nullable()

/**
 * Parses the `filters` query parameter: `{"name":{"web":true}}`, or the older `{"name":["web"]}`. As in the Engine a value is one by being
 * there: `{"web":false}` is no wish for all others.
 */
export const parseFilters = (text: string | null): Filters => {
  if (!text) return {}
  const { data, error } = FiltersParameter.safeParse(parseText(text))
  if (error) throw invalid('invalid filter: it must be like {"name":{"web":true}}')
  return Object.fromEntries(
    Object.entries(data ?? {}).map(([key, values]) => [
      key,
      Array.isArray(values) ? values : Object.keys(values),
    ]),
  )
}

const parseText = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw invalid(`invalid filter: ${(error as Error).message}`)
  }
}
