import { badFlag, keyValues } from './key-values.ts'

/** `--secret` and `--config` before their ids are looked up. */
export interface DataReference {
  name: string
  target: string
  uid: string
  gid: string
  mode: number
}

const MODE_DEFAULT = 0o444

/** `name`, or `source=name,target=file,uid=0,gid=0,mode=0444`. */
export const parseDataReference = (flag: string, value: string): DataReference => {
  const reference = { name: '', target: '', uid: '0', gid: '0', mode: MODE_DEFAULT }
  if (value === '') throw badFlag(flag, value, 'the name is empty')
  if (!value.includes('=')) return { ...reference, name: value, target: value }
  for (const [key, text] of keyValues(value)) {
    if (text === undefined) throw badFlag(flag, value, `"${key}" needs a value`)
    switch (key) {
      case 'source':
      case 'src':
        reference.name = text
        break
      case 'target':
        reference.target = text
        break
      case 'uid':
      case 'gid':
        reference[key] = text
        break
      case 'mode':
        if (!/^(?:0o?)?[0-7]{1,4}$/i.test(text))
          throw badFlag(flag, value, 'mode is octal, e.g. 0400')
        reference.mode = Number.parseInt(text.replace(/^0o/i, ''), 8)
        break
      default:
        throw badFlag(flag, value, `unknown key "${key}"`)
    }
  }
  if (reference.name === '') throw badFlag(flag, value, 'source is required')
  return { ...reference, target: reference.target || reference.name }
}
