import { either, list, mapOf, type ScalarType, type Schema, scalar, uniqueList } from './schema.ts'

/** True and false in the words of YAML 1.1, which variables and quoted values may use; undefined for anything else. */
export const flagOf = (text: string): boolean | undefined => {
  const word = text.toLowerCase()
  if (['y', 'yes', 'true', 'on'].includes(word)) return true
  return ['n', 'no', 'false', 'off'].includes(word) ? false : undefined
}

/** A scalar of `type` or its text. */
const orText = (type: ScalarType, isRight: (text: string) => boolean): Schema => ({
  kind: 'scalar',
  types: [type, 'string'],
  called: type,
  check: (text) => {
    if (!isRight(text)) throw new Error(`must be ${type === 'integer' ? 'an' : 'a'} ${type}`)
  },
})

export const boolean = orText('boolean', (text) => flagOf(text) !== undefined)
export const integer = orText('integer', (text) => /^[-+]?[0-9]+$/.test(text))
export const number = orText(
  'number',
  (text) => text.trim() === text && text !== '' && Number.isFinite(Number(text)),
)

export const string = scalar('string')
export const stringList = uniqueList(string)
export const stringOrList = either(string, stringList)
/** `KEY: value` pairs as a mapping, or a list of `KEY=value`. */
export const pairs = either(mapOf(scalar('string', 'number', 'boolean', 'null'), /./), stringList)
export const driverOptions = mapOf(scalar('string', 'number'))
/** Command words, as one text or a list; null is the image's own. */
export const shellCommand = either(scalar('null'), string, list(string))
