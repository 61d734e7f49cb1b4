import { SwarmctlError } from '../api/errors.ts'
import type { Exec } from './exec.ts'
import type { ForwardingTable } from './forwarding-table.ts'
import { GUARD_CHAINS, guardChains, IN_CHAIN } from './guard-chains.ts'
import { ACCEPT_RULE, Iptables, type Jump } from './iptables.ts'
import { twinsOf } from './link-model-ipv6.ts'
import { ANY_VXLAN } from './names.ts'
import { FROM_CHAINS, fromRules } from './sender-chains.ts'

/**
 * Our part of the host's ip6tables, while a network has IPv6. In the kernel plane one rule accepts what nftables marked, since a FORWARD
 * policy of DROP is not for other tables to overrule; in the proxy plane, which has no nftables, our chains hold isolation and the
 * translation of what goes outside. An Engine has a chain for us in IPv6 only if it manages ip6tables: else they hang on FORWARD.
 */
const CHAIN = 'SWARMCTL'
const NAT_CHAIN = 'SWARMCTL-NAT'
const OUT_CHAIN = 'SWARMCTL-OUT'

/** Where packets between devices pass: the Engine's chain for users, where there is one. */
const FORWARD_CHAINS = ['DOCKER-USER', 'FORWARD'] as const

const JUMPS: readonly Jump[] = [
  { table: 'filter', from: FORWARD_CHAINS, chain: CHAIN },
  { table: 'filter', from: ['OUTPUT'], chain: OUT_CHAIN },
  { table: 'nat', from: ['POSTROUTING'], chain: NAT_CHAIN },
  ...FROM_CHAINS,
]

/** The proxy plane's chains as `ip6tables-restore --noflush` text. Pure. */
export const ipv6ProxyChains = (table: ForwardingTable): string => {
  const networks = table.networks.flatMap(({ ipv6, internal, bridge, plan }) =>
    ipv6 === null ? [] : [{ ...ipv6, internal, bridge, plan }],
  )
  const twins = twinsOf(table)
  const hosts = table.hostRoutes.flatMap(({ addr, nodeId }) =>
    twins.all([addr]).map((twin) => ({ addr: twin, isHere: nodeId === table.self.nodeId })),
  )
  const internal = networks.filter((network) => network.internal)
  const open = networks.filter((network) => !network.internal)
  const isNew = '-m conntrack --ctdir ORIGINAL'
  return [
    '*filter',
    `:${CHAIN} - [0:0]`,
    ...fromRules(CHAIN, networks, hosts),
    ...networks.map(({ subnet }) => `-A ${CHAIN} -s ${subnet} -d ${subnet} -j ACCEPT`),
    ...networks.map(({ subnet }) => `-A ${CHAIN} -d ${subnet} ${isNew} -j DROP`),
    ...internal.map(({ subnet }) => `-A ${CHAIN} -s ${subnet} ${isNew} -j DROP`),
    `:${OUT_CHAIN} - [0:0]`,
    // What is isolated goes out of the bridge that it came in by; the short cut that the kernel recommends then leads nowhere.
    `-A ${OUT_CHAIN} -o sw-br+ -p icmpv6 --icmpv6-type redirect -j DROP`,
    'COMMIT',
    '*nat',
    `:${NAT_CHAIN} - [0:0]`,
    ...['fe80::/10', 'ff00::/8', ...networks.map(({ subnet }) => subnet)].map(
      (subnet) => `-A ${NAT_CHAIN} -d ${subnet} -j RETURN`,
    ),
    ...open.map(({ local }) => `-A ${NAT_CHAIN} -s ${local} ! -o ${ANY_VXLAN} -j MASQUERADE`),
    'COMMIT',
    '',
  ].join('\n')
}

const PROBE_CHAIN = 'SWARMCTL-PROBE'

/** What the proxy plane's chains need of the kernel; `take` takes it away again. */
const probe = (step: 'make' | 'take'): string =>
  [
    ['filter', '-m conntrack --ctdir ORIGINAL -j DROP'],
    ['nat', '-j MASQUERADE'],
  ]
    .flatMap(([table, rule]) => [
      `*${table}`,
      `:${PROBE_CHAIN} - [0:0]`,
      step === 'make' ? `-A ${PROBE_CHAIN} ${rule}` : `-X ${PROBE_CHAIN}`,
      'COMMIT\n',
    ])
    .join('\n')

/** Keeps our rules in the host's ip6tables. */
export class Ipv6Firewall {
  readonly #iptables: Iptables
  #last = ''
  #lastGuards = ''
  /** Nothing of ours is there: nothing has to be looked for. */
  #isAbsent = false

  constructor(deps: { exec: Exec }) {
    this.#iptables = new Iptables(deps, { program: 'ip6tables' })
  }

  /** Whether the host takes the proxy plane's chains: tried with one that nothing leads to. */
  async isAble(): Promise<boolean> {
    const made = await this.#iptables.restore(probe('make'))
    if (made.code !== 127) await this.#iptables.restore(probe('take'))
    return made.code === 0
  }

  /** Without ip6tables there is no policy in the way. */
  async syncKernel(): Promise<void> {
    this.#isAbsent = false
    await this.#removeChains()
    for (const chain of FORWARD_CHAINS) if (await this.#ensure('filter', chain, ACCEPT_RULE)) return
  }

  /** @throws SwarmctlError FAILED_PRECONDITION when the host does not take the chains */
  async syncProxy(table: ForwardingTable): Promise<void> {
    this.#isAbsent = false
    const script = ipv6ProxyChains(table)
    if (script !== this.#last || !(await this.#iptables.hasChain('filter', CHAIN))) {
      // One of the tables may have been taken when the other is refused.
      this.#last = ''
      await this.#restore(script)
      this.#last = script
    }
    await this.#ensureJumps(JUMPS)
    await this.#removeAccept()
    await this.#syncGuards(table.encryptedSubnets.ipv6)
  }

  /** By themselves: a host without these tables isolates networks all the same, and may have none that is encrypted. */
  async #syncGuards(subnets: readonly string[]): Promise<void> {
    const isNeeded = subnets.length > 0
    const script = guardChains(subnets, null)
    const isThere = !isNeeded || (await this.#iptables.hasChain('raw', IN_CHAIN))
    if (script !== this.#lastGuards || !isThere) {
      this.#lastGuards = ''
      await this.#restore(script).catch((error) => {
        if (isNeeded) throw error
      })
      this.#lastGuards = script
    }
    if (isNeeded) await this.#ensureJumps(GUARD_CHAINS)
  }

  async #restore(script: string): Promise<void> {
    const result = await this.#iptables.restore(script)
    if (result.code === 0) return
    throw new SwarmctlError('FAILED_PRECONDITION', this.#iptables.complaint(result))
  }

  async #ensureJumps(jumps: readonly Jump[]): Promise<void> {
    for (const { table, from, chain } of jumps)
      for (const hook of from) if (await this.#ensure(table, hook, ['-j', chain])) break
  }

  /** No network has IPv6, or the node leaves. */
  async clear(): Promise<void> {
    if (this.#isAbsent) return
    await this.#removeAccept()
    await this.#removeChains()
    this.#isAbsent = true
  }

  async #removeAccept(): Promise<void> {
    for (const chain of FORWARD_CHAINS) await this.#iptables.remove('filter', chain, ACCEPT_RULE)
  }

  async #removeChains(): Promise<void> {
    this.#last = ''
    this.#lastGuards = ''
    if (await this.#iptables.hasChain('filter', CHAIN))
      await this.#iptables.removeChains([...JUMPS, ...GUARD_CHAINS])
  }

  /** Whether the rule is there; it is not when the chain is none. */
  async #ensure(table: string, chain: string, rule: readonly string[]): Promise<boolean> {
    if (await this.#iptables.has(table, chain, rule)) return true
    return (await this.#iptables.insert(table, chain, rule)) === 0
  }
}
