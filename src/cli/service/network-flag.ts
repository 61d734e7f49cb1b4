import type { NetworkAttachmentConfig } from '../../api/service-spec.ts'
import { badFlag, keyValues } from './key-values.ts'

/** `--network`: `name`, or `name=backend,alias=db,driver-opt=k=v`. */
export const parseNetwork = (flag: string, value: string): NetworkAttachmentConfig => {
  if (value === '') throw badFlag(flag, value, 'the name is empty')
  if (!value.includes('=')) return { Target: value }
  const network: NetworkAttachmentConfig = { Target: '' }
  for (const [key, text] of keyValues(value)) {
    if (text === undefined) throw badFlag(flag, value, `"${key}" needs a value`)
    switch (key) {
      case 'name':
        network.Target = text
        break
      case 'alias':
        network.Aliases = [...(network.Aliases ?? []), text]
        break
      case 'driver-opt': {
        const [option = '', ...rest] = text.split('=')
        if (option === '' || rest.length === 0)
          throw badFlag(flag, value, 'expected driver-opt=key=value')
        network.DriverOpts = { ...network.DriverOpts, [option]: rest.join('=') }
        break
      }
      default:
        throw badFlag(flag, value, `unknown key "${key}"`)
    }
  }
  if (network.Target === '') throw badFlag(flag, value, 'name is required')
  return network
}
