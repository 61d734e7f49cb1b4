import type { OverlayMessage } from '../../../src/api/assignment.ts'
import type { OverlayView } from '../../../src/api/overlay-view.ts'
import type { DockerNetworks } from '../../../src/overlay/bridges.ts'
import type { ExecResult } from '../../../src/overlay/exec.ts'
import { Overlay } from '../../../src/overlay/overlay.ts'
import type { DataPlaneChoice } from '../../../src/overlay/probe.ts'

const quiet = () => {}

/** A host that records what is run on it and answers as an empty one would. */
export class FakeHost {
  readonly ran: { command: string; input: string }[] = []
  readonly bridges: string[] = []
  readonly networks = new Map<string, object>()
  /** Answers instead of the host, when not null. */
  answer: (
    command: string,
    input: string,
  ) => Partial<ExecResult> | null | Promise<Partial<ExecResult> | null> = () => null
  /** What takes a line of a program that tells the kernel's changes. */
  readonly monitors = new Map<string, (line: string) => void>()
  /** Warnings and errors. */
  readonly said: string[] = []
  readonly log = {
    debug: quiet,
    info: quiet,
    warn: (_: object, message: string) => void this.said.push(message),
    error: (_: object, message: string) => void this.said.push(message),
    child: () => this.log,
  }
  dataPlane: DataPlaneChoice = 'kernel'
  now = 0
  readonly timers: (() => void)[] = []

  readonly clock = {
    nowMs: () => this.now,
    schedule: (_delayMs: number, run: () => void) => {
      this.timers.push(run)
      return () => {
        const at = this.timers.indexOf(run)
        if (at >= 0) this.timers.splice(at, 1)
      }
    },
  }

  readonly exec = {
    run: async (program: string, args: readonly string[], input = ''): Promise<ExecResult> => {
      const command = [program, ...args].join(' ')
      this.ran.push({ command, input })
      await new Promise((resolve) => setImmediate(resolve))
      const answer = await this.answer(command, input)
      return { code: 0, stderr: '', stdout: this.#output(command), ...answer }
    },
    watch: (program: string, _args: readonly string[], onLine: (line: string) => void) => {
      this.monitors.set(program, onLine)
      return { stop: quiet }
    },
  }

  /** Kernel settings below /proc/sys/net, and every write to them. */
  readonly settings = new Map<string, string>()
  readonly writes: string[] = []
  devices: string[] = []
  /** What `ip addr` shows. */
  readonly links: object[] = [
    {
      ifname: 'eth0',
      mtu: 1500,
      address: '',
      addr_info: [{ local: '192.168.0.1', prefixlen: 24 }],
    },
  ]

  readonly proc = {
    read: async (path: string) =>
      path === '/proc/net/dev'
        ? this.bridges.map((name) => `${name}: 0 0\n`).join('')
        : (this.settings.get(path.replace('/proc/sys/net/', '')) ?? null),
    write: async (path: string, text: string) => {
      const name = path.replace('/proc/sys/net/', '')
      this.writes.push(`${name}=${text}`)
      this.settings.set(name, text)
    },
    list: async () => this.devices,
  }

  readonly docker: DockerNetworks = {
    listNetworks: async () => [],
    createNetwork: async (body) => {
      const name = (body as { Name: string }).Name
      this.networks.set(name, body)
      this.bridges.push(name.replace('swarmctl-', 'sw-br'))
    },
    getNetwork: () => ({
      inspect: () =>
        Promise.reject(Object.assign(new Error('no such network'), { statusCode: 404 })),
      remove: async () => {},
    }),
    version: async () => ({ Version: '28.2.2' }),
  }

  overlay(viewPath?: string, settingsPath?: string): Overlay {
    const options = {
      dataPlane: this.dataPlane,
      ...(viewPath === undefined ? {} : { viewPath }),
      ...(settingsPath === undefined ? {} : { settingsPath }),
    } as const
    const relayLink = { open: () => Promise.reject(new Error('no peer here')) }
    return new Overlay({ ...this, tunnel: null, relayLink }, options)
  }

  nft(): string[] {
    return this.ran.filter((one) => one.command === 'nft -f -').map((one) => one.input)
  }

  #output(command: string): string {
    if (command === 'ip -j -d addr') return JSON.stringify(this.links)
    return ''
  }
}

/** A whole view. */
export const message = (of: OverlayView, version = 1): OverlayMessage => ({
  kind: 'overlay',
  complete: true,
  version,
  change: {
    nodes: { put: [...of.nodes.values()], remove: [] },
    networks: { put: [...of.networks.values()], remove: [] },
    services: { put: [...of.services.values()], remove: [] },
    endpoints: { put: [...of.endpoints.values()], remove: [] },
  },
})

export const apply = (overlay: Overlay, taken: OverlayMessage): Promise<void> => {
  overlay.take(taken)
  return overlay.held()
}

/** With the kernel plane, as node n1. */
export const started = async (host: FakeHost) => {
  const overlay = host.overlay()
  await overlay.start()
  await overlay.setSelf({ nodeId: 'n1', index: 1 })
  host.ran.length = 0
  return overlay
}
