import type { Jump } from './iptables.ts'
import { ANY_BRIDGE, ENCRYPTED_DEVICE, VXLAN_DEVICE } from './names.ts'

/**
 * The proxy plane's chains that keep encrypted networks off every other way, and others off theirs: what nftables' `astray` and
 * `clear_mark` do in the kernel plane. In tables that see every packet, not only what is forwarded.
 */
export const IN_CHAIN = 'SWARMCTL-GUARD-IN'
const LOCAL_CHAIN = 'SWARMCTL-GUARD-LOCAL'
const OUT_CHAIN = 'SWARMCTL-GUARD-OUT'

/** Where they are and which of the kernel's chains goes through them. */
export const GUARD_CHAINS: readonly Jump[] = [
  { table: 'raw', from: ['PREROUTING'], chain: IN_CHAIN },
  { table: 'raw', from: ['OUTPUT'], chain: LOCAL_CHAIN },
  { table: 'mangle', from: ['POSTROUTING'], chain: OUT_CHAIN },
]

/**
 * Their text for `iptables-restore --noflush`, empty chains when no network is encrypted. `subnets` are the encrypted networks', `port`
 * is their device's, null where packets to it have nothing to do (IPv6). Pure.
 */
export const guardChains = (subnets: readonly string[], port: number | null): string => {
  const isNeeded = subnets.length > 0
  // Also broadcasts and multicasts: a VXLAN socket takes them. And from containers, so before the ways that are open to them.
  const toPort = `-p udp --dport ${port}`
  const strangers = `-A ${IN_CHAIN} ! -i lo ${toPort} -m addrtype ! --dst-type UNICAST -j DROP`
  const ways = isNeeded ? ['lo', ENCRYPTED_DEVICE, ANY_BRIDGE] : []
  const guardsPort = isNeeded && port !== null
  return [
    '*raw',
    `:${IN_CHAIN} - [0:0]`,
    ...(guardsPort ? [strangers] : []),
    ...ways.map((way) => `-A ${IN_CHAIN} -i ${way} -j RETURN`),
    ...subnets.map((subnet) => `-A ${IN_CHAIN} -s ${subnet} -j DROP`),
    ...subnets.map((subnet) => `-A ${IN_CHAIN} -d ${subnet} -j DROP`),
    `:${LOCAL_CHAIN} - [0:0]`,
    ...(guardsPort ? [`-A ${LOCAL_CHAIN} -o lo ${toPort} -m owner ! --uid-owner 0 -j DROP`] : []),
    'COMMIT',
    '*mangle',
    `:${OUT_CHAIN} - [0:0]`,
    ...ways.map((way) => `-A ${OUT_CHAIN} -o ${way} -j RETURN`),
    ...subnets.map((subnet) => `-A ${OUT_CHAIN} -d ${subnet} -j DROP`),
    // What goes outside has its container's address until the translation, which comes later.
    ...subnets.map((subnet) => `-A ${OUT_CHAIN} -s ${subnet} -o ${VXLAN_DEVICE} -j DROP`),
    'COMMIT',
    '',
  ].join('\n')
}
