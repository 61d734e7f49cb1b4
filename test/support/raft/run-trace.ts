import { chainHash } from './checked-wal-disk.ts'

/** Bytes of a message that count for the hash: its head, which tells one from the other. */
const MESSAGE_BYTES = 64

/** A hash over everything that was delivered: two runs of one seed must be the same to the byte. */
export class RunTrace {
  #hash = 0

  get hash(): string {
    return this.#hash.toString(16).padStart(8, '0')
  }

  onMessage(nowMs: number, from: string, to: string, message: Uint8Array): void {
    this.onText(`${nowMs} ${from} ${to} ${message.length}`)
    this.#hash = chainHash(this.#hash, message.subarray(0, MESSAGE_BYTES))
  }

  onText(text: string): void {
    for (let at = 0; at < text.length; at += 1) {
      this.#hash = Math.imul(this.#hash ^ text.charCodeAt(at), 0x01000193) >>> 0
    }
  }
}
