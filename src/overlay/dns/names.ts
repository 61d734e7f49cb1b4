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
import { SHORT_ID_LENGTH } from '../../api/short-id.ts'
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
  internal: boolean
  names: Map<string, NameEntry>
  /** Name of an address. */
  reverse: Map<string, string>
}

/** What a name stands for as seen from one address. */
export type Resolution =
  | { kind: 'addresses'; addrs: string[]; addrs6: string[]; isOneOf: boolean }
  /** Not ours: ask upstream. */
  | { kind: 'unknown' }
  /** Of a name under our own suffix: nobody has it. */
  | { kind: 'absent' }
  /** The asking address is on none of our networks. */
  | { kind: 'refused' }

/** What the Engine gives a container as its hostname when nobody else does, in lower case. */
const SHORT_ID = new RegExp(`^[\\da-f]{${SHORT_ID_LENGTH}}$`)

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
  /** Addresses of containers by hand: the Engine may have put them on networks that the view does not know. */
  readonly #byHand = new Set<string>()
  readonly #view: OverlayView
  /** Made when somebody asks for one: few do. */
  #byShortId: ReadonlyMap<string, OverlayEndpoint> | undefined

  constructor(view: OverlayView, plane: DataPlaneKind) {
    this.#view = view
    for (const network of view.networks.values()) {
      const { id, name, subnet, ingress, internal } = network
      // Addresses on the ingress network are for published ports; names are not looked up there, as in Swarm.
      if (ingress) this.#ingress.add(id)
      const lower = name.toLowerCase()
      const networkNames = { names: new Map<string, NameEntry>(), reverse: new Map() }
      const subnets = { subnet: parseCidr(subnet), dual: dualSubnets(network) }
      this.#networks.set(id, { id, name: lower, internal, ...subnets, ...networkNames })
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
      this.#addService(service, ready, plane)
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
      const suffix = `.${network.name}`
      const entry =
        this.#find(bare, network) ??
        (bare.endsWith(suffix) ? this.#find(bare.slice(0, -suffix.length), network) : undefined)
      if (entry !== undefined) {
        const { addrs, addrs6, isOneOf = false } = entry
        return { kind: 'addresses', addrs, addrs6, isOneOf }
      }
    }
    // Nobody else has it, and musl's resolver tries no other search domain after an answer without data.
    return { kind: bare === name ? 'unknown' : 'absent' }
  }

  /** Whether the asking container reaches the outside at all: on internal networks alone it does not. */
  reachesOutside(source: string): boolean {
    return this.#byHand.has(source) || this.#scope(source).some(({ internal }) => !internal)
  }

  /** Which of the servers are on a network of the asking container. */
  ownServers(source: string, servers: readonly string[]): string[] {
    const networks = this.#scope(source)
    return servers.filter((server) => {
      const value = parseIpv4(server)
      return value !== undefined && networks.some((network) => holds(network, value))
    })
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
    if (ids === undefined)
      return [...this.#networks.values()].filter((network) => holds(network, value))
    const networks = ids.flatMap((id) => this.#networks.get(id) ?? [])
    return networks.sort((a, b) => Number(holds(b, value)) - Number(holds(a, value)))
  }

  #find(name: string, network: NetworkNames): Omit<NameEntry, 'ofService'> | undefined {
    return network.names.get(name) ?? this.#findContainer(name, network)
  }

  /** A task's container by the name or the short id that the Engine has for it, which programs tell each other (`{{.Task.Name}}`, `hostname`). */
  #findContainer(name: string, network: NetworkNames): Addresses | undefined {
    const endpoint = SHORT_ID.test(name)
      ? this.#shortIds().get(name)
      : this.#view.endpoints.get(name.slice(name.lastIndexOf('.') + 1))
    if (endpoint === undefined || this.#ingress.has(network.id)) return undefined
    const isMeant = endpoint.shortId === name || this.#taskName(endpoint) === name
    const place = endpoint.addresses.find(({ networkId }) => networkId === network.id)
    if (!isMeant || place === undefined) return undefined
    return entryOf(network, [place.addr], () => hasIpv6(endpoint, this.#view))
  }

  #shortIds(): ReadonlyMap<string, OverlayEndpoint> {
    this.#byShortId ??= new Map(
      [...this.#view.endpoints.values()].flatMap((endpoint) =>
        endpoint.shortId === undefined ? [] : [[endpoint.shortId, endpoint] as const],
      ),
    )
    return this.#byShortId
  }

  /** In lower case; the task's id alone when its service is gone. */
  #taskName({ taskId, serviceId, nodeId, slot }: OverlayEndpoint): string {
    const service = this.#view.services.get(serviceId)?.name.toLowerCase()
    return service === undefined ? taskId : `${service}.${slot ?? nodeId}.${taskId}`
  }

  /** `ids`: of all networks of the endpoint's container. */
  #addEndpoint(endpoint: OverlayEndpoint, ids: string[], view: OverlayView): void {
    for (const { networkId, addr, aliases } of endpoint.addresses) {
      this.#networksOf.set(addr, ids)
      if (endpoint.containerId !== undefined) this.#byHand.add(addr)
      const network = this.#networks.get(networkId)
      if (network === undefined || this.#ingress.has(networkId)) continue
      const entry = entryOf(network, [addr], () => hasIpv6(endpoint, view))
      const name = endpoint.hostname.toLowerCase()
      if (name !== '') add(network.names, name, entry)
      network.reverse.set(addr, `${name || this.#taskName(endpoint)}.${network.name}`)
      for (const alias of aliases) {
        add(network.names, alias.toLowerCase(), isReady(endpoint, view) ? entry : NOTHING)
      }
    }
  }

  #addService(service: OverlayService, ready: OverlayEndpoint[], plane: DataPlaneKind): void {
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
        hasIpv6(endpoints.get(addr), this.#view),
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
      // Several services may share an alias, which may be another one's name as well: then all of them answer, whichever came first.
      addOfService(network.names, serviceName, entry, isOneOf)
      addOfService(network.names, `tasks.${serviceName}`, tasks, false)
      if (vip !== undefined) network.reverse.set(vip, `${serviceName}.${network.name}`)
      for (const alias of aliases.map((one) => one.toLowerCase())) {
        if (alias === serviceName) continue
        addOfService(network.names, alias, entry, isOneOf)
        // A stack's service is known to its neighbours by its alias: `tasks.agent` of `portainer_agent`.
        addOfService(network.names, `tasks.${alias}`, tasks, false)
      }
    }
  }
}

const holds = ({ subnet }: NetworkNames, address: number): boolean =>
  subnet !== undefined && containsAddress(subnet, address)

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
  if (entry?.ofService) {
    const isAnyOneOf = isOneOf || entry.isOneOf === true
    names.set(name, { ...entry, ...merged(entry, addresses), isOneOf: isAnyOneOf })
  } else names.set(name, { ...addresses, isOneOf, ofService: true })
}
