/** The types that a scalar of a stack file may have; `number` includes integers. */
export type ScalarType = 'string' | 'number' | 'integer' | 'boolean' | 'null'

/** What a value may be. Data, so that it can be read as the format's documentation. */
export type Schema =
  | {
      kind: 'scalar'
      types: readonly ScalarType[]
      choices?: readonly string[]
      check?: Check
      /** What messages call it, where that is not its types. */
      called?: ScalarType
    }
  | { kind: 'list'; items: Schema; unique: boolean }
  | { kind: 'map'; names: RegExp | null; values: Schema }
  | RecordSchema
  | { kind: 'either'; options: readonly Schema[] }
  | { kind: 'any' }

/** A mapping with known keys. */
export interface RecordSchema {
  kind: 'record'
  fields: Readonly<Record<string, Schema>>
  required: readonly string[]
  /** What becomes of keys that are not in `fields`; `note` accepts them and names them in a warning. `x-…` keys are always accepted. */
  unknown: 'refuse' | 'note' | 'accept'
}

/** Throws an Error whose message says what is wrong with the text or number. */
export type Check = (text: string) => void

export const scalar = (...types: readonly ScalarType[]): Schema => ({ kind: 'scalar', types })
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

/** A mapping with the given keys and no others, unless `options` say so. */
export const record = (
  fields: Readonly<Record<string, Schema>>,
  options: Partial<Pick<RecordSchema, 'required' | 'unknown'>> = {},
): RecordSchema => ({
  kind: 'record',
  fields,
  required: options.required ?? [],
  unknown: options.unknown ?? 'refuse',
})
