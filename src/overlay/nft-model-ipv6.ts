import { type ForwardingTable, needsIpv6 } from './forwarding-table.ts'
import { twinsOf } from './link-model-ipv6.ts'
import { Balance, type NftTable, vipMaps } from './nft-model.ts'

/** The sets of the IPv6 table: nodes speak IPv4 among each other, and published ports are the listener's. */
export type Ipv6SetName =
  | 'overlay'
  | 'pairs'
  | 'local_nets'
  | 'internal_nets'
  | 'encrypted_nets'
  | 'vip_nets'
  | 'vip_addrs'
  | 'hairpin'
  | 'dead_eps'

export type Ipv6MapName = 'vip' | 'vip_ep'

export interface Ipv6NftModel extends NftTable {
  sets: Record<Ipv6SetName, ReadonlySet<string>>
  maps: Record<Ipv6MapName, ReadonlyMap<string, string>>
}

/** What the IPv6 table holds for a forwarding table; null when no network has IPv6: then there is no such table. Pure. */
export const ipv6NftModel = (
  table: ForwardingTable,
  inputs: { retired: Iterable<string> },
): Ipv6NftModel | null => {
  const dual = table.networks.flatMap(({ ipv6, internal }) =>
    ipv6 === null ? [] : [{ ...ipv6, internal }],
  )
  if (!needsIpv6(table)) return null
  const twins = twinsOf(table)
  const balance = new Balance()
  const vips = vipMaps(
    table.vips.flatMap((vip) => {
      const addr = twins.of(vip.addr)?.addr
      const ready = vip.endpoints.filter((endpoint) => !table.ipv4Only.has(endpoint))
      return addr === undefined ? [] : [{ ...vip, addr, endpoints: twins.all(ready) }]
    }),
    balance,
  )
  const dead = [...table.deadAddresses, ...inputs.retired, ...table.ipv4Only]
  return {
    sets: {
      overlay: new Set(dual.map(({ subnet }) => subnet)),
      pairs: new Set(dual.map(({ subnet }) => `${subnet} . ${subnet}`)),
      local_nets: new Set(dual.filter(({ internal }) => !internal).map(({ local }) => local)),
      internal_nets: new Set(dual.filter(({ internal }) => internal).map(({ subnet }) => subnet)),
      encrypted_nets: new Set(table.encryptedSubnets.ipv6),
      vip_nets: new Set(dual.flatMap(({ vipBlock }) => vipBlock ?? [])),
      vip_addrs: new Set(twins.all(table.vips.map(({ addr }) => addr))),
      hairpin: new Set(twins.all(table.localAddresses).map((addr) => `${addr} . ${addr}`)),
      dead_eps: new Set(twins.all(dead)),
    },
    maps: { vip: vips.vip, vip_ep: vips.slots },
    chains: balance.chains,
  }
}
