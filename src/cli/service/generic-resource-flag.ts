import type { GenericResource } from '../../api/service-spec.ts'
import { badFlag } from './key-values.ts'

/** `--generic-resource`: `GPU=2` is a number of them, `GPU=UUID1` one by its name. */
export const genericResource = (value: string, flag: string): GenericResource => {
  const [Kind = '', text = '', ...more] = value.split('=')
  if (Kind === '' || text === '' || more.length > 0)
    throw badFlag(flag, value, 'expected kind=value')
  if (/^-\d+$/.test(text)) throw badFlag(flag, value, 'there can be no less than none of it')
  if (/^\d+$/.test(text)) return { DiscreteResourceSpec: { Kind, Value: Number(text) } }
  return { NamedResourceSpec: { Kind, Value: text } }
}

/** What it is called. */
export const kindOf = (resource: GenericResource): string =>
  (resource.DiscreteResourceSpec ?? resource.NamedResourceSpec)?.Kind ?? ''
