import { toSwarmctlError } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import type { DataPlaneKind } from '../api/node.ts'
import type { OverlayNetwork, OverlayView } from '../api/overlay-view.ts'
import type { Attachment } from './attachment.ts'
import type { Exec } from './exec.ts'
import { Ipv6Firewall } from './firewall-ipv6.ts'
import type { ForwardingTable } from './forwarding-table.ts'
import type { HostSettings } from './host-settings.ts'
import { KernelTables } from './kernel-tables.ts'
import { IPV6_LAYOUT } from './nft-layout-ipv6.ts'
import { ipv6NftModel } from './nft-model-ipv6.ts'
import { type Proc, sysctlPath } from './proc.ts'

const FORWARDING = sysctlPath('net/ipv6/conf/all/forwarding')

/** What the rules need beyond what the IPv4 table needs too. Deleted in the same transaction. */
const SCRATCH = `table ip6 swarmctl_probe {
  map ep { typeof ip6 daddr . numgen inc mod 65536 : ip6 daddr; }
  chain rr { dnat ip6 to ip6 daddr . numgen inc mod 2 map @ep; }
  chain post { type nat hook postrouting priority 95; masquerade; }
}
delete table ip6 swarmctl_probe
`

/** A node's share of networks with IPv6, beside routes and bridges. Without such a network it leaves the host alone. */
export class Ipv6Plane {
  readonly #exec: Exec
  readonly #proc: Proc
  readonly #settings: HostSettings
  readonly #log: Log
  readonly #tables: KernelTables
  readonly #firewall: Ipv6Firewall
  #plane: DataPlaneKind = 'kernel'
  #isSupported = false
  /** A network had IPv6 at the last sync. */
  #isWanted = false
  #problem = ''

  constructor(
    deps: { exec: Exec; proc: Proc; settings: HostSettings; log: Log },
    options: { vxlanPort: number },
  ) {
    this.#exec = deps.exec
    this.#proc = deps.proc
    this.#settings = deps.settings
    this.#log = deps.log
    this.#tables = new KernelTables(deps, { ...options, layout: IPV6_LAYOUT })
    this.#firewall = new Ipv6Firewall(deps)
  }

  /** Finds out whether this host can; before anything else. */
  async start(plane: DataPlaneKind): Promise<void> {
    this.#plane = plane
    // Rules of an earlier start in the other plane would go on balancing by a table that nobody keeps.
    if (plane === 'proxy') await this.#tables.destroy()
    const hasKernel = (await this.#proc.read(FORWARDING)) !== null
    this.#isSupported =
      hasKernel &&
      (plane === 'proxy' || (await this.#exec.run('nft', ['-f', '-'], SCRATCH)).code === 0)
  }

  /** Whether this node's tasks have IPv6 addresses where their networks do. */
  get isSupported(): boolean {
    return this.#isSupported
  }

  /** What does not work and what to do, one line. */
  problems(): string[] {
    return this.#problem === '' ? [] : [this.#problem]
  }

  /** The networks as this host can serve them. */
  served(networks: OverlayView['networks']): OverlayView['networks'] {
    if (this.#isSupported) return networks
    const isDual = [...networks.values()].some(({ subnet6 }) => subnet6 !== undefined)
    this.#problem = isDual
      ? 'IPv6 is off on this host, or nftables can not translate it: tasks here have IPv4 only; load the kernel module ipv6 and start the daemon anew'
      : ''
    return isDual ? new Map([...networks].map(([id, one]) => [id, ipv4Only(one)])) : networks
  }

  /** What a container is to be created with on this host. Its bridges can be made from then on. */
  async prepare(attachment: Attachment): Promise<Attachment> {
    if (!attachment.overlayNetworks.some(({ subnet6 }) => subnet6 !== undefined)) return attachment
    if (this.#isSupported) {
      // Before the Engine does it, who would not give it back.
      await this.#forward()
      return attachment
    }
    return {
      ...attachment,
      networks: attachment.networks.map(({ ipv6Address: _, ...network }) => network),
      overlayNetworks: attachment.overlayNetworks.map(ipv4Only),
    }
  }

  /** Brings rules and settings to the table. What fails is a problem of IPv6 alone: IPv4 goes on. */
  async sync(
    table: ForwardingTable,
    inputs: { retired: readonly string[]; isResync: boolean },
  ): Promise<void> {
    if (!this.#isSupported) return
    const isWanted = table.networks.some(({ ipv6 }) => ipv6 !== null)
    const isFull = inputs.isResync || isWanted !== this.#isWanted
    this.#isWanted = isWanted
    try {
      if (isWanted && isFull) await this.#forward()
      if (this.#plane === 'kernel') await this.#syncKernel(table, inputs.retired, isFull)
      else if (isWanted) await this.#firewall.syncProxy(table)
      else await this.#firewall.clear()
      this.#problem = ''
    } catch (error) {
      const problem = `IPv6 of overlay networks does not work here: ${toSwarmctlError(error).message}`
      if (problem !== this.#problem) this.#log.warn({}, problem)
      this.#problem = problem
    }
  }

  /** Whether what should be there of our rules is. */
  async isPresent(): Promise<boolean> {
    return !this.#isWanted || this.#plane === 'proxy' || (await this.#tables.isPresent())
  }

  async destroy(): Promise<void> {
    if (!this.#isSupported) return
    await this.#firewall.clear()
    if (this.#plane === 'kernel') await this.#tables.destroy()
  }

  async #syncKernel(
    table: ForwardingTable,
    retired: readonly string[],
    isFull: boolean,
  ): Promise<void> {
    const model = ipv6NftModel(table, { retired })
    if (model !== null) {
      if (isFull) await this.#tables.isPresent()
      await this.#tables.apply(model)
      if (isFull) await this.#firewall.syncKernel()
    } else if (isFull && (await this.#tables.isPresent())) {
      await this.#firewall.clear()
      await this.#tables.destroy()
    }
  }

  async #forward(): Promise<void> {
    if ((await this.#proc.read(FORWARDING))?.trim() === '0') {
      await this.#keepRouterAdvertisements()
      await this.#settings.set(FORWARDING, '1')
    }
    const bridged = (name: string) => sysctlPath('net/bridge', name)
    const calls = await this.#proc.read(bridged('bridge-nf-call-iptables'))
    const calls6 = await this.#proc.read(bridged('bridge-nf-call-ip6tables'))
    // Bridge ports are in one mode (bridge-ports.ts), which has to be right for both families.
    if (calls?.trim() === '1' && calls6?.trim() === '0')
      await this.#settings.set(bridged('bridge-nf-call-ip6tables'), '1')
  }

  /** A host that forwards takes no router's word any more unless told to (2): it would lose the default route that it has from one. */
  async #keepRouterAdvertisements(): Promise<void> {
    const { code, stdout } = await this.#exec.run('ip', [
      '-j',
      '-6',
      'route',
      'show',
      'proto',
      'ra',
    ])
    if (code !== 0 || stdout.trim() === '') return
    for (const { dev } of JSON.parse(stdout) as { dev?: string }[]) {
      const path = sysctlPath('net/ipv6/conf', dev ?? '', 'accept_ra')
      if ((await this.#proc.read(path))?.trim() === '1') await this.#settings.set(path, '2')
    }
  }
}

const ipv4Only = ({ subnet6: _, ...network }: OverlayNetwork): OverlayNetwork => network
