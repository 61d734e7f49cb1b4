/**
 * The untyped tree that a stack file's YAML becomes. An integer is a bigint and a float a number, because Docker prints
 * `10000000` and `1e7` differently where a string is wanted.
 */
export type Scalar = string | bigint | number | boolean | null

/** Any node of the tree. */
export type Value = Scalar | Value[] | ValueMap

/** A mapping; keys are always strings. */
export interface ValueMap {
  [key: string]: Value
}

/** Where a node stands: keys and list indexes from the root. */
export type Path = readonly (string | number)[]

/** Whether `value` is a mapping. */
export const isMap = (value: Value | undefined): value is ValueMap =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A mapping's own entry; a key such as `constructor` finds nothing that the file does not say. */
export const entry = (map: ValueMap, key: string): Value | undefined =>
  Object.hasOwn(map, key) ? map[key] : undefined

/** A path as messages show it: `services.web.ports.0`; the root is `(root)`. */
export const pathText = (path: Path): string => (path.length === 0 ? '(root)' : path.join('.'))

/**
 * A scalar as the text that reaches labels, environment and options. Floats print as Go's `%v` does (1e+06, not 1000000),
 * since that is what the docker CLI sends for the same file.
 */
export const scalarText = (value: Scalar): string =>
  typeof value === 'number' ? floatText(value) : String(value)

/** Decimal exponents that Go prints without an `e` (strconv, format `g`, shortest). */
const EXPONENT_FIXED_MIN = -4
const EXPONENT_FIXED_MAX = 5

const floatText = (value: number): string => {
  const [digits = '', exponentDigits = '0'] = value.toExponential().split('e')
  const exponent = Number(exponentDigits)
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  if (exponent >= EXPONENT_FIXED_MIN && exponent <= EXPONENT_FIXED_MAX) {
    return fixedText(digits, exponent)
  }
  const sign = exponent < 0 ? '-' : '+'
  return `${digits}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`
}

const fixedText = (digits: string, exponent: number): string => {
  const sign = digits.startsWith('-') ? '-' : ''
  const plain = digits.replace('-', '').replace('.', '')
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${plain}`
  const whole = plain.slice(0, exponent + 1).padEnd(exponent + 1, '0')
  const fraction = plain.slice(exponent + 1)
  return fraction === '' ? sign + whole : `${sign}${whole}.${fraction}`
}
