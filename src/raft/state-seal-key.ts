// What sealing with AES-256-GCM costs besides the cipher: a key that is prepared once, and nonces drawn in bulk.

import { createSecretKey, type KeyObject, randomFillSync } from 'node:crypto'

export const NONCE_BYTES = 12
/** Nonces drawn at once: a draw for each costs as much as the sealing of a small value. */
const NONCES_COUNT = 1024

/** A key as ciphers take it fastest: raw bytes are imported anew for each cipher. */
export function sealKey(bytes: Uint8Array): KeyObject {
  return createSecretKey(bytes)
}

/** Random nonces, each handed out once. */
export class NonceSource {
  readonly #pool = Buffer.allocUnsafeSlow(NONCES_COUNT * NONCE_BYTES)
  #offset = this.#pool.length

  /** A view that the next draw overwrites: use it before asking again. */
  next(): Buffer {
    if (this.#offset === this.#pool.length) {
      randomFillSync(this.#pool)
      this.#offset = 0
    }
    const nonce = this.#pool.subarray(this.#offset, this.#offset + NONCE_BYTES)
    this.#offset += NONCE_BYTES
    return nonce
  }
}
