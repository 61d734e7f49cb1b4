import { invalid } from '../api/errors.ts'

/** Filters as the Engine API carries them: `{"name":{"web":true}}`, or the older `{"name":["web"]}`. */
export type Filters = Record<string, string[]>

/** Parses the `filters` query parameter. */
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
    Object.entries(value).map(([key, wanted]) => [
      key,
      Array.isArray(wanted)
        ? wanted.map(String)
        : Object.entries(wanted ?? {})
            .filter(([, on]) => on === true)
            .map(([name]) => name),
    ]),
  )
}
