import { addressesAmongVips, type ForwardingTable, needsIpv6 } from './forwarding-table.ts'
import { twinsOf } from './link-model-ipv6.ts'
import { Balance, type CommonSetName, commonSets, type NftTable, vipMaps } from './nft-model.ts'

export type Ipv6MapName = 'vip' | 'vip_ep'

/** Nodes speak IPv4 among each other, and published ports are the listener's: there are no sets for either. */
export interface Ipv6NftModel extends NftTable {
  sets: Record<CommonSetName, ReadonlySet<string>>
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
    sets: commonSets(dual, {
      encrypted: table.encryptedSubnets.ipv6,
      vips: twins.all(table.vips.map(({ addr }) => addr)),
      amongVips: twins.all(addressesAmongVips(table)),
      local: twins.all(table.localAddresses),
      dead: twins.all(dead),
    }),
    maps: { vip: vips.vip, vip_ep: vips.slots },
    chains: balance.chains,
  }
}
