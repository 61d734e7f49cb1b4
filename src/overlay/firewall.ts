import { SwarmctlError } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import type { Exec } from './exec.ts'
import type { ForwardingTable } from './forwarding-table.ts'
import { GUARD_CHAINS, guardChains, IN_CHAIN } from './guard-chains.ts'
import { ACCEPT_MARK, ACCEPT_RULE, Iptables, type Jump } from './iptables.ts'
import { ANY_BRIDGE, ANY_VXLAN, encryptedPort } from './names.ts'
import {
  FORGED_CHAIN,
  FORGED_CHAINS,
  FROM_CHAINS,
  forgedChain,
  fromRules,
  VXLAN_CHAINS,
  vxlanRules,
} from './sender-chains.ts'

/**
 * Our part of Docker's iptables. An `accept` in another table cannot override its FORWARD policy, so: in the kernel plane one
 * rule of DOCKER-USER accepts what nftables marked; in the proxy plane, which has no nftables, chains of ours hold the
 * isolation, the way between bridges and VXLAN, and the translation of what goes outside.
 */
const CHAIN = 'SWARMCTL'
const NAT_CHAIN = 'SWARMCTL-NAT'
/** Questions for names reach our server on the bridges' gateways here, whatever the host's INPUT policy (ufw: DROP). */
const NAMES_CHAIN = 'SWARMCTL-NAMES'
const NAMES_PROTOCOLS = ['udp', 'tcp'] as const
/** The same in the kernel plane: those that nftables marked. */
const NAMES_RULES = NAMES_PROTOCOLS.map(
  (protocol) => ['-p', protocol, '--dport', '53', ...ACCEPT_RULE] as const,
)
/** What goes from an overlay to another one ends here. */
const BETWEEN_CHAIN = 'SWARMCTL-BETWEEN'

/** The proxy plane's chains: where they are and which of the kernel's chains goes through them. */
const PROXY_CHAINS: readonly Jump[] = [
  { table: 'filter', from: ['DOCKER-USER'], chain: CHAIN },
  { table: 'nat', from: ['POSTROUTING'], chain: NAT_CHAIN },
  { table: 'filter', from: ['INPUT'], chain: NAMES_CHAIN },
  ...FROM_CHAINS,
  { table: 'filter', from: [], chain: BETWEEN_CHAIN },
  ...VXLAN_CHAINS,
]

/** The proxy plane's chains as `iptables-restore --noflush` text. Pure. */
export const proxyChains = (
  table: ForwardingTable,
  { vxlanPort }: { vxlanPort: number },
): string => {
  const forward: string[] = []
  const nat: string[] = []
  const { nodeId: selfId } = table.self
  const hosts = table.hostRoutes.map(({ addr, nodeId }) => ({ addr, isHere: nodeId === selfId }))
  for (const network of table.networks) {
    forward.push(`-A ${CHAIN} -s ${network.subnet} -d ${network.subnet} -j ACCEPT`)
    if (network.internal) continue
    nat.push(`-A ${NAT_CHAIN} -s ${network.local} ! -o ${ANY_VXLAN} -j MASQUERADE`)
  }
  return [
    '*filter',
    `:${CHAIN} - [0:0]`,
    ...vxlanRules(CHAIN, table, vxlanPort),
    ...fromRules(CHAIN, table.networks, hosts),
    `-A ${CHAIN} -m conntrack --ctdir REPLY -i ${ANY_VXLAN} -j ACCEPT`,
    ...forward,
    // Two rules a network: every pair of them would be a million for a thousand.
    `:${BETWEEN_CHAIN} - [0:0]`,
    ...table.networks.map(({ subnet }) => `-A ${CHAIN} -s ${subnet} -j ${BETWEEN_CHAIN}`),
    ...table.networks.map(({ subnet }) => `-A ${BETWEEN_CHAIN} -d ${subnet} -j DROP`),
    `-A ${CHAIN} -i ${ANY_VXLAN} -o ${ANY_BRIDGE} -j ACCEPT`,
    `-A ${CHAIN} -m conntrack --ctdir REPLY -o ${ANY_VXLAN} -j ACCEPT`,
    `:${NAMES_CHAIN} - [0:0]`,
    ...table.networks.flatMap(({ subnet, gateway }) =>
      gateway === null ? [] : namesRules(subnet, gateway),
    ),
    'COMMIT',
    '*nat',
    `:${NAT_CHAIN} - [0:0]`,
    // Between overlay addresses the source is kept.
    ...table.networks.map((network) => `-A ${NAT_CHAIN} -d ${network.subnet} -j RETURN`),
    ...nat,
    'COMMIT',
    '',
  ].join('\n')
}

/** From whoever may ask a gateway. */
const namesRules = (from: string, gateway: string): string[] =>
  NAMES_PROTOCOLS.map(
    (protocol) => `-A ${NAMES_CHAIN} -s ${from} -d ${gateway} -p ${protocol} --dport 53 -j ACCEPT`,
  )

/** Keeps our rules in Docker's chains. */
export class Firewall {
  readonly #iptables: Iptables
  readonly #log: Log
  readonly #vxlanPort: number
  #last = ''
  #lastGuards = ''
  /** Made by this process: one of before may be for another port. */
  #hasForged = false
  /** Empty, or why packets between nodes may be dropped on this host. */
  note = ''

  constructor(deps: { exec: Exec; log: Log }, options: { vxlanPort: number }) {
    this.#iptables = new Iptables(deps, { program: 'iptables' })
    this.#log = deps.log
    this.#vxlanPort = options.vxlanPort
  }

  async syncKernel(): Promise<void> {
    this.#tell(await this.#ensure('filter', 'DOCKER-USER', ACCEPT_RULE))
    // Without iptables there is no such policy, and the line above says so.
    for (const rule of NAMES_RULES) await this.#ensure('filter', 'INPUT', rule)
    await this.#removeProxyChains()
  }

  /** @throws SwarmctlError FAILED_PRECONDITION when the host does not take the chains: a new network is not isolated until it does */
  async syncProxy(table: ForwardingTable): Promise<void> {
    const script = proxyChains(table, { vxlanPort: this.#vxlanPort })
    if (script !== this.#last || !(await this.#iptables.hasChain('filter', CHAIN))) {
      const isMade = await this.#restoreChains(script)
      if (!isMade) return
    }
    const missing = await this.#ensureJumps(PROXY_CHAINS)
    await this.#removeKernelRules()
    const unguarded = await this.#syncGuards(table)
    const unchecked = await this.#syncForged()
    this.#tell(missing || unguarded || unchecked)
  }

  /** False without iptables: to try each second would not bring it, and names and listeners work without. */
  async #restoreChains(script: string): Promise<boolean> {
    // One of the tables may have been taken when the other is refused.
    this.#last = ''
    const result = await this.#iptables.restore(script)
    if (result.code === 0) {
      this.#last = script
      return true
    }
    const complaint = this.#iptables.complaint(result)
    this.#tell(complaint)
    if (result.code === 127) return false
    throw new SwarmctlError('FAILED_PRECONDITION', complaint)
  }

  /** By itself: the rest works on hosts that lack the table or the match. */
  async #syncForged(): Promise<string> {
    if (!this.#hasForged || !(await this.#iptables.hasChain('raw', FORGED_CHAIN))) {
      const result = await this.#iptables.restore(forgedChain(this.#vxlanPort))
      this.#hasForged = result.code === 0
      if (!this.#hasForged)
        return `containers of the Engine's own networks can send as a node: ${this.#iptables.complaint(result)}`
    }
    return await this.#ensureJumps(FORGED_CHAINS)
  }

  async #syncGuards(table: ForwardingTable): Promise<string> {
    const subnets = table.encryptedSubnets.ipv4
    const isNeeded = subnets.length > 0
    const script = guardChains(subnets, encryptedPort(this.#vxlanPort))
    const isThere = !isNeeded || (await this.#iptables.hasChain('raw', IN_CHAIN))
    if (script !== this.#lastGuards || !isThere) {
      const result = await this.#iptables.restore(script)
      this.#lastGuards = result.code === 0 ? script : ''
      if (result.code !== 0 && isNeeded) {
        const complaint = result.stderr.trim().split('\n')[0]
        return `encrypted networks: only routes keep them off other ways: ${complaint}`
      }
    }
    return isNeeded ? await this.#ensureJumps(GUARD_CHAINS) : ''
  }

  async destroy(): Promise<void> {
    await this.#removeKernelRules()
    await this.#removeProxyChains()
  }

  async #removeKernelRules(): Promise<void> {
    await this.#iptables.remove('filter', 'DOCKER-USER', ACCEPT_RULE)
    for (const rule of NAMES_RULES) await this.#iptables.remove('filter', 'INPUT', rule)
  }

  async #removeProxyChains(): Promise<void> {
    if (!(await this.#iptables.hasChain('filter', CHAIN))) return
    await this.#iptables.removeChains([...PROXY_CHAINS, ...GUARD_CHAINS, ...FORGED_CHAINS])
    this.#hasForged = false
    this.#last = ''
    this.#lastGuards = ''
  }

  /** Returns what the first that can't be had means, or ''. */
  async #ensureJumps(jumps: readonly Jump[]): Promise<string> {
    let problem = ''
    for (const { table, from, chain } of jumps)
      for (const hook of from) {
        const one = await this.#ensure(table, hook, ['-j', chain])
        problem ||= one
      }
    return problem
  }

  async #ensure(table: string, chain: string, rule: readonly string[]): Promise<string> {
    if (await this.#iptables.has(table, chain, rule)) return ''
    const code = await this.#iptables.insert(table, chain, rule)
    if (code === 0) return ''
    return chain === 'DOCKER-USER'
      ? this.#chainNote(code)
      : `iptables takes no rule in ${chain} of table ${table} (exit code ${code}): the proxy data plane needs it`
  }

  #chainNote(code: number): string {
    return code === 127
      ? 'iptables is missing: if the FORWARD policy is DROP, connections between nodes fail'
      : `there is no chain DOCKER-USER: an Engine with the nftables firewall needs --bridge-accept-fwmark=${ACCEPT_MARK}`
  }

  #tell(note: string): void {
    if (note !== '' && this.note !== note) this.#log.warn({}, note)
    this.note = note
  }
}
