import { dataPathAddresses, type ForwardingTable } from './forwarding-table.ts'
import type { Jump } from './iptables.ts'
import { ANY_BRIDGE } from './names.ts'

/**
 * The proxy plane's chains about who says to have sent something: what `isolate` and `raw_pre` of nftables hold in the kernel plane.
 */
const FROM_CHAIN = 'SWARMCTL-FROM'
const ANSWER_CHAIN = 'SWARMCTL-ANSWER'
const VXLAN_CHAIN = 'SWARMCTL-VXLAN'
const IN_CHAIN = 'SWARMCTL-IN'
export const FORGED_CHAIN = 'SWARMCTL-FORGED'

/** To be removed after the chains whose rules lead to them. */
export const FROM_CHAINS: readonly Jump[] = [
  { table: 'filter', from: [], chain: FROM_CHAIN },
  { table: 'filter', from: [], chain: ANSWER_CHAIN },
]
export const VXLAN_CHAINS: readonly Jump[] = [
  { table: 'filter', from: ['INPUT'], chain: IN_CHAIN },
  { table: 'filter', from: [], chain: VXLAN_CHAIN },
]
export const FORGED_CHAINS: readonly Jump[] = [
  { table: 'raw', from: ['PREROUTING'], chain: FORGED_CHAIN },
]

/** The Engine's bridges, by the names that it gives them: iptables can't tell a bridge from a card. */
const ENGINE_BRIDGES = ['docker+', 'br-+']

/** A network as its containers' senders are checked: in one family. */
export interface SenderNetwork {
  bridge: string
  subnet: string
  plan: 'blocks' | 'flat'
  local: string
}

/** An address that lies outside its node's block. */
export interface SenderHost {
  addr: string
  isHere: boolean
}

/** A container speaks with an address of its own network, of all that overlays have: rules for `chain`, before it accepts any. Pure. */
export const fromRules = (
  chain: string,
  networks: readonly SenderNetwork[],
  hosts: readonly SenderHost[],
): string[] => [
  `:${FROM_CHAIN} - [0:0]`,
  ...networks.map(({ bridge, subnet }) => `-A ${FROM_CHAIN} -i ${bridge} -s ${subnet} -j RETURN`),
  ...networks.map(({ subnet }) => `-A ${FROM_CHAIN} -s ${subnet} -j DROP`),
  `-A ${chain} -i ${ANY_BRIDGE} -m conntrack --ctdir ORIGINAL -j ${FROM_CHAIN}`,
  // An answer leaves by the container's default gateway, whichever network that is of; but not with what is another node's.
  `:${ANSWER_CHAIN} - [0:0]`,
  ...hosts.map(
    ({ addr, isHere }) => `-A ${ANSWER_CHAIN} -s ${addr} -j ${isHere ? 'RETURN' : 'DROP'}`,
  ),
  // In a flat subnet every address of another node is among those above.
  ...networks
    .filter(({ plan }) => plan === 'blocks')
    .flatMap(({ local, subnet }) => [
      `-A ${ANSWER_CHAIN} -s ${local} -j RETURN`,
      `-A ${ANSWER_CHAIN} -s ${subnet} -j DROP`,
    ]),
  `-A ${chain} -i ${ANY_BRIDGE} -m conntrack --ctdir REPLY -j ${ANSWER_CHAIN}`,
]

/** Only nodes hand each other what is wrapped for the VXLAN device: rules for `chain`, before it accepts any. Pure. */
export const vxlanRules = (chain: string, table: ForwardingTable, port: number): string[] => {
  const wrapped = `-p udp --dport ${port}`
  const nodes = dataPathAddresses(table)
  return [
    `:${VXLAN_CHAIN} - [0:0]`,
    `-A ${VXLAN_CHAIN} -i ${ANY_BRIDGE} -j DROP`,
    ...nodes.map((node) => `-A ${VXLAN_CHAIN} -s ${node} -j RETURN`),
    `-A ${VXLAN_CHAIN} -j DROP`,
    `:${IN_CHAIN} - [0:0]`,
    // The device's socket is bound to every address of the host, and takes broadcasts.
    `-A ${IN_CHAIN} ${wrapped} ! -d ${table.self.dataPathAddr} -j DROP`,
    `-A ${IN_CHAIN} ${wrapped} -j ${VXLAN_CHAIN}`,
    ...nodes.map((node) => `-A ${chain} ${wrapped} -d ${node} -j ${VXLAN_CHAIN}`),
  ]
}

/**
 * What a container of the Engine's own bridges sends as a node, as `iptables-restore --noflush` text: no way leads back over that bridge
 * to the sender, nor is the address that bridge's own (an underlay's bridge may have such a name). Pure.
 */
export const forgedChain = (port: number): string =>
  [
    '*raw',
    `:${FORGED_CHAIN} - [0:0]`,
    ...ENGINE_BRIDGES.map(
      (bridge) =>
        `-A ${FORGED_CHAIN} -i ${bridge} -p udp --dport ${port} -m rpfilter --invert -m addrtype ! --dst-type LOCAL --limit-iface-in -j DROP`,
    ),
    'COMMIT',
    '',
  ].join('\n')
