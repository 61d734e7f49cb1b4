import { formatIpv6, parseIpv6Cidr } from '../api/ipv6.ts'
import { type ForwardingTable, hasEncrypted, type TableNetwork } from './forwarding-table.ts'
import { addRoutes, LinkItems, type LinkModel } from './link-model.ts'
import { ENCRYPTED_DEVICE, encryptedVtepAddress6, VXLAN_DEVICE, vtepAddress6 } from './names.ts'
import { Twins } from './twins.ts'

/** What IPv6 links depend on beside the table. */
export interface Ipv6LinkInputs {
  /** Networks (by index) whose bridge exists on this node. */
  bridges: ReadonlySet<number>
  /** The containers of one bridge reach each other through the host only (bridge-ports.ts). */
  isIsolated: boolean
  /** Addresses of tasks that went away lately: who still asks for them is to meet the reset. */
  retired: Iterable<string>
  /** Encrypted networks have their way (`linkModel`). */
  isRelayed: boolean
}

type DualNetwork = TableNetwork & { ipv6: NonNullable<TableNetwork['ipv6']> }

const isDual = (network: TableNetwork): network is DualNetwork => network.ipv6 !== null

/**
 * The IPv6 neighbours and routes of a forwarding table: what `linkModel` has for IPv4, address by address and block by block. And the
 * addresses that a bridge answers for, since IPv6 has nothing like `proxy_arp`: this part grows with the tasks of the networks that the
 * node has tasks on, and with nodes. Empty when no network has IPv6. Pure.
 */
export const ipv6LinkModel = (table: ForwardingTable, inputs: Ipv6LinkInputs): LinkModel => {
  const out = new LinkItems()
  const networks = table.networks
    .filter(isDual)
    .filter((network) => !network.encrypted || inputs.isRelayed)
  if (networks.length === 0) return out.items
  const twins = twinsOf(table)
  const isEncrypting = hasEncrypted({ networks })
  for (const { index, mac, encrypted } of table.peers) {
    out.neighbour(vtepAddress6(index), mac, VXLAN_DEVICE)
    if (isEncrypting) out.neighbour(encryptedVtepAddress6(index), encrypted.mac, ENCRYPTED_DEVICE)
  }
  addRoutes(out, table, {
    networks: new Map(networks.map((network) => [network.id, network])),
    bridges: inputs.bridges,
    blocks: ({ ipv6 }) => ipv6.blocks,
    vipBlock: ({ ipv6 }) => ipv6.vipBlock,
    address: (addr) => twins.of(addr)?.addr,
    gateway: ({ index }, { encrypted }) =>
      encrypted ? encryptedVtepAddress6(index) : vtepAddress6(index),
    // It speaks from its gateway's address, which is what is nearest (RFC 6724), and is not ready before a container is there.
    source: () => '',
  })
  addProxied(out, table, inputs, twins)
  return out.items
}

const addProxied = (
  out: LinkItems,
  table: ForwardingTable,
  inputs: Ipv6LinkInputs,
  twins: Twins,
): void => {
  const bridges = new Map(
    table.networks
      .filter(({ index }) => inputs.bridges.has(index))
      .map((network) => [network.id, network.bridge]),
  )
  const add = (addr: string): void => {
    const twin = twins.of(addr)
    const bridge = twin && bridges.get(twin.networkId)
    if (twin !== undefined && bridge !== undefined) out.proxied(twin.addr, bridge)
  }
  const locals = new Set(table.localAddresses)
  for (const list of table.addressesByNode.values())
    for (const addr of list) if (inputs.isIsolated || !locals.has(addr)) add(addr)
  for (const { addr } of table.vips) add(addr)
  for (const addr of inputs.retired) add(addr)
  // The other nodes' gateways, which is who asks when a host does: in flat subnets they have routes of their own.
  for (const { addr, nodeId } of table.hostRoutes) if (nodeId !== table.self.nodeId) add(addr)
  for (const { id, ipv6 } of table.networks) {
    const bridge = bridges.get(id)
    if (bridge === undefined) continue
    for (const { cidr } of ipv6?.blocks ?? []) {
      const block = parseIpv6Cidr(cidr)
      if (block !== undefined) out.proxied(formatIpv6(block.first + 1n), bridge)
    }
  }
}

/** Of the table's networks. */
export const twinsOf = (table: ForwardingTable): Twins =>
  new Twins(table.networks.map(({ id, subnet, ipv6 }) => ({ id, subnet, subnet6: ipv6?.subnet })))
