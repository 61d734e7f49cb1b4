import type { GenericResource } from '../../api/service-spec.ts'
import { badFlag, refusedFlag } from './key-values.ts'

/** `--generic-resource`: `GPU=2` is a number of them, `GPU=UUID1` one by its name. */
export const genericResource = (value: string, flag: string): GenericResource => {
  if (!value.includes('=')) throw badFlag(flag, value, 'expected kind=value')
  const [Kind = '', text = '', ...more] = value.split('=').map((part) => part.trim())
  if (Kind === '' || text === '' || more.length > 0)
    throw refusedFlag(flag, value, 'expected kind=value')
  if (/^-\d+$/.test(text)) throw refusedFlag(flag, value, 'there can be no less than none of it')
  if (/^\+?\d+$/.test(text)) return { DiscreteResourceSpec: { Kind, Value: Number(text) } }
  return { NamedResourceSpec: { Kind, Value: text } }
}

/** What it is called. */
export const kindOf = (resource: GenericResource): string =>
  (resource.DiscreteResourceSpec ?? resource.NamedResourceSpec)?.Kind ?? ''
