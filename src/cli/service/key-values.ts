import { FlagError } from '../flag-error.ts'

/** Splits `a=b,"c=d,e",f` as CSV does: a quoted field may hold commas. */
export const csvFields = (text: string): string[] =>
  [...text.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '',
  )

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

/** The error of a flag whose value can't be read. */
export const badFlag = (flag: string, value: string, reason: string): FlagError =>
  new FlagError(`invalid value "${value}" for ${flag}: ${reason}`)
