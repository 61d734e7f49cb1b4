import type { Scalar } from '../value.ts'

/**
 * What an unquoted scalar means to the docker CLI's YAML reader: YAML 1.2 booleans only (`yes`, `on` and `off` are strings),
 * YAML 1.1 octals (`010` is 8), `_` between digits, and no sexagesimals (`22:22` is a string).
 */
export const plainScalar = (text: string): Scalar => {
  if (NULLS.has(text)) return null
  if (TRUES.has(text)) return true
  if (FALSES.has(text)) return false
  const special = SPECIAL_FLOATS.get(text.toLowerCase())
  if (special !== undefined && SPECIAL_SPELLING.test(text)) return special
  if (/^\.[0-9]/.test(text) && FLOAT.test(text)) return Number(text)
  if (!/^[-+0-9]/.test(text)) return text
  return timestamp(text) ?? numeral(text.replaceAll('_', '')) ?? text
}

/**
 * What a scalar with an explicit tag means, quoted or not: YAML's own types say how its text is read, and any other leaves it as it is.
 * Thrown: Error, when the text is nothing of that type.
 */
export const taggedScalar = (tag: string, text: string): Scalar => {
  const type = /^tag:yaml\.org,2002:(.+)$/.exec(tag)?.[1] ?? ''
  if (type === 'binary') return binary(text)
  const isOfType = TYPES.get(type)
  if (isOfType === undefined) return text
  const value = plainScalar(text)
  if (!isOfType(value, text)) throw new Error(`${JSON.stringify(text)} is no !!${type}`)
  return type === 'float' ? Number(value) : value
}

const TYPES = new Map<string, (value: Scalar, text: string) => boolean>([
  ['int', (value) => typeof value === 'bigint'],
  ['float', (value) => typeof value === 'bigint' || Number.isFinite(value)],
  ['bool', (value) => typeof value === 'boolean'],
  ['null', (value) => value === null],
  ['timestamp', (_, text) => timestamp(text) !== undefined],
])

const binary = (text: string): string => {
  const digits = text.replaceAll(/[\r\n]/g, '')
  const bytes = Buffer.from(digits, 'base64')
  if (bytes.toString('base64') !== digits) throw new Error(`${JSON.stringify(text)} is no !!binary`)
  return bytes.toString('utf8')
}

const NULLS = new Set(['', '~', 'null', 'Null', 'NULL'])
const TRUES = new Set(['true', 'True', 'TRUE'])
const FALSES = new Set(['false', 'False', 'FALSE'])
const SPECIAL_FLOATS = new Map([
  ['.nan', Number.NaN],
  ['.inf', Number.POSITIVE_INFINITY],
  ['+.inf', Number.POSITIVE_INFINITY],
  ['-.inf', Number.NEGATIVE_INFINITY],
])
const SPECIAL_SPELLING = /^(\.nan|\.NaN|\.NAN|[-+]?(\.inf|\.Inf|\.INF))$/
const FLOAT = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/
const INTEGER = /^([-+]?)(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|0[0-7]+|0|[1-9][0-9]*)$/
const INT64_MIN = -(2n ** 63n)
const UINT64_MAX = 2n ** 64n - 1n

const numeral = (text: string): bigint | number | undefined => {
  const [matched, sign, digits] = INTEGER.exec(text) ?? []
  if (matched !== undefined && digits !== undefined) {
    const octal = /^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits
    const value = BigInt(octal) * (sign === '-' ? -1n : 1n)
    if (value >= INT64_MIN && value <= UINT64_MAX) return value
  }
  return FLOAT.test(text) ? Number(text) : undefined
}

const TIMESTAMP =
  /^(\d{4})-(\d{1,2})-(\d{1,2})(?:(?:[Tt]|\s+)(\d{1,2}):(\d{1,2}):(\d{1,2})(\.\d+)?\s*(Z|[-+]\d{2}:\d{2})?)?$/

/** A timestamp as Go prints it, in its own zone: `2001-01-01 00:00:00 +0000 UTC`. */
const timestamp = (text: string): string | undefined => {
  const match = TIMESTAMP.exec(text)
  if (match === null) return undefined
  const [, year, month = '', day = '', hour = '0', minute = '0', second = '0', fraction, zone] =
    match
  const fields = [hour, minute, second].map((field) => field.padStart(2, '0'))
  const date = `${year}-${month.padStart(2, '0')}-${day.padStart(2, '0')}`
  const time = Date.parse(`${date}T${fields.join(':')}Z`)
  if (Number.isNaN(time) || new Date(time).getUTCDate() !== Number(day)) return undefined
  // Go's times end at nanoseconds.
  const shownFraction = (fraction ?? '').slice(0, 10).replace(/\.?0+$/, '')
  const shownZone =
    zone === undefined || zone === 'Z'
      ? '+0000 UTC'
      : `${zone.replace(':', '')} ${zone.replace(':', '')}`
  return `${date} ${fields.join(':')}${shownFraction} ${shownZone}`
}
