import { reasonOf } from '../stack-error.ts'
import { isMap, type Path, type Value, type ValueMap } from '../value.ts'
import type { RecordSchema, ScalarType, Schema } from './schema.ts'

/** One thing that a file may not say, and where. */
export interface Problem {
  path: Path
  text: string
  /** The key that its line is of, where that is not the path's. */
  key?: string
}

/** What checking a file found: why it is refused, and the keys that it may have but that mean nothing. */
export interface Findings {
  problems: Problem[]
  ignored: Path[]
}

/** Checks `value` against `schema`. Pure. */
export const validate = (schema: Schema, value: Value): Findings => {
  const findings: Findings = { problems: [], ignored: [] }
  check(schema, value, [], findings)
  return findings
}

const check = (schema: Schema, value: Value, path: Path, findings: Findings): void => {
  const problem = (text: string): void => {
    findings.problems.push({ path, text })
  }
  switch (schema.kind) {
    case 'any':
      return
    case 'scalar':
      checkScalar(schema, value, problem)
      return
    case 'list':
      if (Array.isArray(value)) checkList(schema, value, path, findings)
      else problem('must be a list')
      return
    case 'map':
      if (isMap(value)) checkMap(schema, value, path, findings)
      else problem('must be a mapping')
      return
    case 'record':
      if (isMap(value)) checkRecord(schema, value, path, findings)
      else problem('must be a mapping')
      return
    case 'either': {
      const option = schema.options.find((candidate) => hasType(candidate, value))
      if (option === undefined) problem(`must be ${article(typeNames(schema))}`)
      else check(option, value, path, findings)
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
    problem(`must be ${article(typeNames(schema))}`)
    return
  }
  const text = String(value)
  if (schema.choices !== undefined && !schema.choices.includes(text)) {
    problem(`must be one of the following: ${schema.choices.map((one) => `"${one}"`).join(', ')}`)
  }
  try {
    schema.check?.(text)
  } catch (thrown) {
    problem(reasonOf(thrown))
  }
}

const checkList = (
  schema: Extract<Schema, { kind: 'list' }>,
  items: readonly Value[],
  path: Path,
  findings: Findings,
): void => {
  const seen = new Map<string, number>()
  for (const [index, item] of items.entries()) {
    check(schema.items, item, [...path, index], findings)
    if (!schema.unique) continue
    const text = canonical(item)
    const before = seen.get(text)
    if (before !== undefined) {
      const problem = `array items[${before},${index}] must be unique`
      findings.problems.push({ path, text: problem })
    }
    seen.set(text, index)
  }
}

const checkMap = (
  schema: Extract<Schema, { kind: 'map' }>,
  map: ValueMap,
  path: Path,
  findings: Findings,
): void => {
  for (const [key, item] of Object.entries(map)) {
    if (schema.names === null || schema.names.test(key)) {
      check(schema.values, item, [...path, key], findings)
    } else {
      const text = `Additional property ${key} is not allowed`
      findings.problems.push({ path, text, key })
    }
  }
}

const checkRecord = (schema: RecordSchema, map: ValueMap, path: Path, findings: Findings): void => {
  for (const [key, item] of Object.entries(map)) {
    const field = Object.hasOwn(schema.fields, key) ? schema.fields[key] : undefined
    if (field !== undefined) check(field, item, [...path, key], findings)
    else if (!key.startsWith('x-')) checkUnknown(schema, key, path, findings)
  }
  for (const key of schema.required) {
    if (!Object.hasOwn(map, key)) {
      findings.problems.push({ path, text: `${key} is required` })
    }
  }
}

const checkUnknown = (schema: RecordSchema, key: string, path: Path, findings: Findings): void => {
  switch (schema.unknown) {
    case 'accept':
      return
    case 'note':
      findings.ignored.push([...path, key])
      return
    case 'refuse': {
      const text = `Additional property ${key} is not allowed${suggestion(key, schema)}`
      findings.problems.push({ path, text, key })
      return
    }
    default:
      schema.unknown satisfies never
  }
}

/** Shorter keys are too like each other. */
const SUGGESTED_LENGTH_MIN = 3

/** The key that was probably meant. */
const suggestion = (key: string, schema: RecordSchema): string => {
  const near =
    key.length < SUGGESTED_LENGTH_MIN
      ? undefined
      : Object.keys(schema.fields).find((known) => isOneEditAway(known, key))
  return near === undefined ? '' : `; did you mean ${near}?`
}

/** Whether two words differ by one letter that is missing, added, changed or swapped with its neighbour. */
const isOneEditAway = (a: string, b: string): boolean => {
  let start = 0
  while (start < a.length && a[start] === b[start]) start++
  const [restA, restB] = [a.slice(start), b.slice(start)]
  return (
    restA.slice(1) === restB ||
    restA === restB.slice(1) ||
    restA.slice(1) === restB.slice(1) ||
    (restA.slice(2) === restB.slice(2) && restA[0] === restB[1] && restA[1] === restB[0])
  )
}

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
      return schema.called === undefined ? [...schema.types] : [schema.called]
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
