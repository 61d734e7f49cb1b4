import { toSwarmctlError } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import type { DataPlaneKind } from '../api/node.ts'
import type { OverlayNetwork, OverlayView } from '../api/overlay-view.ts'
import type { Attachment } from './attachment.ts'
import type { Exec } from './exec.ts'
import { Ipv6Firewall } from './firewall-ipv6.ts'
import { type ForwardingTable, needsIpv6 } from './forwarding-table.ts'
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
  chain isolate { type filter hook prerouting priority -140; fib saddr . iif oif missing ct direction original drop; }
  chain post { type nat hook postrouting priority 95; masquerade; }
}
delete table ip6 swarmctl_probe
`

/** Smallest MTU of IPv6, bytes (RFC 8200 §5): the kernel has none of it on a smaller device, and a container would not start. */
const MTU_MIN = 1280

const CANNOT =
  'IPv6 is off on this host, or neither nftables nor (proxy plane) ip6tables translate it: tasks here have IPv4 only; load the kernel module ipv6, drain the node and start the daemon anew'

const ACCEPT_RA = /\/accept_ra$/

/** A node's share of networks with IPv6, beside routes and bridges. Without such a network it leaves the host alone. */
export class Ipv6Plane {
  readonly #exec: Exec
  readonly #proc: Proc
  readonly #settings: HostSettings
  readonly #log: Log
  readonly #tables: KernelTables
  readonly #firewall: Ipv6Firewall
  #plane: DataPlaneKind = 'kernel'
  readonly #mtu: () => number
  /** The kernel and its programs can. */
  #isAble = false
  /** A network had IPv6 at the last sync. */
  #isWanted = false
  /** Why networks that have IPv6 are served without. */
  #unserved = ''
  #problem = ''

  constructor(
    deps: { exec: Exec; proc: Proc; settings: HostSettings; log: Log },
    options: { vxlanPort: number; mtu: () => number },
  ) {
    this.#mtu = options.mtu
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
    // Without the rules there would be no isolation either.
    this.#isAble =
      hasKernel &&
      (plane === 'proxy'
        ? await this.#firewall.isAble()
        : (await this.#exec.run('nft', ['-f', '-'], SCRATCH)).code === 0)
  }

  /** Whether this node's tasks have IPv6 addresses where their networks do. */
  get isSupported(): boolean {
    return this.#isAble && this.#mtu() >= MTU_MIN
  }

  /** What does not work and what to do, one line. */
  problems(): string[] {
    return [this.#unserved, this.#problem].filter((one) => one !== '')
  }

  /** The networks as this host can serve them. */
  served(networks: OverlayView['networks']): OverlayView['networks'] {
    const isDual = [...networks.values()].some(({ subnet6 }) => subnet6 !== undefined)
    this.#unserved = isDual ? this.#obstacle() : ''
    if (this.isSupported) return networks
    return isDual ? new Map([...networks].map(([id, one]) => [id, ipv4Only(one)])) : networks
  }

  #obstacle(): string {
    if (this.isSupported) return ''
    if (!this.#isAble) return CANNOT
    const mtu = this.#mtu()
    return `the overlay's MTU on this host is ${mtu}, IPv6 needs ${MTU_MIN}: tasks here have IPv4 only; raise that of the data path by ${MTU_MIN - mtu}`
  }

  /** What a container is to be created with on this host. Its bridges can be made from then on. */
  async prepare(attachment: Attachment): Promise<Attachment> {
    if (!attachment.overlayNetworks.some(({ subnet6 }) => subnet6 !== undefined)) return attachment
    if (this.isSupported) {
      // Before the Engine does it, who would not give it back.
      await this.#forward().catch((error) => this.#complain(error))
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
    if (!this.#isAble) return
    const isWanted = needsIpv6(table)
    const isFull = inputs.isResync || isWanted !== this.#isWanted
    this.#isWanted = isWanted
    try {
      if (this.#plane === 'kernel') await this.#syncKernel(table, inputs.retired, isFull)
      else if (isWanted) await this.#firewall.syncProxy(table)
      else await this.#firewall.clear()
      // After the rules: a host that refuses to forward has its networks isolated all the same.
      if (isWanted && isFull) await this.#forward()
      this.#problem = ''
    } catch (error) {
      this.#complain(error)
    }
  }

  #complain(error: unknown): void {
    const problem = `IPv6 of overlay networks does not work here: ${toSwarmctlError(error).message}`
    if (problem !== this.#problem) this.#log.warn({}, problem)
    this.#problem = problem
  }

  /** Whether what should be there of our rules is. */
  async isPresent(): Promise<boolean> {
    return !this.#isWanted || this.#plane === 'proxy' || (await this.#tables.isPresent())
  }

  async destroy(): Promise<void> {
    if (!this.#isAble) return
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
    // After a reboot the Engine, whose bridges are there again, may have been first.
    for (const path of await this.#settings.changed())
      if (ACCEPT_RA.test(path)) await this.#acceptWhileForwarding(path)
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
      await this.#acceptWhileForwarding(sysctlPath('net/ipv6/conf', dev ?? '', 'accept_ra'))
    }
  }

  async #acceptWhileForwarding(path: string): Promise<void> {
    if ((await this.#proc.read(path))?.trim() === '1') await this.#settings.set(path, '2')
  }
}

const ipv4Only = ({ subnet6: _, ...network }: OverlayNetwork): OverlayNetwork => network
