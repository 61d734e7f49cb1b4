import { SwarmctlError } from '../../api/errors.ts'
import { FlagError } from '../flag-error.ts'

/** A whole field between quotes, in which a quote is doubled, or one without any. */
const FIELD = /(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))(?=,|$)/g

/** Splits `a=b,"c=d,e",f` as CSV does: a quoted field may hold commas. @throws FlagError for a quote in the midst of a field */
export const csvFields = (text: string): string[] => {
  const fields = [...text.matchAll(FIELD)]
  if (fields.reduce((length, [field]) => length + field.length, 0) !== text.length) {
    throw new FlagError(
      `invalid value ${text}: a quote may only stand around a whole field, as in a=b,"c=d,e"`,
    )
  }
  return fields.map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '')
}

/** The long form of a flag: `key=value,key` pairs; a bare key's value is undefined. */
export const keyValues = (text: string): [key: string, value: string | undefined][] =>
  csvFields(text).map((field) => {
    const at = field.indexOf('=')
    return at < 0
      ? [field.trim().toLowerCase(), undefined]
      : [field.slice(0, at).trim().toLowerCase(), field.slice(at + 1)]
  })

/** `key=value` in its parts; without `=` the value is empty. */
export const splitPair = (text: string): [key: string, value: string] => {
  const at = text.indexOf('=')
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

/** `key=value` of a flag that sets one member of a map; without `=` the value is empty. @throws FlagError for a key that Docker refuses */
export const labelPair = (flag: string, text: string): [key: string, value: string] => {
  const [key, value] = splitPair(text)
  if (key.trim() === '') throw badFlag(flag, text, 'the name is empty')
  if (/\s/.test(key.trimStart()))
    throw badFlag(flag, text, `the name "${key}" has whitespace in it`)
  return [key, value]
}

/** `labelPair` of each as a map, later ones over earlier ones. */
export const labelMap = (flag: string, texts: readonly string[] = []): Record<string, string> =>
  Object.fromEntries(texts.map((text) => labelPair(flag, text)))

const reasonText = (flag: string, value: string, reason: string): string =>
  `invalid value "${value}" for ${flag}: ${reason}`

/** The error of a flag whose value can't be read. */
export const badFlag = (flag: string, value: string, reason: string): FlagError =>
  new FlagError(reasonText(flag, value, reason))

/** The error of a value that can be read and is none of those that there are: the docker CLI leaves that to the daemon, whose refusal has exit code 1. */
export const refusedFlag = (flag: string, value: string, reason: string): SwarmctlError =>
  new SwarmctlError('INVALID_ARGUMENT', reasonText(flag, value, reason))
