import { isIPv4 } from 'node:net'
import type { NetworkCreate } from '../../api/network.ts'
import type { NetworkAttachmentConfig } from '../../api/service-spec.ts'
import type { NetworkConfig, ServiceConfig, StackConfig } from '../config.ts'
import { compareText, present, sortedEntries } from '../present.ts'
import { StackFileProblem } from '../stack-error.ts'
import { clusterName, withStackLabel } from './namespace.ts'

const DEFAULT_NETWORK = 'default'
const DEFAULT_DRIVER = 'overlay'

/** Networks that every node has by itself; they know no aliases and nothing needs to exist in the cluster. */
const PREDEFINED = new Set(['default', 'bridge', 'host', 'none'])

/** A stack's networks: only those that a service is on are created. */
export const convertNetworks = (
  config: StackConfig,
  namespace: string,
): { networks: NetworkCreate[]; externalNetworks: string[] } => {
  const networks: NetworkCreate[] = []
  const externalNetworks: string[] = []
  for (const key of usedNetworks(config)) {
    const network = Object.hasOwn(config.networks, key) ? config.networks[key] : undefined
    const name = clusterName(namespace, key, network)
    if (network?.external !== true) networks.push(networkBody(name, network ?? {}, namespace))
    else if (isUserDefined(name)) externalNetworks.push(name)
  }
  return {
    networks: networks.sort((a, b) => compareText(a.Name, b.Name)),
    externalNetworks: externalNetworks.sort(compareText),
  }
}

const usedNetworks = (config: StackConfig): Set<string> =>
  new Set(Object.values(config.services).flatMap((service) => Object.keys(attachments(service))))

const attachments = (service: ServiceConfig): NonNullable<ServiceConfig['networks']> =>
  Object.keys(service.networks ?? {}).length === 0
    ? { [DEFAULT_NETWORK]: {} }
    : (service.networks ?? {})

type IpamPool = NonNullable<NonNullable<NetworkCreate['IPAM']>['Config']>[number]

const networkBody = (name: string, network: NetworkConfig, namespace: string): NetworkCreate => {
  const { driver, config = [], options } = network.ipam ?? {}
  const hasIpam = driver !== undefined || config.length > 0 || options !== undefined
  return {
    Name: name,
    Driver: network.driver || DEFAULT_DRIVER,
    Scope: '',
    Internal: network.internal ?? false,
    Attachable: network.attachable ?? false,
    Ingress: false,
    ConfigOnly: false,
    ...(network.enable_ipv4 !== undefined && { EnableIPv4: network.enable_ipv4 }),
    ...(network.enable_ipv6 !== undefined && { EnableIPv6: network.enable_ipv6 }),
    ...(hasIpam && {
      IPAM: present<NonNullable<NetworkCreate['IPAM']>>({
        Driver: driver,
        Options: options,
        Config: config.map(({ subnet, ip_range, gateway, aux_addresses }) =>
          present<IpamPool>({
            Subnet: subnet,
            IPRange: ip_range,
            Gateway: gateway,
            AuxiliaryAddresses: aux_addresses,
          }),
        ),
      }),
    }),
    Options: network.driver_opts ?? {},
    Labels: withStackLabel(namespace, network.labels),
  }
}

/** A service's attachments in the order of networks' names; its own name is an alias in each. */
export const convertAttachments = (
  key: string,
  config: StackConfig,
  namespace: string,
): NetworkAttachmentConfig[] =>
  sortedEntries(attachments(config.services[key] ?? {}))
    .map(([networkKey, attachment]) => {
      const network = Object.hasOwn(config.networks, networkKey)
        ? config.networks[networkKey]
        : undefined
      if (network === undefined && networkKey !== DEFAULT_NETWORK) {
        throw new StackFileProblem(
          ['services', key, 'networks'],
          `undefined network "${networkKey}"`,
        )
      }
      const target = clusterName(namespace, networkKey, network)
      const aliases = [...(attachment.aliases ?? []), ...(isUserDefined(target) ? [key] : [])]
      return present<NetworkAttachmentConfig>({
        Target: target,
        Aliases: aliases,
        DriverOpts: attachment.driver_opts,
        Swarmctl: isUserDefined(target) ? convertOwn(key, config, networkKey) : undefined,
      })
    })
    .sort((a, b) => compareText(a.Target, b.Target))

/** What a service says of its place in a network and Swarm's bodies can't take. */
const convertOwn = (
  key: string,
  config: StackConfig,
  networkKey: string,
): NetworkAttachmentConfig['Swarmctl'] => {
  const { container_name: alias, networks } = config.services[key] ?? {}
  const ipv4_address = networks?.[networkKey]?.ipv4_address
  if (ipv4_address && !isIPv4(ipv4_address)) {
    const place = ['services', key, 'networks', networkKey, 'ipv4_address']
    throw new StackFileProblem(place, `invalid IPv4 address: ${ipv4_address}`)
  }
  if (alias === undefined && !ipv4_address) return undefined
  return {
    ...(alias !== undefined && { Aliases: [alias] }),
    ...(ipv4_address && { IPv4Address: ipv4_address }),
  }
}

const isUserDefined = (name: string): boolean =>
  !PREDEFINED.has(name) && !name.startsWith('container:')
