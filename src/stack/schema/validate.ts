import { isMap, type Path, type Value, type ValueMap } from '../value.ts'
import type { Field, FileVersion, RecordSchema, ScalarType, Schema } from './schema.ts'
import { isAtLeast } from './version.ts'

/** One thing that a file may not say, and where. */
export interface Problem {
  path: Path
  text: string
}

/** What checking a file found: why it is refused, and the keys that it may have but that mean nothing. */
export interface Findings {
  problems: Problem[]
  ignored: Path[]
}

/** Checks `value` against `schema` as format `version` has it. Pure. */
export const validate = (schema: Schema, value: Value, version: FileVersion): Findings => {
  const findings: Findings = { problems: [], ignored: [] }
  check(schema, value, [], { version, findings })
  return findings
}

interface Context {
  version: FileVersion
  findings: Findings
}

const check = (schema: Schema, value: Value, path: Path, context: Context): void => {
  const problem = (text: string): void => {
    context.findings.problems.push({ path, text })
  }
  switch (schema.kind) {
    case 'any':
      return
    case 'scalar':
      checkScalar(schema, value, problem)
      return
    case 'list':
      if (Array.isArray(value)) checkList(schema, value, path, context)
      else problem('must be a list')
      return
    case 'map':
      if (isMap(value)) checkMap(schema, value, path, context)
      else problem('must be a mapping')
      return
    case 'record':
      if (isMap(value)) checkRecord(schema, value, path, context)
      else problem('must be a mapping')
      return
    case 'either': {
      const option = schema.options.find((candidate) => hasType(candidate, value))
      if (option === undefined) problem(`must be ${article(typeNames(schema))}`)
      else check(option, value, path, context)
      return
    }
    default:
      schema satisfies never
  }
}

const checkScalar = (
  schema: Extract<Schema, { kind: 'scalar' }>,
  value: Value,
  problem: (text: string) => void,
): void => {
  if (!hasType(schema, value)) {
    problem(`must be ${article(schema.types)}`)
    return
  }
  const text = String(value)
  if (schema.choices !== undefined && !schema.choices.includes(text)) {
    problem(`must be one of the following: ${schema.choices.map((one) => `"${one}"`).join(', ')}`)
  }
  try {
    schema.check?.(text)
  } catch (thrown) {
    problem(thrown instanceof Error ? thrown.message : String(thrown))
  }
}

const checkList = (
  schema: Extract<Schema, { kind: 'list' }>,
  items: readonly Value[],
  path: Path,
  context: Context,
): void => {
  const seen = new Map<string, number>()
  for (const [index, item] of items.entries()) {
    check(schema.items, item, [...path, index], context)
    const text = canonical(item)
    const before = schema.unique ? seen.get(text) : undefined
    if (before !== undefined) {
      const problem = `array items[${before},${index}] must be unique`
      context.findings.problems.push({ path, text: problem })
    }
    seen.set(text, index)
  }
}

const checkMap = (
  schema: Extract<Schema, { kind: 'map' }>,
  map: ValueMap,
  path: Path,
  context: Context,
): void => {
  for (const [key, item] of Object.entries(map)) {
    if (schema.names === null || schema.names.test(key)) {
      check(schema.values, item, [...path, key], context)
    } else {
      const text = `Additional property ${key} is not allowed`
      context.findings.problems.push({ path, text })
    }
  }
}

const checkRecord = (schema: RecordSchema, map: ValueMap, path: Path, context: Context): void => {
  for (const [key, item] of Object.entries(map)) {
    const field = Object.hasOwn(schema.fields, key) ? schema.fields[key] : undefined
    const known = field === undefined ? null : schemaIn(field, context.version)
    if (known !== null) check(known, item, [...path, key], context)
    else checkUnknown(schema, field, key, path, context)
  }
  for (const key of schema.required) {
    if (!Object.hasOwn(map, key)) {
      context.findings.problems.push({ path, text: `${key} is required` })
    }
  }
}

const checkUnknown = (
  schema: RecordSchema,
  field: Field | undefined,
  key: string,
  path: Path,
  { version, findings }: Context,
): void => {
  const extensions = schema.extensionsSince
  if (key.startsWith('x-') && extensions !== null && isAtLeast(version, extensions)) return
  switch (schema.unknown) {
    case 'accept':
      return
    case 'note':
      findings.ignored.push([...path, key])
      return
    case 'refuse': {
      const hint = field?.since ? ` in a version ${version} file; it came with ${field.since}` : ''
      const text = `Additional property ${key} is not allowed${hint}`
      findings.problems.push({ path, text })
      return
    }
    default:
      schema.unknown satisfies never
  }
}

const schemaIn = (field: Field, version: FileVersion): Schema | null =>
  field.since === null || isAtLeast(version, field.since) ? field.schema : field.before

const hasType = (schema: Schema, value: Value): boolean => {
  switch (schema.kind) {
    case 'any':
      return true
    case 'scalar':
      return schema.types.some((type) => isScalarType(type, value))
    case 'list':
      return Array.isArray(value)
    case 'map':
    case 'record':
      return isMap(value)
    case 'either':
      return schema.options.some((option) => hasType(option, value))
    default:
      return schema satisfies never
  }
}

const isScalarType = (type: ScalarType, value: Value): boolean => {
  switch (type) {
    case 'null':
      return value === null
    case 'integer':
      return typeof value === 'bigint' || Number.isInteger(value)
    case 'number':
      return typeof value === 'bigint' || typeof value === 'number'
    case 'string':
    case 'boolean':
      return typeof value === type
    default:
      return type satisfies never
  }
}

const typeNames = (schema: Schema): string[] => {
  switch (schema.kind) {
    case 'any':
      return ['value']
    case 'scalar':
      return [...schema.types]
    case 'list':
      return ['list']
    case 'map':
    case 'record':
      return ['mapping']
    case 'either':
      return [...new Set(schema.options.flatMap(typeNames))]
    default:
      return schema satisfies never
  }
}

/** `a string, number or null`. */
const article = (types: readonly string[]): string => {
  const names =
    types.length === 1 ? types[0] : `${types.slice(0, -1).join(', ')} or ${types.at(-1)}`
  return `${types[0] === 'integer' ? 'an' : 'a'} ${names}`
}

/** Equal for equal values, whatever the order of keys. */
const canonical = (value: Value): string => {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  if (!isMap(value)) return `${typeof value === 'string' ? 'text' : 'other'}:${String(value)}`
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join()}}`
}
