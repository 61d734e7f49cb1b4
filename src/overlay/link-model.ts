import {
  type ForwardingTable,
  hasEncrypted,
  type Peer,
  type TableNetwork,
} from './forwarding-table.ts'
import {
  ENCRYPTED_DEVICE,
  ENCRYPTED_RETURN,
  MARK_NODE_MASK,
  RELAY_ADDRESS,
  RETURN_END_PREF,
  RETURN_SKIP_PREF,
  RETURN_TABLE_BASE,
  ROUTE_PROTOCOL,
  VXLAN_DEVICE,
} from './names.ts'

/** A line's tool: `ip -batch` or `bridge -batch`. */
export type LinkTool = 'ip' | 'bridge'

/** One piece of link state: how it is made (idempotent) and how it is taken away. */
export interface LinkItem {
  tool: LinkTool
  add: string
  remove: string
}

/**
 * Neighbours, forwarding entries, routes and rules of a node, by a key that names what exists in the kernel once
 * (`route main 10.0.5.0/24`). State grows with nodes and networks, not with containers, but for addresses outside their block.
 */
export type LinkModel = ReadonlyMap<string, LinkItem>

const mask = `0x${MARK_NODE_MASK.toString(16)}`

/** Collects a model. */
export class LinkItems {
  readonly items = new Map<string, LinkItem>()

  route(table: string, destination: string, how: string): void {
    const where = table === 'main' ? '' : ` table ${table}`
    this.items.set(`route ${table} ${destination}`, {
      tool: 'ip',
      add: `route replace ${destination} ${how} proto ${ROUTE_PROTOCOL}${where}`,
      remove: `route del ${destination} proto ${ROUTE_PROTOCOL}${where}`,
    })
  }

  rule(pref: number, how: string): void {
    this.items.set(`rule ${pref}`, {
      tool: 'ip',
      add: `rule add pref ${pref} ${how}`,
      // In full: somebody else's rule may have the same number.
      remove: `rule del pref ${pref} ${how}`,
    })
  }

  neighbour(address: string, mac: string, device: string): void {
    this.items.set(`neigh ${address}`, {
      tool: 'ip',
      add: `neigh replace ${address} lladdr ${mac} dev ${device} nud permanent`,
      remove: `neigh del ${address} dev ${device}`,
    })
  }

  /** An address that a bridge answers for (IPv6). */
  proxied(address: string, bridge: string): void {
    this.items.set(`proxy ${address} ${bridge}`, {
      tool: 'ip',
      add: `neigh replace proxy ${address} dev ${bridge}`,
      remove: `neigh del proxy ${address} dev ${bridge}`,
    })
  }

  forward(mac: string, address: string): void {
    this.items.set(`fdb ${mac} ${address}`, {
      tool: 'bridge',
      add: `fdb replace ${mac} dev ${VXLAN_DEVICE} dst ${address} self permanent`,
      remove: `fdb del ${mac} dev ${VXLAN_DEVICE} dst ${address} self`,
    })
  }

  /** To the relay, which knows the node by the MAC. */
  relay(mac: string, port: number): void {
    const how = `${mac} dev ${ENCRYPTED_DEVICE} dst ${RELAY_ADDRESS} port ${port} self`
    this.items.set(`fdb ${mac} ${RELAY_ADDRESS}`, {
      tool: 'bridge',
      add: `fdb replace ${how} permanent`,
      remove: `fdb del ${how}`,
    })
  }

  /** The way back to the node that a flow entered through. */
  returns(index: number, vtepAddr: string, device: string): void {
    const number = RETURN_TABLE_BASE + index
    const mark = `0x${(index << 16).toString(16)}`
    this.rule(number, `fwmark ${mark}/${mask} lookup ${number}`)
    this.route(String(number), 'default', `via ${vtepAddr} dev ${device} onlink`)
  }
}

/** A routing rule as `ip -j rule` tells it. */
export interface RuleJson {
  priority?: number
  fwmark?: string
  fwmask?: string
  table?: string
  goto?: number
  nop?: null
}

/** How a rule that exists was made, when it is one of ours: the numbers are not only ours to use (an administrator's 1000). */
export const ownRule = (rule: RuleJson): string | undefined => {
  const { priority = 0, fwmark, fwmask, table } = rule
  if (priority === RETURN_END_PREF) return 'nop' in rule ? 'nop' : undefined
  if (fwmask !== mask) return undefined
  if (priority === RETURN_SKIP_PREF)
    return rule.goto === RETURN_END_PREF ? `fwmark 0/${mask} goto ${RETURN_END_PREF}` : undefined
  const index = priority - RETURN_TABLE_BASE
  const isOurs = index > 0 && priority < RETURN_END_PREF && Number(fwmark) === index << 16
  return isOurs && table !== undefined ? `fwmark ${fwmark}/${mask} lookup ${table}` : undefined
}

/** `ip route` prints a /32 without its mask, and so do the keys. */
const bare = (destination: string): string => destination.replace(/\/32$/, '')

const encryptedPeer = (out: LinkItems, self: Peer, peer: Peer, relayPort: number): void => {
  const { vtepAddr, mac } = peer.encrypted
  out.neighbour(vtepAddr, mac, ENCRYPTED_DEVICE)
  out.relay(mac, relayPort)
  out.route('main', vtepAddr, `dev ${ENCRYPTED_DEVICE} src ${self.encrypted.vtepAddr}`)
  out.returns(ENCRYPTED_RETURN + peer.index, vtepAddr, ENCRYPTED_DEVICE)
}

/** What routes are made of for the addresses of one family. */
export interface RouteFamily<Network extends TableNetwork> {
  /** Those that have a way, by id. */
  networks: ReadonlyMap<string, Network>
  /** Networks (by index) whose bridge exists on this node. */
  bridges: ReadonlySet<number>
  blocks: (network: Network) => readonly { nodeId: string; cidr: string }[]
  vipBlock: (network: Network) => string | null
  /** An IPv4 address as this family has it. */
  address: (addr: string) => string | undefined
  /** The address of a peer that packets for the network are handed to. */
  gateway: (peer: Peer, network: Network) => string
  /** What the host speaks from, if it has to be told: ` src …`. */
  source: (network: Network) => string
}

/** Routes to the other nodes' blocks, to VIPs, and to addresses outside their node's block. */
export const addRoutes = <Network extends TableNetwork>(
  out: LinkItems,
  table: ForwardingTable,
  { networks, bridges, blocks, vipBlock, address, gateway, source }: RouteFamily<Network>,
): void => {
  const peers = new Map(table.peers.map((peer) => [peer.nodeId, peer]))
  const via = (peer: Peer, network: Network): string =>
    `via ${gateway(peer, network)} dev ${network.device} onlink${source(network)}`
  for (const network of networks.values()) {
    for (const { nodeId, cidr } of blocks(network)) {
      const peer = peers.get(nodeId)
      if (peer !== undefined) out.route('main', bare(cidr), via(peer, network))
    }
    // Never forwarded there: it makes the bridge answer ARP for VIPs (proxy_arp needs a route out of another device), and keeps IPv6 from
    // going out of the bridge that it came in by, of which the kernel would tell the client.
    const vips = vipBlock(network)
    if (vips !== null) out.route('main', vips, `dev ${network.device}${source(network)}`)
  }
  for (const { addr, networkId } of table.vips) {
    const network = networks.get(networkId)
    const vip = address(addr)
    if (network?.plan !== 'flat' || vip === undefined) continue
    out.route('main', vip, `dev ${network.device}${source(network)}`)
  }
  for (const { addr, networkId, nodeId } of table.hostRoutes) {
    const network = networks.get(networkId)
    const host = address(addr)
    if (network === undefined || host === undefined) continue
    const peer = peers.get(nodeId)
    if (peer !== undefined) out.route('main', host, via(peer, network))
    else if (nodeId === table.self.nodeId && bridges.has(network.index))
      out.route('main', host, `dev ${network.bridge}${source(network)}`)
  }
}

/**
 * The link state of a forwarding table. `bridges` are the networks (by index) whose bridge exists on this node; `relayPort` is where
 * the relay takes the datagrams of encrypted networks, null when it can't: then those have no route. Pure.
 */
export const linkModel = (
  table: ForwardingTable,
  bridges: ReadonlySet<number>,
  relayPort: number | null,
): LinkModel => {
  const out = new LinkItems()
  if (table.peers.length > 0) {
    // Unmarked packets, nearly all, pass one rule instead of one per node.
    out.rule(RETURN_SKIP_PREF, `fwmark 0/${mask} goto ${RETURN_END_PREF}`)
    out.rule(RETURN_END_PREF, 'nop')
  }
  for (const peer of table.peers) {
    out.neighbour(peer.vtepAddr, peer.mac, VXLAN_DEVICE)
    out.forward(peer.mac, peer.dataPathAddr)
    out.route('main', peer.vtepAddr, `dev ${VXLAN_DEVICE} src ${table.self.vtepAddr}`)
    out.returns(peer.index, peer.vtepAddr, VXLAN_DEVICE)
    if (relayPort !== null && hasEncrypted(table)) encryptedPeer(out, table.self, peer, relayPort)
  }
  const usable = table.networks.filter((network) => !network.encrypted || relayPort !== null)
  addRoutes(out, table, {
    networks: new Map(usable.map((network) => [network.id, network])),
    bridges,
    blocks: ({ blocks }) => blocks,
    vipBlock: ({ vipBlock }) => vipBlock,
    address: (addr) => addr,
    gateway: (peer, network) => (network.encrypted ? peer.encrypted : peer).vtepAddr,
    // Without a bridge this node has no address in the network; the host then speaks from the VXLAN device's.
    source: ({ index, gateway }) =>
      bridges.has(index) && gateway !== null ? ` src ${gateway}` : '',
  })
  return out.items
}

/** Lines for one tool that turn `before` into `after`: removals first, since an address may have moved to another key. */
export interface LinkDifference {
  remove: LinkItem[]
  add: LinkItem[]
}

export const linkDifference = (before: LinkModel, after: LinkModel): LinkDifference => ({
  remove: [...before].filter(([key]) => !after.has(key)).map(([, item]) => item),
  add: [...after]
    // A changed rule must be taken away first (there is no `rule replace`); everything else is replaced in place.
    .filter(([key, item]) => before.get(key)?.add !== item.add)
    .map(([, item]) => item),
})
