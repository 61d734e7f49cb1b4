/**
 * The nftables table as text for `nft -f -`: a full, atomic replacement, or the difference of two models. Rules and priorities:
 * docs/design/overlay.md.
 */
import { BRIDGES, MARK_NODE_MASK, NFT_TABLE, RELAY_ADDRESS, VXLAN_DEVICES } from './names.ts'
import {
  ACCEPT,
  ASTRAY_CHAIN,
  clearMarkChain,
  commonSetTypes,
  forwardChains,
  isolateChain,
  type NftFamily,
  OWNED,
  toAstray,
  vipMapTypes,
  vipRule,
} from './nft-family.ts'
import {
  type BalanceChain,
  type MapName,
  type NftTable,
  type SetName,
  SLOTS_MAX,
} from './nft-model.ts'

const SETS: Record<SetName, string> = {
  vteps: 'type ipv4_addr',
  node_ips: 'type ipv4_addr',
  ...commonSetTypes('ip'),
  encrypted_ports: 'type inet_service',
  snat_nets: 'type ipv4_addr; flags interval',
  snat_addrs: 'type ipv4_addr',
  empty_ports: 'type inet_proto . inet_service',
}

const slot = `numgen inc mod ${SLOTS_MAX}`
const MAPS: Record<MapName, string> = {
  node_mark: 'type ether_addr : mark',
  ...vipMapTypes('ip'),
  pub: 'type inet_proto . inet_service : verdict',
  tcp_ep: `typeof tcp dport . ${slot} : ip daddr . tcp dport`,
  udp_ep: `typeof udp dport . ${slot} : ip daddr . udp dport`,
  sctp_ep: `typeof sctp dport . ${slot} : ip daddr . sctp dport`,
}

/** Elements per command: keeps lines within nft's parser comfortably, far below its limits. */
const ELEMENTS_PER_LINE = 500

const nodeMask = `0x${MARK_NODE_MASK.toString(16).padStart(8, '0')}`

/**
 * What a container of any bridge sends as a node: no way leads back over that bridge to the sender, nor is the address that bridge's own.
 * One of the two holds where the host's way to other nodes is a bridge; a card is not asked, since answers may go out by another one.
 */
const FROM_CONTAINERS =
  'meta iifkind "bridge" fib saddr . iif oif missing fib daddr . iif type != local'

const chainRules = (chain: BalanceChain): string =>
  chain.kind === 'vip'
    ? vipRule('ip', chain)
    : `ct mark set ct mark | ${OWNED} meta l4proto ${chain.kind} dnat ip to ${chain.kind} dport . numgen inc mod ${chain.slots} map @${chain.kind}_ep`

/** The rules that never change. `th dport` needs a protocol with ports: its key's first part makes sure. */
const fixedRules = (vxlanPort: number): string => `
chain services {
  ip daddr vmap @vip
  ip daddr @node_ips meta l4proto . th dport vmap @pub
  ip daddr != 127.0.0.0/8 ip daddr != @overlay fib daddr type local meta l4proto . th dport vmap @pub
}
${ASTRAY_CHAIN}
chain raw_pre {
  type filter hook prerouting priority -300
  udp dport ${vxlanPort} fib daddr type != unicast ip daddr != @vteps drop
  udp dport ${vxlanPort} ip saddr != @vteps ip daddr @vteps drop
  udp dport ${vxlanPort} iifname "${BRIDGES}" ip daddr @vteps drop
  udp dport ${vxlanPort} ip daddr @vteps ${FROM_CONTAINERS} drop
  udp dport ${vxlanPort} fib daddr type local notrack
  udp dport @encrypted_ports iifname != "lo" fib daddr type != unicast drop
  udp dport @encrypted_ports iifname "lo" notrack
  ip daddr ${RELAY_ADDRESS} notrack
${toAstray('ip')}
}
chain raw_out {
  type filter hook output priority -300
  udp dport ${vxlanPort} ip daddr @vteps notrack
  udp dport @encrypted_ports oifname "lo" meta skuid != 0 drop
  udp dport @encrypted_ports oifname "lo" notrack
  ip daddr ${RELAY_ADDRESS} notrack
}
chain entry_mark {
  type filter hook prerouting priority -150
  iifname "${VXLAN_DEVICES}" ct state new ip saddr != @overlay ct mark set ether saddr map @node_mark
  iifname != "${VXLAN_DEVICES}" ct direction reply ct mark & ${nodeMask} != 0 meta mark set ct mark & ${nodeMask}
}
chain reply_mark {
  type route hook output priority -150
  ct direction reply ct mark & ${nodeMask} != 0 meta mark set ct mark & ${nodeMask}
}
${isolateChain('ip')}
chain pre {
  type nat hook prerouting priority -105
  jump services
}
chain out { type nat hook output priority -105; jump services; }
${forwardChains('ip')}
chain sent {
  type filter hook output priority -5
  ip daddr @overlay jump unserved
}
chain received {
  type filter hook input priority -5
  ip daddr @overlay meta l4proto { tcp, udp } th dport 53 meta mark set meta mark | ${ACCEPT}
  ct state new ip daddr != @overlay meta l4proto . th dport @empty_ports meta l4proto tcp reject with tcp reset
  ct state new ip daddr != @overlay meta l4proto . th dport @empty_ports reject
}
${clearMarkChain('ip')}
chain post {
  type nat hook postrouting priority 95
  ip saddr . ip daddr @hairpin masquerade
  ct mark & ${OWNED} != 0 ct status dnat ip saddr @overlay ip saddr . ip daddr != @pairs masquerade
  oifname "${VXLAN_DEVICES}" ct status dnat ip saddr != @overlay ip daddr @snat_nets masquerade
  oifname "${VXLAN_DEVICES}" ct status dnat ip saddr != @overlay ip daddr @snat_addrs masquerade
  ip saddr @local_nets ip daddr != @overlay oifname != "${VXLAN_DEVICES}" oifname != "lo" masquerade
}`

/** What never changes in a table: its family, its sets and maps, and the rules that look into them. */
export interface NftLayout {
  family: NftFamily
  /** Declarations by name. */
  sets: Readonly<Record<string, string>>
  maps: Readonly<Record<string, string>>
  rules: (vxlanPort: number) => string
  chainRules: (chain: BalanceChain) => string
}

export const IPV4_LAYOUT: NftLayout = {
  family: 'ip',
  sets: SETS,
  maps: MAPS,
  rules: fixedRules,
  chainRules,
}

type Commands = (verb: string, name: string, elements: Iterable<string>) => string[]

const commandsFor =
  (family: NftFamily): Commands =>
  (verb, name, given) => {
    const lines: string[] = []
    const elements = [...given]
    for (let at = 0; at < elements.length; at += ELEMENTS_PER_LINE) {
      const part = elements.slice(at, at + ELEMENTS_PER_LINE).join(', ')
      lines.push(`${verb} element ${family} ${NFT_TABLE} ${name} { ${part} }`)
    }
    return lines
  }

const mapElements = (map: ReadonlyMap<string, string>): string[] =>
  [...map].map(([key, value]) => `${key} : ${value}`)

const chainBlocks = (layout: NftLayout, chains: Iterable<[string, BalanceChain]>): string[] =>
  [...chains].map(([name, chain]) => {
    const where = `${layout.family} ${NFT_TABLE} ${name}`
    return `add chain ${where}\nadd rule ${where} ${layout.chainRules(chain)}`
  })

/**
 * Replaces the whole table in one transaction: connections keep their translation (conntrack holds it, not the rules), and no
 * packet ever meets half a table.
 */
export const fullScript = (
  model: NftTable,
  { vxlanPort, layout = IPV4_LAYOUT }: { vxlanPort: number; layout?: NftLayout },
): string => {
  const table = `table ${layout.family} ${NFT_TABLE}`
  const commands = commandsFor(layout.family)
  return [
    table,
    `delete ${table}`,
    `${table} {`,
    ...Object.entries(layout.sets).map(([name, text]) => `set ${name} { ${text}; }`),
    ...Object.entries(layout.maps).map(([name, text]) => `map ${name} { ${text}; }`),
    layout.rules(vxlanPort),
    '}',
    ...chainBlocks(layout, model.chains),
    ...Object.entries(model.sets).flatMap(([name, set]) => commands('add', name, set)),
    ...Object.entries(model.maps).flatMap(([name, map]) => commands('add', name, mapElements(map))),
    '',
  ].join('\n')
}

const mapDifference = (
  commands: Commands,
  name: string,
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
) => {
  const gone = [...before].filter(([key, value]) => after.get(key) !== value)
  const fresh = new Map([...after].filter(([key, value]) => before.get(key) !== value))
  return {
    // Data maps and verdict maps both are told apart by key alone.
    remove: commands(
      'delete',
      name,
      gone.map(([key]) => key),
    ),
    add: commands('add', name, mapElements(fresh)),
  }
}

const without = (set: ReadonlySet<string>, other: ReadonlySet<string> | undefined): string[] =>
  [...set].filter((one) => !other?.has(one))

/**
 * The transaction that turns the table of `before` into that of `after`; empty when nothing differs. Chains that nothing refers to
 * any more stay until the next full replacement: they are few (buckets × endpoint counts) and cost nothing.
 */
export const differenceScript = (
  before: NftTable,
  after: NftTable,
  existingChains: ReadonlySet<string>,
  layout: NftLayout = IPV4_LAYOUT,
): string => {
  const commands = commandsFor(layout.family)
  const newChains = [...after.chains].filter(([name]) => !existingChains.has(name))
  const maps = Object.entries(after.maps).map(([name, map]) =>
    mapDifference(commands, name, before.maps[name] ?? new Map(), map),
  )
  const lines = [
    ...chainBlocks(layout, newChains),
    ...maps.flatMap((one) => one.remove),
    ...Object.entries(before.sets).flatMap(([name, set]) =>
      commands('delete', name, without(set, after.sets[name])),
    ),
    ...Object.entries(after.sets).flatMap(([name, set]) =>
      commands('add', name, without(set, before.sets[name])),
    ),
    ...maps.flatMap((one) => one.add),
  ]
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`
}

/** Removes the table; it must exist or the first line makes it. */
export const removalScript = (family: NftFamily): string =>
  `table ${family} ${NFT_TABLE}\ndelete table ${family} ${NFT_TABLE}\n`
