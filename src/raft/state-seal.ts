import { createCipheriv, createDecipheriv, hkdfSync, type KeyObject } from 'node:crypto'
import { NONCE_BYTES, NonceSource, sealKey } from './state-seal-key.ts'

const CIPHER = 'aes-256-gcm'
const TAG_BYTES = 16
const KEY_BYTES = 32

/** The tag that a sealed value ends with. */
export function tagOf(sealed: Uint8Array): Uint8Array {
  return sealed.slice(sealed.length - TAG_BYTES)
}

/** Seals stored values with AES-256-GCM. A value opens only under the key that it was stored under. */
export class StateSeal {
  readonly #key: KeyObject
  readonly #nonces = new NonceSource()

  constructor(dataKey: Uint8Array) {
    const salt = new Uint8Array(0)
    const bytes = hkdfSync('sha256', dataKey, salt, 'swarmctl state 1', KEY_BYTES)
    this.#key = sealKey(new Uint8Array(bytes))
  }

  /** nonce | sealed value | tag. */
  seal(storedKey: string, value: Uint8Array): Uint8Array {
    const nonce = this.#nonces.next()
    const cipher = createCipheriv(CIPHER, this.#key, nonce)
    cipher.setAAD(Buffer.from(storedKey))
    const end = NONCE_BYTES + value.length
    const sealed = Buffer.allocUnsafe(end + TAG_BYTES)
    sealed.set(nonce)
    sealed.set(cipher.update(value), NONCE_BYTES)
    cipher.final()
    sealed.set(cipher.getAuthTag(), end)
    return sealed
  }

  /** Undefined when the value is damaged, misplaced, or sealed with another data key. */
  open(storedKey: string, sealed: Uint8Array): Uint8Array | undefined {
    if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined
    const end = sealed.length - TAG_BYTES
    const decipher = createDecipheriv(CIPHER, this.#key, sealed.subarray(0, NONCE_BYTES))
    decipher.setAAD(Buffer.from(storedKey))
    decipher.setAuthTag(sealed.subarray(end))
    const value = decipher.update(sealed.subarray(NONCE_BYTES, end))
    try {
      decipher.final()
      return value
    } catch {
      return undefined
    }
  }
}
