import type { PortConfig } from '../../api/service-spec.ts'
import { parsePortSpec } from '../../stack/parse/port.ts'
import { decimalCount, oneOf, parsed } from './flag-values.ts'
import { badFlag, keyValues } from './key-values.ts'

/** `--publish`: `8080:80/tcp`, or `published=8080,target=80,protocol=tcp,mode=host,proxy-protocol=v2`. */
export const parsePublish = (flag: string, value: string): PortConfig[] =>
  value.includes('=') ? [longForm(flag, value)] : shortForm(flag, value)

const shortForm = (flag: string, value: string): PortConfig[] =>
  parsed(flag, value, parsePortSpec).map((port) => {
    if (port.hostIp !== '') {
      throw badFlag(flag, value, 'a host address is not supported: ports answer on every address')
    }
    return {
      Protocol: port.protocol as PortConfig['Protocol'],
      TargetPort: port.target,
      ...(port.published !== 0 && { PublishedPort: port.published }),
      PublishMode: 'ingress',
    }
  })

const longForm = (flag: string, value: string): PortConfig => {
  const port: PortConfig = { Protocol: 'tcp', TargetPort: 0, PublishMode: 'ingress' }
  for (const [key, text = ''] of keyValues(value)) {
    switch (key) {
      case 'protocol':
        port.Protocol = oneOf('tcp', 'udp', 'sctp')(flag, text.toLowerCase())
        break
      case 'mode':
        port.PublishMode = oneOf('ingress', 'host')(flag, text.toLowerCase())
        break
      case 'target':
        port.TargetPort = decimalCount(flag, text)
        break
      case 'published':
        port.PublishedPort = decimalCount(flag, text)
        break
      case 'proxy-protocol':
        port.Swarmctl = { ...port.Swarmctl, ProxyProtocol: oneOf('v2')(flag, text) }
        break
      default:
        throw badFlag(flag, value, `unknown key "${key}"`)
    }
  }
  if (port.TargetPort === 0) throw badFlag(flag, value, 'target=PORT is required')
  return port
}
