import { frameDatagrams, LENGTH_BYTES } from '../proxy/datagram-frames.ts'

/** Bytes that wait for a peer's connection, headers included: some 10 ms of a gigabit. What TCP in it should feel is loss, not delay. */
export const QUEUE_BYTES_MAX = 1024 * 1024
/** Bytes of one message, unless a single datagram is larger: what the transport sends in one frame (wire.ts), so that nobody puts it together again. */
export const BATCH_BYTES_MAX = 31 * 1024

/** Datagrams for one peer, oldest first. When it is full the newest are dropped, as a network does. */
export class DatagramQueue {
  #datagrams: Buffer[] = []
  #bytes = 0
  #dropped = 0

  /** How many had no room. */
  get dropped(): number {
    return this.#dropped
  }

  get isEmpty(): boolean {
    return this.#datagrams.length === 0
  }

  push(datagram: Buffer): void {
    const bytes = this.#bytes + datagram.length + LENGTH_BYTES
    if (bytes > QUEUE_BYTES_MAX) {
      this.#dropped += 1
      return
    }
    this.#datagrams.push(datagram)
    this.#bytes = bytes
  }

  /** The next message: as many as fit into one, framed; undefined when none waits. */
  take(): Buffer | undefined {
    let count = 0
    let bytes = 0
    for (const { length } of this.#datagrams) {
      const framed = length + LENGTH_BYTES
      if (count > 0 && bytes + framed > BATCH_BYTES_MAX) break
      bytes += framed
      count += 1
    }
    if (count === 0) return undefined
    this.#bytes -= bytes
    return frameDatagrams(this.#datagrams.splice(0, count))
  }

  /** What waits would come late. */
  clear(): void {
    this.#dropped += this.#datagrams.length
    this.#datagrams = []
    this.#bytes = 0
  }
}
