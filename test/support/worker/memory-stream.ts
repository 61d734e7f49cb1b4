import type { Log } from '../../../src/api/log.ts'

/** Two joined ends of a stream in memory, with the part of the rpc stream's contract that sessions use. */
export class MemoryStream {
  peer!: MemoryStream
  readonly sent: unknown[] = []
  #inbox: unknown[] = []
  #ended = false
  #error: Error | undefined
  #wake: () => void = () => {}

  static pair(): [MemoryStream, MemoryStream] {
    const [a, b] = [new MemoryStream(), new MemoryStream()]
    a.peer = b
    b.peer = a
    return [a, b]
  }

  async send(message: unknown): Promise<void> {
    if (this.#error !== undefined) throw this.#error
    this.sent.push(message)
    this.peer.#inbox.push(structuredClone(message))
    this.peer.#wake()
  }

  async *messages(): AsyncGenerator<unknown> {
    try {
      for (;;) {
        const next = this.#inbox.shift()
        if (next !== undefined) yield next
        else if (this.#error !== undefined) throw this.#error
        else if (this.#ended) return
        else
          await new Promise<void>((resolve) => {
            this.#wake = resolve
          })
      }
    } finally {
      // As in rpc: a reader that leaves breaks the stream.
      if (!this.#ended) this.abort()
    }
  }

  end(): void {
    this.peer.#ended = true
    this.peer.#wake()
  }

  abort(error: Error = new Error('aborted')): void {
    for (const side of [this, this.peer]) {
      side.#error ??= error
      side.#wake()
    }
  }
}

/** A log that only collects. */
export class CollectedLog implements Log {
  readonly lines: string[] = []
  #add = (level: string) => (fields: object, message: string) => {
    this.lines.push(`${level} ${message} ${JSON.stringify(fields)}`)
  }
  debug = this.#add('debug')
  info = this.#add('info')
  warn = this.#add('warn')
  error = this.#add('error')
  child(): Log {
    return this
  }
}
