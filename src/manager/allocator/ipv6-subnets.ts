import { ipv6SubnetOf } from '../../api/ipam-pools.ts'
import { formatIpv6Cidr, type Ipv6Block, overlapsIpv6 } from '../../api/ipv6.ts'
import type { View } from '../store/view.ts'

/** What an IPv6 subnet overlaps, in words; undefined when no other network has or asked for a part of it. */
export const ipv6Conflict = (
  view: Pick<View, 'list'>,
  subnet: Ipv6Block,
  exceptId: string,
): string | undefined => {
  for (const network of view.list('network')) {
    if (network.ID === exceptId || !network.Spec.IPv6Enabled) continue
    for (const pools of [network.IPAMOptions.Configs, network.Spec.IPAMOptions.Configs]) {
      const other = ipv6SubnetOf(pools)
      if (other === undefined || !overlapsIpv6(other, subnet)) continue
      return `subnet ${formatIpv6Cidr(subnet)} overlaps ${formatIpv6Cidr(other)}, network ${network.Spec.Name}`
    }
  }
  return undefined
}
