/** What a service is by having it, however empty. */
const MODES: ReadonlySet<string> = new Set(['Global', 'GlobalJob'])

/** `value` without properties that say nothing, as the orchestrator sees it: undefined, null, empty lists and mappings. */
export const withoutEmpty = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutEmpty)
  if (!isRecord(value)) return value
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, item]): [string, unknown] => [key, withoutEmpty(item)])
      .filter(([key, item]) => !isNothing(item) || (item && MODES.has(key))),
  )
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isNothing = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  (typeof value === 'object' && Object.keys(value).length === 0)
