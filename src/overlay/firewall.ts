import type { Log } from '../api/log.ts'
import type { Exec } from './exec.ts'
import type { ForwardingTable } from './forwarding-table.ts'
import { GUARD_CHAINS, guardChains, IN_CHAIN } from './guard-chains.ts'
import { ANY_BRIDGE, ANY_VXLAN, encryptedPort, MARK_ACCEPT } from './names.ts'

/**
 * Our part of Docker's iptables. An `accept` in another table cannot override its FORWARD policy, so: in the kernel plane one
 * rule of DOCKER-USER accepts what nftables marked; in the proxy plane, which has no nftables, three chains of ours hold the
 * isolation, the way between bridges and VXLAN, and the translation of what goes outside and of questions for names.
 */
const CHAIN = 'SWARMCTL'
const NAT_CHAIN = 'SWARMCTL-NAT'
const DNS_CHAIN = 'SWARMCTL-DNS'

/** The proxy plane's chains: where they are and which of the kernel's chains goes through them. */
const PROXY_CHAINS = [
  { table: 'filter', from: 'DOCKER-USER', chain: CHAIN },
  { table: 'nat', from: 'POSTROUTING', chain: NAT_CHAIN },
  { table: 'nat', from: 'PREROUTING', chain: DNS_CHAIN },
] as const

const mark = `0x${MARK_ACCEPT.toString(16)}/0x${MARK_ACCEPT.toString(16)}`
const ACCEPT_RULE = ['-m', 'mark', '--mark', mark, '-j', 'ACCEPT']

/** The proxy plane's chains as `iptables-restore --noflush` text. Pure. */
export const proxyChains = (
  table: ForwardingTable,
  resolvers: ReadonlyMap<string, string>,
): string => {
  const forward: string[] = []
  const nat: string[] = []
  for (const network of table.networks) {
    forward.push(`-A ${CHAIN} -s ${network.subnet} -d ${network.subnet} -j ACCEPT`)
    if (network.internal) continue
    nat.push(`-A ${NAT_CHAIN} -s ${network.local} ! -o ${ANY_VXLAN} -j MASQUERADE`)
  }
  const drops = table.networks.flatMap((from) =>
    table.networks
      .filter((to) => to !== from)
      .map((to) => `-A ${CHAIN} -s ${from.subnet} -d ${to.subnet} -j DROP`),
  )
  return [
    '*filter',
    `:${CHAIN} - [0:0]`,
    `-A ${CHAIN} -m conntrack --ctdir REPLY -i ${ANY_VXLAN} -j ACCEPT`,
    ...drops,
    ...forward,
    `-A ${CHAIN} -i ${ANY_VXLAN} -o ${ANY_BRIDGE} -j ACCEPT`,
    `-A ${CHAIN} -m conntrack --ctdir REPLY -o ${ANY_VXLAN} -j ACCEPT`,
    'COMMIT',
    '*nat',
    `:${NAT_CHAIN} - [0:0]`,
    // Between overlay addresses the source is kept.
    ...table.networks.map((network) => `-A ${NAT_CHAIN} -d ${network.subnet} -j RETURN`),
    ...nat,
    `:${DNS_CHAIN} - [0:0]`,
    ...[...resolvers].flatMap(dnsRules),
    'COMMIT',
    '',
  ].join('\n')
}

/** From a container to a server: to ours instead. */
const dnsRules = ([key, to]: [string, string]): string[] => {
  const [from, server] = key.split(' . ')
  return ['udp', 'tcp'].map(
    (protocol) =>
      `-A ${DNS_CHAIN} -s ${from} -d ${server} -p ${protocol} --dport 53 -j DNAT --to-destination ${to}`,
  )
}

/** Keeps our rules in Docker's chains. */
export class Firewall {
  readonly #exec: Exec
  readonly #log: Log
  readonly #vxlanPort: number
  #last = ''
  #lastGuards = ''
  /** Empty, or why packets between nodes may be dropped on this host. */
  note = ''

  constructor(deps: { exec: Exec; log: Log }, options: { vxlanPort: number }) {
    this.#exec = deps.exec
    this.#log = deps.log
    this.#vxlanPort = options.vxlanPort
  }

  async syncKernel(): Promise<void> {
    await this.#ensure('filter', 'DOCKER-USER', ACCEPT_RULE)
    await this.#removeProxyChains()
  }

  async syncProxy(table: ForwardingTable, resolvers: ReadonlyMap<string, string>): Promise<void> {
    const script = proxyChains(table, resolvers)
    const isThere = (await this.#iptables('filter', ['-S', CHAIN])).code === 0
    if (script !== this.#last || !isThere) {
      const result = await this.#exec.run('iptables-restore', ['-w', '--noflush'], script)
      if (result.code !== 0) {
        this.#tell(`iptables-restore: ${result.stderr.trim().split('\n')[0]}`)
        return
      }
      this.#last = script
    }
    for (const { table, from, chain } of PROXY_CHAINS) {
      await this.#ensure(table, from, ['-j', chain])
    }
    await this.#remove('filter', 'DOCKER-USER', ACCEPT_RULE)
    await this.#syncGuards(table)
  }

  async #syncGuards(table: ForwardingTable): Promise<void> {
    const subnets = table.encryptedSubnets.ipv4
    const isNeeded = subnets.length > 0
    const script = guardChains(subnets, encryptedPort(this.#vxlanPort))
    const isThere = !isNeeded || (await this.#iptables('raw', ['-S', IN_CHAIN])).code === 0
    if (script !== this.#lastGuards || !isThere) {
      const result = await this.#exec.run('iptables-restore', ['-w', '--noflush'], script)
      this.#lastGuards = result.code === 0 ? script : ''
      if (result.code !== 0 && isNeeded) {
        const complaint = result.stderr.trim().split('\n')[0]
        this.#tell(`encrypted networks: only routes keep them off other ways: ${complaint}`)
      }
    }
    if (!isNeeded) return
    for (const { table, from, chain } of GUARD_CHAINS) {
      await this.#ensure(table, from, ['-j', chain])
    }
  }

  async destroy(): Promise<void> {
    await this.#remove('filter', 'DOCKER-USER', ACCEPT_RULE)
    await this.#removeProxyChains()
  }

  async #removeProxyChains(): Promise<void> {
    if ((await this.#iptables('filter', ['-S', CHAIN])).code !== 0) return
    for (const { table, from, chain } of [...PROXY_CHAINS, ...GUARD_CHAINS]) {
      await this.#remove(table, from, ['-j', chain])
      await this.#iptables(table, ['-F', chain])
      await this.#iptables(table, ['-X', chain])
    }
    this.#last = ''
    this.#lastGuards = ''
  }

  async #ensure(table: string, chain: string, rule: string[]): Promise<void> {
    if ((await this.#iptables(table, ['-C', chain, ...rule])).code === 0) return
    const added = await this.#iptables(table, ['-I', chain, ...rule])
    if (added.code === 0) this.note = ''
    else if (chain === 'DOCKER-USER') this.#tell(this.#chainNote(added.code))
  }

  #chainNote(code: number): string {
    return code === 127
      ? 'iptables is missing: if the FORWARD policy is DROP, connections between nodes fail'
      : `there is no chain DOCKER-USER: an Engine with the nftables firewall needs --bridge-accept-fwmark=${mark}`
  }

  #tell(note: string): void {
    if (this.note !== note) this.#log.warn({}, note)
    this.note = note
  }

  async #remove(table: string, chain: string, rule: string[]): Promise<void> {
    if ((await this.#iptables(table, ['-C', chain, ...rule])).code !== 0) return
    await this.#iptables(table, ['-D', chain, ...rule])
  }

  #iptables(table: string, args: string[]) {
    return this.#exec.run('iptables', ['-w', '-t', table, ...args])
  }
}
