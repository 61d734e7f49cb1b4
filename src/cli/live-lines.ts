import { createLogUpdate } from 'log-update'
import type { Output } from './output.ts'

/** Lines that change: redrawn in place on a terminal, else each printed when it is another than before. */
export class LiveLines {
  readonly #output: Output
  readonly #live: ReturnType<typeof createLogUpdate> | undefined
  #last: readonly string[] = []

  constructor(output: Output) {
    this.#output = output
    this.#live = output.isTerminal ? createLogUpdate(process.stdout) : undefined
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
