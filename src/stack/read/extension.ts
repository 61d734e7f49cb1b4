import { z } from 'zod'
import { ServiceExtension } from '../../api/service-spec.ts'
import { parseBytes } from '../parse/bytes.ts'
import { parseDuration } from '../parse/duration.ts'
import { at, StackFileProblem } from '../stack-error.ts'
import { isMap, type Path, type Value } from '../value.ts'

/**
 * `x-swarmctl` as the API's `Swarmctl`: `drain_limit: 30s` becomes `DrainLimit: 30000000000`. Keys may be written in either case;
 * text where the API wants a number is a duration, or what the key's name says. The API's own schema says what exists, so that a field added there works here.
 * Thrown: StackFileProblem.
 */
export const readExtension = (value: Value, path: Path): Record<string, unknown> => {
  const adapted = adapt(ServiceExtension, value, path)
  const result = z.strictObject(ServiceExtension.shape).safeParse(adapted)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const isMissing = /received undefined/.test(issue?.message ?? '')
  throw new StackFileProblem(
    [...path, ...(issue?.path.map(String) ?? [])],
    isMissing ? 'is missing' : (issue?.message ?? ''),
  )
}

const adapt = (schema: unknown, value: Value, path: Path): unknown => {
  const inner = unwrap(schema)
  if (Array.isArray(value)) {
    const element = inner instanceof z.ZodArray ? inner.element : undefined
    return value.map((item, index) => adapt(element, item, [...path, index]))
  }
  if (isMap(value)) return adaptMap(inner, value, path)
  if (typeof value === 'bigint') return Number(value)
  if (typeof value === 'string' && inner instanceof z.ZodNumber) {
    return at(path, () => parseNumber(String(path.at(-1)), value))
  }
  return value
}

/** Keys of numbers that are no durations. */
const COUNTED = /^(?:min|max)$|(?:percent|cpus|bytes)$/i

/** `3`, `70%`, `64M` or `30s`, by the key. */
const parseNumber = (key: string, text: string): number => {
  if (!COUNTED.test(key)) return parseDuration(text)
  if (/bytes$/i.test(key)) return parseBytes(text)
  const [, digits, sign] = /^(\d+)(%?)$/.exec(text) ?? []
  if (digits === undefined || (sign === '%' && !/percent$/i.test(key))) {
    throw new Error(`invalid number "${text}"`)
  }
  return Number(digits)
}

const adaptMap = (
  schema: unknown,
  map: Record<string, Value>,
  path: Path,
): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(map).map(([key, item]) => {
      const shape = schema instanceof z.ZodObject ? (schema.shape as Record<string, unknown>) : null
      const name = shape === null ? key : pascalCase(key)
      if (shape !== null && !Object.hasOwn(shape, name)) {
        const known = Object.keys(shape).map(snakeCase).join(', ')
        throw new StackFileProblem(
          path,
          `Additional property ${key} is not allowed; known: ${known}`,
        )
      }
      const field = schema instanceof z.ZodRecord ? schema.valueType : shape?.[name]
      return [name, adapt(field, item, [...path, key])]
    }),
  )

const unwrap = (schema: unknown): unknown => {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) {
    return unwrap(schema.unwrap())
  }
  return schema
}

const pascalCase = (key: string): string =>
  key.replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase())

const snakeCase = (name: string): string =>
  name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase()
