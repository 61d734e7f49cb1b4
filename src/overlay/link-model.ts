import type { ForwardingTable, TableNetwork } from './forwarding-table.ts'
import {
  MARK_NODE_MASK,
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
      remove: `rule del pref ${pref}`,
    })
  }

  neighbour(address: string, mac: string): void {
    this.items.set(`neigh ${address}`, {
      tool: 'ip',
      add: `neigh replace ${address} lladdr ${mac} dev ${VXLAN_DEVICE} nud permanent`,
      remove: `neigh del ${address} dev ${VXLAN_DEVICE}`,
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
}

/** `ip route` prints a /32 without its mask, and so do the keys. */
const bare = (destination: string): string => destination.replace(/\/32$/, '')

/** The link state of a forwarding table. `bridges` are the networks (by index) whose bridge exists on this node. Pure. */
export const linkModel = (table: ForwardingTable, bridges: ReadonlySet<number>): LinkModel => {
  const out = new LinkItems()
  const peers = new Map(table.peers.map((peer) => [peer.nodeId, peer]))
  const networks = new Map(table.networks.map((network) => [network.id, network]))
  // Without a bridge this node has no address in the network; the host then speaks from the VXLAN device's.
  const source = (network: TableNetwork): string =>
    bridges.has(network.index) && network.gateway !== null ? ` src ${network.gateway}` : ''
  const via = (vtepAddr: string) => `via ${vtepAddr} dev ${VXLAN_DEVICE} onlink`

  if (table.peers.length > 0) {
    // Unmarked packets, nearly all, pass one rule instead of one per node.
    out.rule(RETURN_SKIP_PREF, `fwmark 0/${mask} goto ${RETURN_END_PREF}`)
    out.rule(RETURN_END_PREF, 'nop')
  }
  for (const peer of table.peers) {
    const number = RETURN_TABLE_BASE + peer.index
    const mark = `0x${(peer.index << 16).toString(16)}`
    out.neighbour(peer.vtepAddr, peer.mac)
    out.forward(peer.mac, peer.dataPathAddr)
    out.route('main', peer.vtepAddr, `dev ${VXLAN_DEVICE} src ${table.self.vtepAddr}`)
    out.rule(number, `fwmark ${mark}/${mask} lookup ${number}`)
    out.route(String(number), 'default', via(peer.vtepAddr))
  }
  for (const network of table.networks) {
    for (const block of network.blocks) {
      const peer = peers.get(block.nodeId)
      if (peer !== undefined)
        out.route('main', bare(block.cidr), via(peer.vtepAddr) + source(network))
    }
    // Never forwarded there: it makes the bridge answer ARP for VIPs (proxy_arp needs a route out of another device).
    if (network.vipBlock !== null)
      out.route('main', network.vipBlock, `dev ${VXLAN_DEVICE}${source(network)}`)
  }
  for (const vip of table.vips) {
    const network = networks.get(vip.networkId)
    if (network?.plan === 'flat')
      out.route('main', vip.addr, `dev ${VXLAN_DEVICE}${source(network)}`)
  }
  for (const route of table.hostRoutes) {
    const network = networks.get(route.networkId)
    if (network === undefined) continue
    const peer = peers.get(route.nodeId)
    if (peer !== undefined) out.route('main', route.addr, via(peer.vtepAddr) + source(network))
    else if (route.nodeId === table.self.nodeId && bridges.has(network.index))
      out.route('main', route.addr, `dev ${network.bridge}${source(network)}`)
  }
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
