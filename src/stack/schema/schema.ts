/** The types that a scalar of a stack file may have; `number` includes integers. */
export type ScalarType = 'string' | 'number' | 'integer' | 'boolean' | 'null'

/** A compose file format version, as `3.8`. */
export type FileVersion = `3.${number}`

/** What a value may be. Data, so that it can be read as the format's documentation. */
export type Schema =
  | { kind: 'scalar'; types: readonly ScalarType[]; choices?: readonly string[]; check?: Check }
  | { kind: 'list'; items: Schema; unique: boolean }
  | { kind: 'map'; names: RegExp | null; values: Schema }
  | RecordSchema
  | { kind: 'either'; options: readonly Schema[] }
  | { kind: 'any' }

/** A mapping with known keys. */
export interface RecordSchema {
  kind: 'record'
  fields: Readonly<Record<string, Field>>
  required: readonly string[]
  /** From which version `x-…` keys are allowed; null: never. */
  extensionsSince: FileVersion | null
  /** What becomes of keys that are not in `fields`; `note` accepts them and names them in a warning. */
  unknown: 'refuse' | 'note' | 'accept'
}

/** A key's schema and the version that brought it, or brought a wider form of it. */
export interface Field {
  schema: Schema
  since: FileVersion | null
  /** The form before `since`; null: the key was unknown. */
  before: Schema | null
}

/** Throws an Error whose message says what is wrong with the text or number. */
export type Check = (text: string) => void

export const scalar = (...types: readonly ScalarType[]): Schema => ({ kind: 'scalar', types })
export const string = scalar('string')
export const integer = scalar('integer')
export const number = scalar('number')
export const boolean = scalar('boolean')
export const any: Schema = { kind: 'any' }

export const checked = (check: Check, ...types: readonly ScalarType[]): Schema => ({
  kind: 'scalar',
  types,
  check,
})

export const choice = (...choices: readonly string[]): Schema => ({
  kind: 'scalar',
  types: ['string'],
  choices,
})

export const list = (items: Schema): Schema => ({ kind: 'list', items, unique: false })
export const uniqueList = (items: Schema): Schema => ({ kind: 'list', items, unique: true })

/** A mapping whose keys the user chooses; `names` is what they must match, null anything. */
export const mapOf = (values: Schema, names: RegExp | null = null): Schema => ({
  kind: 'map',
  names,
  values,
})

export const either = (...options: readonly Schema[]): Schema => ({ kind: 'either', options })

/** A field that `version` brought; `before` is its earlier form, if it had one. */
export const since = (
  version: FileVersion,
  schema: Schema,
  before: Schema | null = null,
): Field => ({ schema, since: version, before })

/** A mapping with the given keys and no others, unless `options` say so. */
export const record = (
  fields: Readonly<Record<string, Schema | Field>>,
  options: Partial<Pick<RecordSchema, 'required' | 'extensionsSince' | 'unknown'>> = {},
): RecordSchema => ({
  kind: 'record',
  fields: Object.fromEntries(
    Object.entries(fields).map(([name, field]) => [
      name,
      'kind' in field ? { schema: field, since: null, before: null } : field,
    ]),
  ),
  required: options.required ?? [],
  extensionsSince: options.extensionsSince ?? null,
  unknown: options.unknown ?? 'refuse',
})

export const stringList = uniqueList(string)
export const stringOrList = either(string, stringList)
/** `KEY: value` pairs as a mapping, or a list of `KEY=value`. */
export const pairs = either(mapOf(scalar('string', 'number', 'null'), /./), stringList)
export const driverOptions = mapOf(scalar('string', 'number'))
