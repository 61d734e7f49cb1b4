/**
 * The IPv6 table of the kernel plane: isolation, VIPs, resets and the way outside, as the IPv4 table has them (nft-script.ts). It exists
 * only while a network has IPv6.
 */
import { BRIDGES, VXLAN_DEVICES } from './names.ts'
import {
  ASTRAY_CHAIN,
  clearMarkChain,
  commonSetTypes,
  forwardChains,
  isolateChain,
  toAstray,
  vipMapTypes,
  vipRule,
} from './nft-family.ts'
import type { NftLayout } from './nft-script.ts'

/** What stays on its link, or asks who is there. */
const LINK = '{ fe80::/10, ff00::/8 }'

/** Neighbour discovery is no connection: conntrack leaves it alone, and so do rules that ask for a direction. */
const rules = (): string => `
${ASTRAY_CHAIN}
chain raw_pre {
  type filter hook prerouting priority -300
${toAstray('ip6')}
}
${isolateChain('ip6', `ip6 daddr != ${LINK} `)}
chain pre { type nat hook prerouting priority -105; ip6 daddr vmap @vip; }
chain out { type nat hook output priority -105; ip6 daddr vmap @vip; }
${forwardChains('ip6')}
chain sent {
  type filter hook output priority -5
  oifname "${BRIDGES}" icmpv6 type nd-redirect drop
  ip6 daddr @overlay jump unserved
}
${clearMarkChain('ip6')}
chain post {
  type nat hook postrouting priority 95
  ip6 saddr . ip6 daddr @hairpin masquerade
  ip6 saddr @local_nets ip6 daddr != @overlay ip6 daddr != ${LINK} oifname != "${VXLAN_DEVICES}" oifname != "lo" masquerade
}`

export const IPV6_LAYOUT: NftLayout = {
  family: 'ip6',
  sets: commonSetTypes('ip6'),
  maps: vipMapTypes('ip6'),
  rules,
  chainRules: (chain) => vipRule('ip6', chain),
}
