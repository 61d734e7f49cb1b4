import {
  addressesAmongVips,
  dataPathAddresses,
  type ForwardingTable,
  hasEncrypted,
  type PortProtocol,
  type PublishedPort,
  type Vip,
} from './forwarding-table.ts'
import { bucketOf, ENCRYPTED_RETURN, encryptedPort, MARK_OWNED } from './names.ts'

/** The sets that the tables of both families have. Elements are nft text. */
export type CommonSetName =
  | 'overlay'
  | 'pairs'
  | 'local_nets'
  | 'internal_nets'
  | 'encrypted_nets'
  | 'vip_nets'
  | 'vip_addrs'
  | 'task_addrs'
  | 'hairpin'
  | 'dead_eps'

/** The IPv4 table's sets by name. */
export type SetName =
  | CommonSetName
  | 'vteps'
  | 'node_ips'
  | 'encrypted_ports'
  | 'snat_nets'
  | 'snat_addrs'
  | 'empty_ports'

/** The table's maps by name: element key → value, nft text. */
export type MapName = 'node_mark' | 'vip' | 'vip_ep' | 'pub' | 'tcp_ep' | 'udp_ep' | 'sctp_ep'

/** A round-robin chain: what it balances, over how many slots, and the bucket that separates counters. */
export interface BalanceChain {
  kind: 'vip' | PortProtocol
  slots: number
  bucket: number
}

/** What a table holds beside its fixed rules: elements by the name of their set or map, and the chains that they go to. */
export interface NftTable {
  sets: Readonly<Record<string, ReadonlySet<string>>>
  maps: Readonly<Record<string, ReadonlyMap<string, string>>>
  /** By chain name; only those that an element goes to. */
  chains: ReadonlyMap<string, BalanceChain>
}

/**
 * All that changes in the nftables table, as data. Its rules are fixed (nft-script.ts); a change of the cluster is a change of
 * elements, so its cost does not grow with the table.
 */
export interface NftModel extends NftTable {
  sets: Record<SetName, ReadonlySet<string>>
  maps: Record<MapName, ReadonlyMap<string, string>>
}

const CHAIN_PREFIX = { vip: 'v', tcp: 't', udp: 'u', sctp: 's' } as const

/** Slots that a service can have: the modulus of the endpoint maps' key (nft-script.ts). */
export const SLOTS_MAX = 65_536

export const chainName = (chain: BalanceChain): string =>
  `${CHAIN_PREFIX[chain.kind]}${chain.slots}_b${chain.bucket}`

/** Hands out chains. */
export class Balance {
  readonly chains = new Map<string, BalanceChain>()

  /** The verdict that sends to a chain of these slots, which then exists. */
  goto(kind: BalanceChain['kind'], slots: number, key: string): string {
    const chain = { kind, slots, bucket: bucketOf(key) }
    const name = chainName(chain)
    this.chains.set(name, chain)
    return `goto ${name}`
  }
}

export const vipMaps = (vips: readonly Vip[], balance: Balance) => {
  const vip = new Map<string, string>()
  const slots = new Map<string, string>()
  for (const one of vips) {
    const endpoints = one.endpoints.slice(0, SLOTS_MAX)
    if (endpoints.length === 0) continue
    vip.set(one.addr, balance.goto('vip', endpoints.length, `${one.serviceId} ${one.networkId}`))
    for (const [slot, addr] of endpoints.entries()) slots.set(`${one.addr} . ${slot}`, addr)
  }
  return { vip, slots }
}

/** Of the networks and addresses of one family. */
export const commonSets = (
  networks: readonly {
    subnet: string
    local: string
    vipBlock: string | null
    internal: boolean
  }[],
  addresses: {
    encrypted: Iterable<string>
    vips: Iterable<string>
    /** Tasks' own among the virtual ones. */
    amongVips: Iterable<string>
    local: readonly string[]
    dead: Iterable<string>
  },
): Record<CommonSetName, ReadonlySet<string>> => ({
  overlay: new Set(networks.map(({ subnet }) => subnet)),
  pairs: new Set(networks.map(({ subnet }) => `${subnet} . ${subnet}`)),
  local_nets: new Set(networks.filter(({ internal }) => !internal).map(({ local }) => local)),
  internal_nets: new Set(networks.filter(({ internal }) => internal).map(({ subnet }) => subnet)),
  encrypted_nets: new Set(addresses.encrypted),
  vip_nets: new Set(networks.flatMap(({ vipBlock }) => vipBlock ?? [])),
  vip_addrs: new Set(addresses.vips),
  task_addrs: new Set(addresses.amongVips),
  hairpin: new Set(addresses.local.map((addr) => `${addr} . ${addr}`)),
  dead_eps: new Set(addresses.dead),
})

const publishedMaps = (ports: PublishedPort[], balance: Balance) => {
  const pub = new Map<string, string>()
  const slots = { tcp: new Map<string, string>(), udp: new Map<string, string>(), sctp: new Map() }
  const empty = new Set<string>()
  for (const one of ports) {
    const endpoints = one.endpoints.slice(0, SLOTS_MAX)
    const key = `${one.protocol} . ${one.port}`
    if (endpoints.length === 0) {
      empty.add(key)
      continue
    }
    pub.set(key, balance.goto(one.protocol, endpoints.length, `${one.serviceId} ${one.port}`))
    for (const [slot, { addr, port }] of endpoints.entries()) {
      slots[one.protocol].set(`${one.port} . ${slot}`, `${addr} . ${port}`)
    }
  }
  return { pub, slots, empty }
}

/** Destinations on proxy-plane nodes: those have no return routes by mark, so what is sent there takes this node's address. */
const translatedDestinations = (table: ForwardingTable) => {
  const proxies = new Set(
    table.peers.filter((peer) => peer.dataPlane === 'proxy').map((peer) => peer.nodeId),
  )
  const nets = table.networks.flatMap((network) => network.blocks)
  const hosts = table.hostRoutes.filter((route) => proxies.has(route.nodeId))
  return {
    nets: new Set(nets.filter((block) => proxies.has(block.nodeId)).map((block) => block.cidr)),
    addrs: new Set(hosts.map((route) => route.addr)),
  }
}

const hex = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`

const nodeMark = (index: number): string => hex(MARK_OWNED + (index << 16))

/** What the nftables table holds for a forwarding table. `reserved` are the published ports whose number this node could take. Pure. */
export const nftModel = (
  table: ForwardingTable,
  inputs: {
    reserved: (port: PublishedPort) => boolean
    /** Addresses of endpoints that went away lately. */
    retired: Iterable<string>
    vxlanPort: number
  },
): NftModel => {
  const balance = new Balance()
  const vips = vipMaps(table.vips, balance)
  // The rules match a port at every address of the node, and can't say who connects.
  const balanced = table.published.filter((one) => !one.hostIp && !one.sendsProxyHeader)
  const published = publishedMaps(balanced.filter(inputs.reserved), balance)
  const translated = translatedDestinations(table)
  return {
    sets: {
      ...commonSets(table.networks, {
        encrypted: table.encryptedSubnets.ipv4,
        vips: table.vips.map(({ addr }) => addr),
        amongVips: addressesAmongVips(table),
        local: table.localAddresses,
        dead: [...table.deadAddresses, ...inputs.retired],
      }),
      vteps: new Set(dataPathAddresses(table)),
      node_ips: new Set(table.nodeAddresses),
      encrypted_ports: new Set(
        hasEncrypted(table) ? [String(encryptedPort(inputs.vxlanPort))] : [],
      ),
      snat_nets: translated.nets,
      snat_addrs: translated.addrs,
      empty_ports: published.empty,
    },
    maps: {
      node_mark: new Map(
        table.peers.flatMap(({ mac, encrypted, index }) => [
          [mac, nodeMark(index)],
          ...(hasEncrypted(table)
            ? ([[encrypted.mac, nodeMark(ENCRYPTED_RETURN + index)]] as const)
            : []),
        ]),
      ),
      vip: vips.vip,
      vip_ep: vips.slots,
      pub: published.pub,
      tcp_ep: published.slots.tcp,
      udp_ep: published.slots.udp,
      sctp_ep: published.slots.sctp,
    },
    chains: balance.chains,
  }
}
