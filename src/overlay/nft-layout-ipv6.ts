/**
 * The IPv6 table of the kernel plane: isolation, VIPs, resets and the way outside, as the IPv4 table has them (nft-script.ts). It exists
 * only while a network has IPv6.
 */
import { BRIDGES, ENCRYPTED_DEVICE, MARK_ACCEPT, MARK_OWNED, VXLAN_DEVICES } from './names.ts'
import { type BalanceChain, SLOTS_MAX } from './nft-model.ts'
import type { Ipv6MapName, Ipv6SetName } from './nft-model-ipv6.ts'
import type { NftLayout } from './nft-script.ts'

const SETS: Record<Ipv6SetName, string> = {
  overlay: 'type ipv6_addr; flags interval',
  pairs: 'type ipv6_addr . ipv6_addr; flags interval',
  local_nets: 'type ipv6_addr; flags interval',
  internal_nets: 'type ipv6_addr; flags interval',
  encrypted_nets: 'type ipv6_addr; flags interval',
  vip_nets: 'type ipv6_addr; flags interval',
  vip_addrs: 'type ipv6_addr',
  hairpin: 'type ipv6_addr . ipv6_addr',
  dead_eps: 'type ipv6_addr',
}

const MAPS: Record<Ipv6MapName, string> = {
  vip: 'type ipv6_addr : verdict',
  vip_ep: `typeof ip6 daddr . numgen inc mod ${SLOTS_MAX} : ip6 daddr`,
}

const own = `0x${MARK_OWNED.toString(16)}`
const accept = `0x${MARK_ACCEPT.toString(16)}`

const chainRules = ({ slots }: BalanceChain): string =>
  `ct mark set ct mark | ${own} dnat ip6 to ip6 daddr . numgen inc mod ${slots} map @vip_ep`

/** Neighbour discovery is no connection: conntrack leaves it alone, and so do rules that ask for a direction. */
const rules = (): string => `
chain astray {
  iifname != "${ENCRYPTED_DEVICE}" iifname != "${BRIDGES}" iifname != "lo" drop
}
chain raw_pre {
  type filter hook prerouting priority -300
  ip6 saddr @encrypted_nets jump astray
  ip6 daddr @encrypted_nets jump astray
}
chain isolate {
  type filter hook prerouting priority -140
  ip6 saddr . ip6 daddr @pairs accept
  ip6 saddr @overlay ip6 daddr @overlay ct direction original drop
  ip6 saddr @internal_nets ip6 daddr != { fe80::/10, ff00::/8 } ct direction original drop
  iifname != "${VXLAN_DEVICES}" iifname != "lo" ip6 saddr != @overlay ip6 daddr @overlay ct direction original drop
}
chain pre { type nat hook prerouting priority -105; ip6 daddr vmap @vip; }
chain out { type nat hook output priority -105; ip6 daddr vmap @vip; }
chain unserved {
  ip6 daddr @dead_eps meta l4proto tcp reject with tcp reset
  ip6 daddr @dead_eps reject
  ip6 daddr @vip_nets meta l4proto tcp reject with tcp reset
  ip6 daddr @vip_nets reject
  ip6 daddr @vip_addrs meta l4proto tcp reject with tcp reset
  ip6 daddr @vip_addrs reject
}
chain forwarded {
  type filter hook forward priority -5
  jump unserved
  oifname "${VXLAN_DEVICES}" tcp flags syn tcp option maxseg size set rt mtu
  ip6 saddr . ip6 daddr @pairs ct state new ct mark set ct mark | ${own}
  ct mark & ${own} != 0 meta mark set meta mark | ${accept} accept
}
chain sent {
  type filter hook output priority -5
  oifname "${BRIDGES}" icmpv6 type nd-redirect drop
  ip6 daddr @overlay jump unserved
}
chain clear_mark {
  type filter hook postrouting priority 200
  oifname "${VXLAN_DEVICES}" meta mark set 0
  ip6 daddr @encrypted_nets oifname != "${ENCRYPTED_DEVICE}" oifname != "${BRIDGES}" oifname != "lo" drop
  ip6 saddr @encrypted_nets oifname != "${ENCRYPTED_DEVICE}" oifname != "${BRIDGES}" oifname != "lo" drop
}
chain post {
  type nat hook postrouting priority 95
  ip6 saddr . ip6 daddr @hairpin masquerade
  ip6 saddr @local_nets ip6 daddr != @overlay ip6 daddr != { fe80::/10, ff00::/8 } oifname != "${VXLAN_DEVICES}" oifname != "lo" masquerade
}`

export const IPV6_LAYOUT: NftLayout = { family: 'ip6', sets: SETS, maps: MAPS, rules, chainRules }
