/** What a schema left of a value, with what it does not know put back, and where that was. */
interface Kept {
  value: unknown
  /** Paths as `TaskTemplate.ContainerSpec.Novelty`. */
  unknown: string[]
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * Puts back what a schema dropped: a client's spec has to come back as it was sent, with the fields of an API that is newer than this
 * program. An empty string that a schema dropped is a choice that was not made, so it stays away.
 */
export const keepUnknown = (sent: unknown, parsed: unknown, path = ''): Kept => {
  const at = (key: string | number) => (path === '' ? String(key) : `${path}.${key}`)
  if (Array.isArray(sent) && Array.isArray(parsed)) {
    const kept = parsed.map((value, i) => keepUnknown(sent[i], value, at(i)))
    return { value: kept.map(({ value }) => value), unknown: kept.flatMap((one) => one.unknown) }
  }
  if (!isObject(sent) || !isObject(parsed)) return { value: parsed, unknown: [] }
  const unknown: string[] = []
  const entries = Object.entries(parsed)
  for (const entry of entries) {
    const [key, value] = entry
    if (!Object.hasOwn(sent, key)) continue
    const kept = keepUnknown(sent[key], value, at(key))
    entry[1] = kept.value
    unknown.push(...kept.unknown)
  }
  for (const [key, value] of Object.entries(sent)) {
    if (Object.hasOwn(parsed, key) || value === '' || value === undefined) continue
    entries.push([key, value])
    unknown.push(at(key))
  }
  return { value: Object.fromEntries(entries), unknown }
}
