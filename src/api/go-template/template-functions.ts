import { GoDuration, GoTime, goText, isTrue } from './go-values.ts'
import { badTemplate } from './template-error.ts'

/** A function that templates may call. */
export type TemplateFunction = (...args: unknown[]) => unknown

const text = (value: unknown): string =>
  typeof value === 'string' ? value : value instanceof GoTime ? value.text : goText(value)

const whole = (value: unknown, name: string): number => {
  if (typeof value === 'number' && Number.isInteger(value)) return value
  throw badTemplate(`${name} wants a whole number, not ${goText(value)}`)
}

/** JSON as Go writes it: `<`, `>` and `&` stay as they are, as Docker asks for. */
const json = (value: unknown): string => JSON.stringify(value ?? null)

const length = (value: unknown): number => {
  if (typeof value === 'string') return Buffer.byteLength(value)
  if (Array.isArray(value)) return value.length
  if (typeof value === 'object' && value !== null) return Object.keys(value).length
  throw badTemplate(`len of ${goText(value)}`)
}

const index = (value: unknown, ...keys: unknown[]): unknown =>
  keys.reduce((at, key) => {
    if (Array.isArray(at)) {
      const position = whole(key, 'index')
      if (position < 0 || position >= at.length) {
        throw badTemplate(`index out of range: ${position} of ${at.length}`)
      }
      return at[position]
    }
    if (typeof at === 'object' && at !== null) {
      const member = String(key)
      return Object.hasOwn(at, member) ? (at as Record<string, unknown>)[member] : ''
    }
    throw badTemplate(`index of ${goText(at)}`)
  }, value)

const slice = (value: unknown, ...ends: unknown[]): unknown => {
  const [from = 0, to] = ends.map((end) => whole(end, 'slice'))
  if (typeof value !== 'string' && !Array.isArray(value)) {
    throw badTemplate(`slice of ${goText(value)}`)
  }
  return value.slice(from, to)
}

const plain = (value: unknown): unknown =>
  value instanceof GoDuration ? value.ns : value instanceof GoTime ? value.text : value

const order = (a: unknown, b: unknown, name: string): number => {
  const [left, right] = [plain(a), plain(b)]
  if (typeof left === 'number' && typeof right === 'number') return left - right
  if (typeof left === 'string' && typeof right === 'string') {
    return left < right ? -1 : left > right ? 1 : 0
  }
  throw badTemplate(`${name} can't compare ${goText(a)} with ${goText(b)}`)
}

/** `%-12s`, `%5d`, `%q`, `%v` … */
const VERB = /%([-+# 0]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])/g

const formatted = (verb: string, value: unknown, precision: number | undefined): string => {
  switch (verb) {
    case 'q':
      return JSON.stringify(text(value))
    case 'x':
      return typeof value === 'number'
        ? value.toString(16)
        : Buffer.from(text(value)).toString('hex')
    case 'f':
      return Number(plain(value)).toFixed(precision ?? 6)
    case 'd':
      return String(Number(plain(value)))
    case 's':
      return text(value).slice(0, precision)
    case 'v':
    case 't':
    case 'T':
    case 'g':
      return goText(value)
    default:
      throw badTemplate(`printf knows no %${verb}`)
  }
}

/** Characters that a value may be padded to. */
const WIDTH_MAX = 10_000

const printf = (format: unknown, ...values: unknown[]): string => {
  let at = 0
  return text(format).replace(
    VERB,
    (_, flags: string, width: string | undefined, precision: string | undefined, verb: string) => {
      if (verb === '%') return '%'
      if (Number(width ?? 0) > WIDTH_MAX) throw badTemplate(`printf pads to ${WIDTH_MAX} at most`)
      if (at >= values.length) throw badTemplate(`printf has no value for %${verb}`)
      const shown = formatted(verb, values[at++], precision === undefined ? undefined : +precision)
      if (flags.includes('-')) return shown.padEnd(Number(width ?? 0))
      return shown.padStart(Number(width ?? 0), flags.includes('0') ? '0' : ' ')
    },
  )
}

const print = (...values: unknown[]): string =>
  values.reduce<string>((line, value, at) => {
    const both = at > 0 && typeof value !== 'string' && typeof values[at - 1] !== 'string'
    return `${line}${both ? ' ' : ''}${goText(value)}`
  }, '')

/** Go's own functions that a format may want, and those that Docker adds. `and` and `or` are the evaluator's: they stop early. */
export const FUNCTIONS: ReadonlyMap<string, TemplateFunction> = new Map<string, TemplateFunction>([
  ['json', json],
  ['split', (value, by) => text(value).split(text(by))],
  ['join', (list, by) => (Array.isArray(list) ? list : []).map(text).join(text(by))],
  ['title', (value) => text(value).replace(/(^|\s)\S/g, (first) => first.toUpperCase())],
  ['lower', (value) => text(value).toLowerCase()],
  ['upper', (value) => text(value).toUpperCase()],
  [
    'pad',
    (value, before, after) =>
      value === ''
        ? ''
        : `${' '.repeat(whole(before, 'pad'))}${text(value)}${' '.repeat(whole(after, 'pad'))}`,
  ],
  ['truncate', (value, size) => text(value).slice(0, whole(size, 'truncate'))],
  ['println', (...values) => `${values.map(goText).join(' ')}\n`],
  ['print', print],
  ['printf', printf],
  ['len', length],
  ['index', index],
  ['slice', slice],
  ['not', (value) => !isTrue(value)],
  ['eq', (value, ...others) => others.some((other) => plain(value) === plain(other))],
  ['ne', (a, b) => plain(a) !== plain(b)],
  ['lt', (a, b) => order(a, b, 'lt') < 0],
  ['le', (a, b) => order(a, b, 'le') <= 0],
  ['gt', (a, b) => order(a, b, 'gt') > 0],
  ['ge', (a, b) => order(a, b, 'ge') >= 0],
  ['urlquery', (value) => encodeURIComponent(text(value)).replaceAll('%20', '+')],
])

/** What changes a value in a row stands for itself in the head of a table. */
export const HEAD_FUNCTIONS: ReadonlyMap<string, TemplateFunction> = new Map([
  ...FUNCTIONS,
  ...['json', 'split', 'join', 'title', 'lower', 'upper', 'truncate', 'slice'].map(
    (name): [string, TemplateFunction] => [name, (value) => value],
  ),
])
