import type { Clock } from '../api/clock.ts'
import type { Exec } from './exec.ts'
import { NFT_TABLE } from './names.ts'

/** Milliseconds after a change in the kernel before it is looked at: changes come in bursts. */
const DEBOUNCE_MS = 50
/** Milliseconds until a monitor that ended is started again. */
const RESTART_MS = 5000

interface Watch {
  stop(): void
}

/** Follows the kernel's own notifications: new ports on bridges, and nftables tables that someone removes. */
export class Watcher {
  readonly #exec: Exec
  readonly #clock: Clock
  readonly #on: { onLinks: () => void; onRules: () => void }
  readonly #watches = new Map<string, Watch>()
  readonly #pending = new Map<string, () => void>()
  #isStopped = false

  constructor(
    deps: { exec: Exec; clock: Clock },
    on: { onLinks: () => void; onRules: () => void },
  ) {
    this.#exec = deps.exec
    this.#clock = deps.clock
    this.#on = on
  }

  start(withRules: boolean): void {
    this.#watch('links', 'ip', ['-o', 'monitor', 'link'], (line) => {
      if (/ master sw-br\d/.test(line)) this.#soon('links', this.#on.onLinks)
    })
    if (!withRules) return
    this.#watch('rules', 'nft', ['monitor', 'destroy', 'tables'], (line) => {
      if (line.includes(`delete table ip ${NFT_TABLE}`)) this.#soon('rules', this.#on.onRules)
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
