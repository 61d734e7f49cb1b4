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
 * rely on it (python's docker sends `{"replicated": …}`). A key that is spelt right wins over one that is not.
 */
export const withSchemaKeys = (schema: z.ZodType, value: unknown): unknown => {
  const { type, shape, innerType, element, out } = definitionOf(schema)
  if (type === 'array' && element !== undefined && Array.isArray(value)) {
    return value.map((item) => withSchemaKeys(element, item))
  }
  if (type === 'object' && shape !== undefined) return withKeysOf(shape, value)
  const inner = innerType ?? out
  return inner === undefined ? value : withSchemaKeys(inner, value)
}

const withKeysOf = (shape: Record<string, z.ZodType>, value: unknown): unknown => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const spelling = new Map(Object.keys(shape).map((key) => [key.toLowerCase(), key]))
  const entries = Object.entries(value).flatMap(([key, child]): [string, unknown][] => {
    const known = Object.hasOwn(shape, key) ? key : spelling.get(key.toLowerCase())
    if (known === undefined) return [[key, child]]
    if (known !== key && Object.hasOwn(value, known)) return []
    return [[known, withSchemaKeys(shape[known]!, child)]]
  })
  return Object.fromEntries(entries)
}
