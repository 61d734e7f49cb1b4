import { z } from 'zod'
import type {
  AttachedEndpoint,
  AttachmentWish,
  GrantedAttachment,
} from '../api/attachment-grant.ts'
import { type Resolver, withRecord } from '../api/attachment-record.ts'
import { invalid } from '../api/errors.ts'
import { parseIpv6 } from '../api/ipv6.ts'
import { isNodeLocalName } from '../api/node-local-network.ts'
import { speltAs } from './spelling.ts'

const strings = z.array(z.string()).nullish()

/** What of a container's settings on one network matters to attachments; the rest is the Engine's. */
const EndpointSettings = z.looseObject({
  IPAMConfig: z
    .looseObject({ IPv4Address: z.string().optional(), IPv6Address: z.string().optional() })
    .nullish(),
  Aliases: strings,
  DriverOpts: z.record(z.string(), z.string()).nullish(),
})
type EndpointSettings = z.infer<typeof EndpointSettings>

/** What of a container's create request names networks, or what resolves its names. */
export const ContainerCreate = z.looseObject({
  HostConfig: z
    .looseObject({
      NetworkMode: z.unknown(),
      Dns: strings,
      DnsOptions: strings,
      DnsSearch: strings,
    })
    .nullish(),
  NetworkingConfig: z
    .looseObject({ EndpointsConfig: z.record(z.string(), z.unknown()).nullish() })
    .nullish(),
})
export type ContainerCreate = z.infer<typeof ContainerCreate>

/** Body of `POST /networks/{id}/connect` and `…/disconnect`. */
export const NetworkMember = z.looseObject({
  Container: z.string().default(''),
  EndpointConfig: EndpointSettings.nullish(),
})
export type NetworkMember = z.infer<typeof NetworkMember>

/** Network modes that name no network of a user's. */
const NO_NETWORK = /^(?:default|bridge|host|none|nat|container:.*|)$/

const endpointsOf = ({ NetworkingConfig }: ContainerCreate): Record<string, unknown> =>
  NetworkingConfig?.EndpointsConfig ?? {}

/** The networks that the container is to be on, in the order of their settings, as the request names them. */
export const networksOf = (body: ContainerCreate): string[] => {
  const names = [...Object.keys(endpointsOf(body)), body.HostConfig?.NetworkMode]
  const texts = names.filter((name) => typeof name === 'string')
  return [...new Set(texts)].filter((name) => !NO_NETWORK.test(name))
}

/** Undefined for what is not as it should be: that is for the Engine to refuse. */
const settingsOf = (value: unknown): EndpointSettings | undefined =>
  EndpointSettings.safeParse(speltAs(EndpointSettings, value ?? {})).data

const wishOf = (network: string, settings: EndpointSettings | undefined): AttachmentWish => ({
  network,
  address: settings?.IPAMConfig?.IPv4Address ?? '',
  aliases: settings?.Aliases ?? [],
})

const resolverOf = ({ HostConfig }: ContainerCreate): Resolver => ({
  nameservers: HostConfig?.Dns ?? [],
  options: HostConfig?.DnsOptions ?? [],
  search: HostConfig?.DnsSearch ?? [],
})

/** What a container that is to be created asks for on one of its networks. */
export const createWish = (body: ContainerCreate, network: string): AttachmentWish => ({
  ...wishOf(network, settingsOf(endpointsOf(body)[network])),
  resolver: resolverOf(body),
})

/** What a container that exists asks for on a network that it is to be connected to. */
export const connectWish = (
  network: string,
  settings: unknown,
  container: { id: string; name: string },
): AttachmentWish => ({ ...wishOf(network, settingsOf(settings)), container })

/** @throws SwarmctlError INVALID_ARGUMENT when another IPv6 address is asked for than comes with the IPv4 one */
const requireTwin = (
  asked: string | undefined,
  { ipv6Address, record }: AttachedEndpoint,
): void => {
  if (!asked || ipv6Address === undefined || parseIpv6(asked) === parseIpv6(ipv6Address)) return
  throw invalid(
    `invalid IPv6 address ${asked}: on network ${record.networkName} it follows the IPv4 one, leave it out or ask for the IPv4 one that it goes with`,
  )
}

/** The settings with which the Engine puts the container on the bridge. */
const granted = (value: unknown, { endpoint }: GrantedAttachment): unknown => {
  const settings = settingsOf(value)
  if (settings === undefined) return value
  const DriverOpts = withRecord(settings.DriverOpts, endpoint.record)
  // Its addresses and names are the Engine's.
  if (isNodeLocalName(endpoint.dockerNetwork)) return { ...settings, DriverOpts }
  const { Aliases: _, IPAMConfig, ...others } = settings
  requireTwin(IPAMConfig?.IPv6Address, endpoint)
  return {
    ...others,
    IPAMConfig: {
      ...IPAMConfig,
      IPv4Address: endpoint.address,
      ...(endpoint.ipv6Address && { IPv6Address: endpoint.ipv6Address }),
    },
    DriverOpts,
  }
}

/** A create request as the Engine is to have it; `grants` by the names that the request has for the networks. */
export const withGrants = (
  body: ContainerCreate,
  grants: ReadonlyMap<string, GrantedAttachment>,
): object => {
  // Only an overlay's servers know the cluster's names.
  const all = [...grants.values()]
  const first = all.find(({ endpoint }) => !isNodeLocalName(endpoint.dockerNetwork)) ?? all[0]
  const given = Object.entries(endpointsOf(body))
  const mode = grants.get(String(body.HostConfig?.NetworkMode))
  const missing = mode && !Object.hasOwn(endpointsOf(body), String(body.HostConfig?.NetworkMode))
  const endpoints: [string, unknown][] = given.map(([name, settings]) => {
    const grant = grants.get(name)
    return grant ? [grant.endpoint.dockerNetwork, granted(settings, grant)] : [name, settings]
  })
  return {
    ...body,
    HostConfig: {
      ...body.HostConfig,
      ...(mode && { NetworkMode: mode.endpoint.dockerNetwork }),
      ...(first && { Dns: first.dns, DnsSearch: first.dnsSearch }),
    },
    NetworkingConfig: {
      ...body.NetworkingConfig,
      EndpointsConfig: {
        ...(missing && { [mode.endpoint.dockerNetwork]: granted({}, mode) }),
        ...Object.fromEntries(endpoints),
      },
    },
  }
}

/** A connect request as the Engine is to have it. */
export const withGrant = (body: NetworkMember, grant: GrantedAttachment): object => ({
  ...body,
  EndpointConfig: granted(body.EndpointConfig, grant),
})
