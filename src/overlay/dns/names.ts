import {
  containsAddress,
  formatIpv4,
  type Ipv4Block,
  parseCidr,
  parseIpv4,
} from '../../api/ipv4.ts'
import { containsIpv6 } from '../../api/ipv6.ts'
import { mirroredAddress } from '../../api/ipv6-mirror.ts'
import type { DataPlaneKind } from '../../api/node.ts'
import type { OverlayEndpoint, OverlayService, OverlayView } from '../../api/overlay-view.ts'
import { type DualSubnets, dualSubnets, twinAddress } from '../twins.ts'

/** Suffix of names for containers whose resolver options keep single-label names from being asked (ndots ≥ 1). */
export const SEARCH_DOMAIN = 'swarmctl.internal'

interface NameEntry {
  addrs: string[]
  /** Twins of those that have one. */
  addrs6: string[]
  /** Any one of them per answer: resolvers sort what they get by nearness, which would always be the same one. */
  isOneOf?: boolean
  /** A service's own name or alias wins over a container's. */
  ofService: boolean
}

interface NetworkNames {
  id: string
  name: string
  subnet: Ipv4Block | undefined
  dual: DualSubnets | undefined
  names: Map<string, NameEntry>
  /** Name of an address. */
  reverse: Map<string, string>
}

/** What a name stands for as seen from one address. */
export type Resolution =
  | { kind: 'addresses'; addrs: string[]; addrs6: string[]; isOneOf: boolean }
  /** Not ours: ask upstream. */
  | { kind: 'unknown' }
  /** The asking address is on none of our networks. */
  | { kind: 'refused' }

const containerKey = ({ nodeId, containerId, taskId }: OverlayEndpoint): string =>
  containerId === undefined ? `task ${taskId}` : `${nodeId} ${containerId}`

const isReady = (endpoint: OverlayEndpoint, view: OverlayView): boolean =>
  endpoint.state === 'ready' && view.nodes.get(endpoint.nodeId)?.live === true

/** On a node that has none a task's twin leads nowhere. */
const hasIpv6 = (endpoint: OverlayEndpoint | undefined, view: OverlayView): boolean =>
  view.nodes.get(endpoint?.nodeId ?? '')?.ipv6 === true

/** The names of a view, scoped by network. Immutable: a new view makes a new one. */
export class NameIndex {
  readonly #networks = new Map<string, NetworkNames>()
  readonly #ingress = new Set<string>()
  /** Networks of each task address. */
  readonly #networksOf = new Map<string, string[]>()

  constructor(view: OverlayView, plane: DataPlaneKind) {
    for (const network of view.networks.values()) {
      const { id, name, subnet, ingress } = network
      // Addresses on the ingress network are for published ports; names are not looked up there, as in Swarm.
      if (ingress) this.#ingress.add(id)
      const lower = name.toLowerCase()
      const networkNames = { names: new Map<string, NameEntry>(), reverse: new Map() }
      const subnets = { subnet: parseCidr(subnet), dual: dualSubnets(network) }
      this.#networks.set(id, { id, name: lower, ...subnets, ...networkNames })
    }
    const byService = Map.groupBy(view.endpoints.values(), (endpoint) => endpoint.serviceId)
    const byContainer = Map.groupBy(view.endpoints.values(), containerKey)
    for (const endpoints of byContainer.values()) {
      const ids = endpoints.flatMap(({ addresses }) => addresses.map((one) => one.networkId))
      for (const endpoint of endpoints) this.#addEndpoint(endpoint, ids, view)
    }
    // Services come second, so that theirs is the name when a container's is the same.
    for (const service of view.services.values()) {
      const ready = (byService.get(service.id) ?? []).filter((one) => isReady(one, view))
      this.#addService(service, ready, view, plane)
    }
  }

  /** What `name` (lower case, no final dot) stands for, asked from `source`. */
  resolve(name: string, source: string): Resolution {
    const networks = this.#scope(source)
    if (networks.length === 0) return { kind: 'refused' }
    const bare = name.endsWith(`.${SEARCH_DOMAIN}`)
      ? name.slice(0, -SEARCH_DOMAIN.length - 1)
      : name
    for (const network of networks) {
      const entry =
        network.names.get(bare) ??
        (bare.endsWith(`.${network.name}`)
          ? network.names.get(bare.slice(0, -network.name.length - 1))
          : undefined)
      if (entry !== undefined) {
        const { addrs, addrs6, isOneOf = false } = entry
        return { kind: 'addresses', addrs, addrs6, isOneOf }
      }
    }
    // A name under our own suffix is nobody else's.
    return bare === name ? { kind: 'unknown' } : { kind: 'addresses', ...NOTHING, isOneOf: false }
  }

  /** As `reverse`, of an IPv6 address: that of its twin. */
  reverse6(addr: bigint, source: string): string | null | undefined {
    for (const { dual } of this.#networks.values()) {
      if (dual === undefined || !containsIpv6(dual.subnet6, addr)) continue
      const twin = mirroredAddress(dual.subnet6, dual.subnet, addr)
      return twin === undefined ? null : this.reverse(formatIpv4(twin), source)
    }
    return undefined
  }

  /** The name of an address, asked from `source`; null when the address is on a network of ours without a name; undefined when not ours. */
  reverse(addr: string, source: string): string | null | undefined {
    const networks = this.#scope(source)
    for (const network of networks) {
      const name = network.reverse.get(addr)
      if (name !== undefined) return name
    }
    const value = parseIpv4(addr)
    if (value === undefined) return undefined
    const isOurs = [...this.#networks.values()].some(
      (network) => network.subnet !== undefined && containsAddress(network.subnet, value),
    )
    return isOurs ? null : undefined
  }

  /** The networks whose names an address may see: a task's own, its asking network first; for a stranger on a bridge that one. */
  #scope(source: string): NetworkNames[] {
    const ids = this.#networksOf.get(source)
    const value = parseIpv4(source)
    if (value === undefined) return []
    const holds = (network: NetworkNames) =>
      network.subnet !== undefined && containsAddress(network.subnet, value)
    if (ids === undefined) return [...this.#networks.values()].filter(holds)
    const networks = ids.flatMap((id) => this.#networks.get(id) ?? [])
    return networks.sort((a, b) => Number(holds(b)) - Number(holds(a)))
  }

  /** `ids`: of all networks of the endpoint's container. */
  #addEndpoint(endpoint: OverlayEndpoint, ids: string[], view: OverlayView): void {
    for (const { networkId, addr, aliases } of endpoint.addresses) {
      this.#networksOf.set(addr, ids)
      const network = this.#networks.get(networkId)
      if (network === undefined || this.#ingress.has(networkId)) continue
      const entry = entryOf(network, [addr], () => hasIpv6(endpoint, view))
      const name = endpoint.hostname.toLowerCase()
      if (name !== '') add(network.names, name, entry)
      network.reverse.set(addr, `${name || endpoint.taskId}.${network.name}`)
      for (const alias of aliases) {
        add(network.names, alias.toLowerCase(), isReady(endpoint, view) ? entry : NOTHING)
      }
    }
  }

  #addService(
    service: OverlayService,
    ready: OverlayEndpoint[],
    view: OverlayView,
    plane: DataPlaneKind,
  ): void {
    // Not each network for each service: a change of a large swarm would take a second.
    const places = [...service.vips, ...service.aliases, ...ready.flatMap((one) => one.addresses)]
    for (const id of new Set(places.map(({ networkId }) => networkId))) {
      const network = this.#networks.get(id)
      if (network === undefined || this.#ingress.has(id)) continue
      const vip = service.vips.find((one) => one.networkId === network.id)?.addr
      const endpoints = new Map(
        ready.flatMap((endpoint) =>
          endpoint.addresses
            .filter((one) => one.networkId === network.id)
            .map((one) => [one.addr, endpoint] as const),
        ),
      )
      const tasks = entryOf(network, [...endpoints.keys()].sort(), (addr) =>
        hasIpv6(endpoints.get(addr), view),
      )
      const aliases = service.aliases.find((one) => one.networkId === network.id)?.names ?? []
      const isMember = vip !== undefined || endpoints.size > 0 || aliases.length > 0
      if (!isMember) continue
      // Without the kernel plane nothing stands behind a VIP.
      const isBalanced = plane === 'kernel' && service.mode === 'vip' && vip !== undefined
      // A VIP whose tasks are all on nodes without IPv6 would refuse what its IPv4 brother serves.
      const hasTwin = tasks.addrs6.length > 0 || tasks.addrs.length === 0
      const entry = isBalanced ? entryOf(network, [vip], () => hasTwin) : tasks
      const serviceName = service.name.toLowerCase()
      const isOneOf = service.mode === 'vip'
      network.names.set(serviceName, { ...entry, isOneOf, ofService: true })
      network.names.set(`tasks.${serviceName}`, { ...tasks, ofService: true })
      if (vip !== undefined) network.reverse.set(vip, `${serviceName}.${network.name}`)
      for (const alias of aliases.map((one) => one.toLowerCase())) {
        // Several services may share an alias: then all of them answer.
        if (alias !== serviceName) addOfService(network.names, alias, entry, isOneOf)
      }
    }
  }
}

/** Addresses of both families. */
type Addresses = Pick<NameEntry, 'addrs' | 'addrs6'>

const NOTHING: Addresses = { addrs: [], addrs6: [] }

const entryOf = (
  { dual }: NetworkNames,
  addrs: string[],
  hasTwinOf: (addr: string) => boolean,
): Addresses => ({
  addrs,
  addrs6:
    dual === undefined
      ? []
      : addrs.filter(hasTwinOf).flatMap((addr) => twinAddress(dual, addr) ?? []),
})

const merged = (a: Addresses, b: Addresses): Addresses => ({
  addrs: [...new Set([...a.addrs, ...b.addrs])],
  addrs6: [...new Set([...a.addrs6, ...b.addrs6])],
})

const add = (names: Map<string, NameEntry>, name: string, addresses: Addresses): void => {
  const entry = names.get(name)
  if (entry === undefined) names.set(name, { ...addresses, ofService: false })
  else names.set(name, { ...entry, ...merged(entry, addresses) })
}

const addOfService = (
  names: Map<string, NameEntry>,
  name: string,
  addresses: Addresses,
  isOneOf: boolean,
): void => {
  const entry = names.get(name)
  if (entry?.ofService) names.set(name, { ...entry, ...merged(entry, addresses) })
  else names.set(name, { ...addresses, isOneOf, ofService: true })
}
