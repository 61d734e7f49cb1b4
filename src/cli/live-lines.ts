import type { createLogUpdate } from 'log-update'
import type { Output } from './output.ts'

type Live = ReturnType<typeof createLogUpdate>

/** Lines that change: redrawn in place on a terminal, else each printed when it is another than before. */
export class LiveLines {
  readonly #output: Output
  readonly #live: Live | undefined
  #last: readonly string[] = []

  private constructor(output: Output, live: Live | undefined) {
    this.#output = output
    this.#live = live
  }

  /** What draws takes longer to load than most commands take to start: only a terminal needs it. */
  static async open(output: Output): Promise<LiveLines> {
    if (!output.isTerminal) return new LiveLines(output, undefined)
    const { createLogUpdate } = await import('log-update')
    return new LiveLines(output, createLogUpdate(process.stdout))
  }

  show(lines: readonly string[]): void {
    if (this.#live) return this.#live(lines.join('\n'))
    const fresh = lines.filter((line, at) => line !== this.#last[at])
    this.#last = [...lines]
    for (const line of fresh) this.#output.write(`${line}\n`)
  }

  /** What was drawn stays. */
  end(): void {
    this.#live?.done()
  }
}
