import { LiveLines } from '../live-lines.ts'
import type { Output } from '../output.ts'
import type { Convergence } from './convergence.ts'

/** Lines of single tasks that are shown; beyond it only the summary is (Docker's limit too). */
const SLOTS_SHOWN_MAX = 20

const BAR_STATES = [
  'new',
  'pending',
  'assigned',
  'accepted',
  'preparing',
  'ready',
  'starting',
  'running',
]

const bar = (state: string): string => {
  const at = BAR_STATES.indexOf(state)
  if (at < 0) return ''
  return `[${'='.repeat(at * 4)}>${' '.repeat((BAR_STATES.length - 1 - at) * 4)}]`
}

const lines = (now: Convergence): string[] => [
  `overall progress: ${now.summary}`,
  ...(now.slots.length <= SLOTS_SHOWN_MAX
    ? now.slots.map((slot) =>
        `${slot.label}: ${slot.error || slot.state.padEnd(10)} ${slot.error ? '' : bar(slot.state)}`.trimEnd(),
      )
    : []),
  ...(now.message && now.slots.length > SLOTS_SHOWN_MAX ? [now.message] : []),
]

/** Shows a service's way: redrawn in place on a terminal, else one line whenever the summary or the message changes. */
export class ProgressDisplay {
  readonly #output: Output
  readonly #live: LiveLines

  private constructor(output: Output, live: LiveLines) {
    this.#output = output
    this.#live = live
  }

  static async open(output: Output): Promise<ProgressDisplay> {
    return new ProgressDisplay(output, await LiveLines.open(output))
  }

  show(now: Convergence): void {
    const line = `overall progress: ${now.summary}${now.message ? ` (${now.message})` : ''}`
    this.#live.show(this.#output.isTerminal ? lines(now) : [line])
  }

  /** Leaves what was drawn and says a last line. */
  end(line: string): void {
    this.#output.write(`${this.#output.isTerminal ? '\n' : ''}${line}\n`)
  }
}
