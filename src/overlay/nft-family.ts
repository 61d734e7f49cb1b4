/** What the tables of both families have in common: the same rules, read over addresses of the one or the other. */
import {
  BRIDGES,
  ENCRYPTED_DEVICE,
  MARK_ACCEPT,
  MARK_OWNED,
  VXLAN_DEVICE,
  VXLAN_DEVICES,
} from './names.ts'
import { type BalanceChain, type CommonSetName, SLOTS_MAX } from './nft-model.ts'

export type NftFamily = 'ip' | 'ip6'

const addressType = { ip: 'ipv4_addr', ip6: 'ipv6_addr' } as const

/** The marks as nft text. */
export const OWNED = `0x${MARK_OWNED.toString(16)}`
export const ACCEPT = `0x${MARK_ACCEPT.toString(16)}`

/** Declarations by name. */
export const commonSetTypes = (family: NftFamily): Record<CommonSetName, string> => {
  const address = addressType[family]
  return {
    overlay: `type ${address}; flags interval`,
    pairs: `type ${address} . ${address}; flags interval`,
    local_nets: `type ${address}; flags interval`,
    internal_nets: `type ${address}; flags interval`,
    encrypted_nets: `type ${address}; flags interval`,
    vip_nets: `type ${address}; flags interval`,
    vip_addrs: `type ${address}`,
    task_addrs: `type ${address}`,
    hairpin: `type ${address} . ${address}`,
    dead_eps: `type ${address}`,
  }
}

export const vipMapTypes = (family: NftFamily): Record<'vip' | 'vip_ep', string> => ({
  vip: `type ${addressType[family]} : verdict`,
  vip_ep: `typeof ${family} daddr . numgen inc mod ${SLOTS_MAX} : ${family} daddr`,
})

/** From a VIP to one of its endpoints, in turn. */
export const vipRule = (family: NftFamily, { slots }: Pick<BalanceChain, 'slots'>): string =>
  `ct mark set ct mark | ${OWNED} dnat ${family} to ${family} daddr . numgen inc mod ${slots} map @vip_ep`

/** What comes in of encrypted networks must come by their device; `raw_pre` goes there. */
export const ASTRAY_CHAIN = `chain astray {
  iifname != "${ENCRYPTED_DEVICE}" iifname != "${BRIDGES}" iifname != "lo" drop
}`

export const toAstray = (
  family: NftFamily,
): string => `  ${family} saddr @encrypted_nets jump astray
  ${family} daddr @encrypted_nets jump astray`

/**
 * Isolation: who says to be of an overlay must have its way back where it comes from. An answer may have it elsewhere, since it leaves by
 * its container's default gateway, but never at another node: or what goes backwards along a flow would pass as that node's task.
 * `notOutside` narrows down where to an internal network's containers may not go.
 */
export const isolateChain = (family: NftFamily, notOutside = ''): string => `chain isolate {
  type filter hook prerouting priority -140
  iifname "${BRIDGES}" ${family} saddr @overlay fib saddr . iif oif missing ct direction original drop
  iifname "${BRIDGES}" ${family} saddr @overlay fib saddr oifname { "${VXLAN_DEVICE}", "${ENCRYPTED_DEVICE}" } drop
  ${family} saddr . ${family} daddr @pairs accept
  ${family} saddr @overlay ${family} daddr @overlay ct direction original drop
  ${family} saddr @internal_nets ${notOutside}ct direction original drop
  iifname != "${VXLAN_DEVICES}" iifname != "lo" ${family} saddr != @overlay ${family} daddr @overlay ct direction original drop
}`

/** Resets and refusals, and what passes between devices. */
export const forwardChains = (family: NftFamily): string => `chain unserved {
  ${family} daddr @dead_eps meta l4proto tcp reject with tcp reset
  ${family} daddr @dead_eps reject
  ${family} daddr @task_addrs return
  ${family} daddr @vip_nets meta l4proto tcp reject with tcp reset
  ${family} daddr @vip_nets reject
  ${family} daddr @vip_addrs meta l4proto tcp reject with tcp reset
  ${family} daddr @vip_addrs reject
}
chain forwarded {
  type filter hook forward priority -5
  jump unserved
  oifname "${VXLAN_DEVICES}" tcp flags syn tcp option maxseg size set rt mtu
  ${family} saddr . ${family} daddr @pairs ct state new ct mark set ct mark | ${OWNED}
  ct mark & ${OWNED} != 0 meta mark set meta mark | ${ACCEPT} accept
}`

const notEncrypted = `oifname != "${ENCRYPTED_DEVICE}" oifname != "${BRIDGES}" oifname != "lo" drop`

export const clearMarkChain = (family: NftFamily): string => `chain clear_mark {
  type filter hook postrouting priority 200
  oifname "${VXLAN_DEVICES}" meta mark set 0
  ${family} daddr @encrypted_nets ${notEncrypted}
  ${family} saddr @encrypted_nets ${notEncrypted}
}`
