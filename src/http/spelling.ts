import type { z } from 'zod'

/** What of a zod schema's definition is looked at here. */
interface Definition {
  type: string
  shape?: Record<string, z.ZodType>
  innerType?: z.ZodType
  element?: z.ZodType
  out?: z.ZodType
}

const definitionOf = (schema: z.ZodType): Definition => schema.def as unknown as Definition

/**
 * A copy whose keys are spelt as the schema spells them: Go's decoder, and so Docker, takes any mix of upper and lower case, and clients
 * rely on it (python's docker sends `{"replicated": …}`). Keys of maps that a user fills, and those that the schema does not know, stay.
 */
export const speltAs = (schema: z.ZodType, value: unknown): unknown => {
  const { type, shape, innerType, element, out } = definitionOf(schema)
  if (type === 'array' && element !== undefined && Array.isArray(value)) {
    return value.map((item) => speltAs(element, item))
  }
  if (type === 'object' && shape !== undefined) return withKeysOf(shape, value)
  const inner = innerType ?? out
  return inner === undefined ? value : speltAs(inner, value)
}

/** Of a key that comes in several spellings the last one counts (Go's encoding/json). */
const withKeysOf = (shape: Record<string, z.ZodType>, value: unknown): unknown => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const spelling = new Map(Object.keys(shape).map((key) => [key.toLowerCase(), key]))
  const spelt = new Map<string, unknown>()
  for (const [key, child] of Object.entries(value)) {
    const known = Object.hasOwn(shape, key) ? key : spelling.get(key.toLowerCase())
    if (known === undefined) spelt.set(key, child)
    else spelt.set(known, speltAs(shape[known]!, child))
  }
  return Object.fromEntries(spelt)
}
