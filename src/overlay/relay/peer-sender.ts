import { DatagramQueue } from './datagram-queue.ts'
import type { RelayLink, RelayStream } from './link.ts'

/**
 * Sends one peer its datagrams. Connects when there are some, and again when the connection broke: what cannot be sent is dropped, the
 * senders (TCP in containers) repeat it, and the link spaces the attempts.
 */
export class PeerSender {
  readonly #link: RelayLink
  readonly #nodeId: string
  readonly #queue = new DatagramQueue()
  #stream: RelayStream | null = null
  #isSending = false
  #isClosed = false

  constructor(deps: { link: RelayLink }, options: { nodeId: string }) {
    this.#link = deps.link
    this.#nodeId = options.nodeId
  }

  get dropped(): number {
    return this.#queue.dropped
  }

  push(datagram: Buffer): void {
    this.#queue.push(datagram)
  }

  /** Sends what waits. Called once for what one turn of the event loop brought. */
  flush(): void {
    if (this.#isSending || this.#isClosed) return
    this.#isSending = true
    this.#send()
      .catch(() => {
        this.#stream?.close()
        this.#stream = null
        this.#queue.clear()
      })
      .finally(() => {
        this.#isSending = false
      })
  }

  close(): void {
    this.#isClosed = true
    this.#queue.clear()
    this.#stream?.close()
    this.#stream = null
  }

  async #send(): Promise<void> {
    for (let batch = this.#queue.take(); batch !== undefined; batch = this.#queue.take()) {
      this.#stream ??= await this.#open()
      await this.#stream.send(batch)
    }
  }

  async #open(): Promise<RelayStream> {
    const stream = await this.#link.open(this.#nodeId)
    void stream.closed.then(() => {
      if (this.#stream === stream) this.#stream = null
    })
    // Closed while it connected: nobody else would end it.
    if (this.#isClosed) stream.close()
    return stream
  }
}
