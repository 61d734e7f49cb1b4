import { isChoice } from '../enumeration-words.ts'

/** What a schema left of a value, with what it does not know put back, and where that was. */
interface Kept {
  value: unknown
  /** Paths as `TaskTemplate.ContainerSpec.Novelty`. */
  unknown: string[]
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Whether the schema dropped nothing: what most requests are, and then nothing has to be put together anew. */
const isWhole = (sent: unknown, parsed: unknown): boolean => {
  if (Array.isArray(sent) && Array.isArray(parsed)) {
    return parsed.every((value, i) => isWhole(sent[i], value))
  }
  if (!isObject(sent) || !isObject(parsed)) return true
  for (const key of Object.keys(sent)) {
    const isThere = Object.hasOwn(parsed, key)
    if (isThere ? !isWhole(sent[key], parsed[key]) : isKept(key, sent[key])) return false
  }
  return true
}

/** A choice that was not made is dropped for good. */
const isKept = (key: string, dropped: unknown): boolean =>
  dropped !== undefined && !(dropped === '' && isChoice(key))

/**
 * Puts back what a schema dropped: a client's spec has to come back as it was sent, with the fields of an API that is newer than this
 * program.
 */
export const keepUnknown = (sent: unknown, parsed: unknown): Kept =>
  isWhole(sent, parsed) ? { value: parsed, unknown: [] } : putBack(sent, parsed, '')

const putBack = (sent: unknown, parsed: unknown, path: string): Kept => {
  const at = (key: string | number) => (path === '' ? String(key) : `${path}.${key}`)
  if (Array.isArray(sent) && Array.isArray(parsed)) {
    const kept = parsed.map((value, i) => putBack(sent[i], value, at(i)))
    return { value: kept.map(({ value }) => value), unknown: kept.flatMap((one) => one.unknown) }
  }
  if (!isObject(sent) || !isObject(parsed)) return { value: parsed, unknown: [] }
  const unknown: string[] = []
  const entries = Object.entries(parsed)
  for (const entry of entries) {
    const [key, value] = entry
    if (!Object.hasOwn(sent, key)) continue
    const kept = putBack(sent[key], value, at(key))
    entry[1] = kept.value
    unknown.push(...kept.unknown)
  }
  for (const [key, value] of Object.entries(sent)) {
    if (Object.hasOwn(parsed, key) || !isKept(key, value)) continue
    entries.push([key, value])
    // Go's clients send an empty text for nothing: that asks for no effect.
    if (value !== '') unknown.push(at(key))
  }
  return { value: Object.fromEntries(entries), unknown }
}
