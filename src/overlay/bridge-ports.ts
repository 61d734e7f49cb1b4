import type { Exec } from './exec.ts'
import { OUR_BRIDGE } from './names.ts'
import { type Proc, setSysctl, sysctlPath } from './proc.ts'

/**
 * How containers on one bridge reach a VIP. With br_netfilter the kernel translates bridged frames, and a container whose own
 * endpoint is picked needs its port to send back what it received (`hairpin`). Without it, answers would take the direct way past
 * the translation: ports are isolated and everything between them is routed (`proxy_arp_pvlan`). The two exclude each other.
 */
export type BridgePortMode = 'hairpin' | 'isolated'

interface PortJson {
  ifname: string
  master?: string
  hairpin?: boolean
  isolated?: boolean
}

/** Keeps every port of our bridges in the mode that this host needs. */
export class BridgePorts {
  readonly #exec: Exec
  readonly #proc: Proc

  constructor(deps: { exec: Exec; proc: Proc }) {
    this.#exec = deps.exec
    this.#proc = deps.proc
  }

  /** Asked each time: the Engine loads br_netfilter when some network of it needs that. */
  async mode(): Promise<BridgePortMode> {
    const active = await this.#proc.read(sysctlPath('net/bridge/bridge-nf-call-iptables'))
    return active?.trim() === '1' ? 'hairpin' : 'isolated'
  }

  /** Corrects what differs; costs one listing when nothing does. */
  async sync(): Promise<void> {
    const mode = await this.mode()
    const listing = await this.#exec.run('bridge', ['-j', '-d', 'link', 'show'])
    if (listing.code !== 0 || listing.stdout.trim() === '') return
    const ports = (JSON.parse(listing.stdout) as PortJson[]).filter((port) =>
      OUR_BRIDGE.test(port.master ?? ''),
    )
    const hairpin = mode === 'hairpin'
    const wrong = ports.filter(
      (port) => (port.hairpin ?? false) !== hairpin || (port.isolated ?? false) === hairpin,
    )
    for (const bridge of new Set(ports.map((port) => port.master ?? ''))) {
      const path = sysctlPath('net/ipv4/conf', bridge, 'proxy_arp_pvlan')
      // The bridge may go while we look at it.
      await setSysctl(this.#proc, path, hairpin ? '0' : '1').catch(() => {})
    }
    if (wrong.length === 0) return
    const on = (value: boolean) => (value ? 'on' : 'off')
    const lines = wrong.map(
      (port) => `link set dev ${port.ifname} hairpin ${on(hairpin)} isolated ${on(!hairpin)}`,
    )
    await this.#exec.run('bridge', ['-force', '-batch', '-'], `${lines.join('\n')}\n`)
  }
}
