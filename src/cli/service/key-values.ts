import { SwarmctlError } from '../../api/errors.ts'

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

/** The error of a flag whose value can't be read. */
export const badFlag = (flag: string, value: string, reason: string): SwarmctlError =>
  new SwarmctlError('INVALID_ARGUMENT', `invalid value "${value}" for ${flag}: ${reason}`)
