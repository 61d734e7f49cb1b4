import type { Clock } from '../api/clock.ts'
import type { Exec } from './exec.ts'
import {
  ENCRYPTED_DEVICE,
  NFT_TABLE,
  RETURN_END_PREF,
  RETURN_SKIP_PREF,
  VXLAN_DEVICE,
} from './names.ts'

/** Milliseconds after a change in the kernel before it is looked at: changes come in bursts. */
const DEBOUNCE_MS = 50
/** Milliseconds until a monitor that ended is started again. */
const RESTART_MS = 5000

/** Of either family. */
const OUR_TABLE_GONE = new RegExp(`delete table ip6? ${NFT_TABLE}\\b`)

interface Watch {
  stop(): void
}

/** What to do about each kind of change. */
export interface WatcherCallbacks {
  /** A port of a bridge appeared or changed. */
  onLinks: () => void
  /** Someone removed our table. */
  onRules: () => void
  /** A VXLAN device was removed or shut, and with it the routes of every other node. */
  onDevice: (device: string) => void
  /** A routing rule with a number of ours was removed. */
  onRoutingRule: () => void
}

/** Follows the kernel's own notifications: ports on bridges, and devices, routing rules or nftables tables of ours that someone removes. */
export class Watcher {
  readonly #exec: Exec
  readonly #clock: Clock
  readonly #on: WatcherCallbacks
  readonly #watches = new Map<string, Watch>()
  readonly #pending = new Map<string, () => void>()
  #isStopped = false

  constructor(deps: { exec: Exec; clock: Clock }, on: WatcherCallbacks) {
    this.#exec = deps.exec
    this.#clock = deps.clock
    this.#on = on
  }

  start(withRules: boolean): void {
    this.#watch('links', 'ip', ['-o', 'monitor', 'link', 'rule'], (line) => {
      if (isRuleGone(line)) this.#soon('routing', this.#on.onRoutingRule)
      if (/ master sw-br\d/.test(line)) this.#soon('links', this.#on.onLinks)
      for (const device of [VXLAN_DEVICE, ENCRYPTED_DEVICE]) {
        if (isDeviceGone(line, device)) this.#soon(device, () => this.#on.onDevice(device))
      }
    })
    if (!withRules) return
    this.#watch('rules', 'nft', ['monitor', 'destroy', 'tables'], (line) => {
      if (OUR_TABLE_GONE.test(line)) this.#soon('rules', this.#on.onRules)
    })
  }

  stop(): void {
    this.#isStopped = true
    for (const watch of this.#watches.values()) watch.stop()
    for (const cancel of this.#pending.values()) cancel()
    this.#watches.clear()
    this.#pending.clear()
  }

  #watch(name: string, command: string, args: string[], onLine: (line: string) => void): void {
    if (this.#isStopped) return
    const restart = () => {
      this.#pending.set(
        name,
        this.#clock.schedule(RESTART_MS, () => this.#watch(name, command, args, onLine)),
      )
    }
    this.#watches.set(name, this.#exec.watch(command, args, onLine, restart))
  }

  #soon(name: string, run: () => void): void {
    this.#pending.get(`${name} change`)?.()
    this.#pending.set(`${name} change`, this.#clock.schedule(DEBOUNCE_MS, run))
  }
}

/** Lines are `Deleted 901:<tab>from all fwmark …`. */
const isRuleGone = (line: string): boolean => {
  const pref = Number(/^Deleted (\d+):\s+from /.exec(line)?.[1])
  return pref >= RETURN_SKIP_PREF && pref <= RETURN_END_PREF
}

/** Lines are `3: sw-vx0: <BROADCAST,UP,…> … qdisc noqueue`, the last one `Deleted 3: …`. One that was never up (noop) is being made. */
const isDeviceGone = (line: string, device: string): boolean =>
  line.includes(` ${device}: <`) &&
  (line.startsWith('Deleted ') || (!/<[^>]*\bUP\b/.test(line) && !line.includes('qdisc noop ')))
