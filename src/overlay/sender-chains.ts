import type { Jump } from './iptables.ts'
import { ANY_BRIDGE } from './names.ts'

/**
 * The proxy plane's chains about who says to have sent something, in table filter: what `isolate` and `raw_pre` of nftables hold in the
 * kernel plane.
 */
const FROM_CHAIN = 'SWARMCTL-FROM'
const VXLAN_CHAIN = 'SWARMCTL-VXLAN'
const IN_CHAIN = 'SWARMCTL-IN'

/** To be removed after the chains whose rules lead to them. */
export const FROM_CHAINS: readonly Jump[] = [{ table: 'filter', from: [], chain: FROM_CHAIN }]
export const VXLAN_CHAINS: readonly Jump[] = [
  { table: 'filter', from: ['INPUT'], chain: IN_CHAIN },
  { table: 'filter', from: [], chain: VXLAN_CHAIN },
]

/** A container speaks with an address of its own network, of all that overlays have: rules for `chain`, before it accepts any. Pure. */
export const fromRules = (
  chain: string,
  networks: readonly { bridge: string; subnet: string }[],
): string[] => [
  `:${FROM_CHAIN} - [0:0]`,
  ...networks.map(({ bridge, subnet }) => `-A ${FROM_CHAIN} -i ${bridge} -s ${subnet} -j RETURN`),
  ...networks.map(({ subnet }) => `-A ${FROM_CHAIN} -s ${subnet} -j DROP`),
  // An answer leaves by the container's default gateway, whichever network that is of.
  `-A ${chain} -i ${ANY_BRIDGE} -m conntrack --ctdir ORIGINAL -j ${FROM_CHAIN}`,
]

/** Only nodes hand each other what is wrapped for the VXLAN device: rules for `chain`, before it accepts any. Pure. */
export const vxlanRules = (chain: string, nodes: readonly string[], port: number): string[] => {
  const wrapped = `-p udp --dport ${port}`
  return [
    `:${VXLAN_CHAIN} - [0:0]`,
    `-A ${VXLAN_CHAIN} -i ${ANY_BRIDGE} -j DROP`,
    ...nodes.map((node) => `-A ${VXLAN_CHAIN} -s ${node} -j RETURN`),
    `-A ${VXLAN_CHAIN} -j DROP`,
    `:${IN_CHAIN} - [0:0]`,
    `-A ${IN_CHAIN} ${wrapped} -j ${VXLAN_CHAIN}`,
    ...nodes.map((node) => `-A ${chain} ${wrapped} -d ${node} -j ${VXLAN_CHAIN}`),
  ]
}
