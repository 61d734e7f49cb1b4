import type { CliContext } from '../context.ts'

/** What takes longer tells how far it is, and then this often. */
const SILENT_MS = 1_000
const TERMINAL_STEP_MS = 200
const LINE_STEP_MS = 5_000
const MEGABYTE = 1_000_000

/** Bytes as a person reads them. */
export const megabytes = (bytes: number): string => `${(bytes / MEGABYTE).toFixed(1)} MB`

/** Tells on standard error how many bytes went through: one changing line on a terminal, else a line now and then. */
export class TransferProgress {
  readonly #context: Pick<CliContext, 'output' | 'nowMs'>
  readonly #verb: string
  readonly #total: number | undefined
  #bytes = 0
  #nextMs: number
  #isShown = false

  constructor(
    context: Pick<CliContext, 'output' | 'nowMs'>,
    options: { verb: string; total?: number },
  ) {
    this.#context = context
    this.#verb = options.verb
    this.#total = options.total
    this.#nextMs = context.nowMs() + SILENT_MS
  }

  get bytes(): number {
    return this.#bytes
  }

  add(bytes: number): void {
    this.#bytes += bytes
    const { output, nowMs } = this.#context
    if (nowMs() < this.#nextMs) return
    this.#nextMs = nowMs() + (output.isTerminal ? TERMINAL_STEP_MS : LINE_STEP_MS)
    this.#isShown = true
    const of = this.#total === undefined ? '' : ` of ${megabytes(this.#total)}`
    const text = `${this.#verb} ${megabytes(this.#bytes)}${of}`
    output.writeError(output.isTerminal ? `\r\u001b[K${text}` : `${text}\n`)
  }

  /** The line that changed is over. */
  end(): void {
    if (this.#isShown && this.#context.output.isTerminal)
      this.#context.output.writeError('\r\u001b[K')
  }
}
