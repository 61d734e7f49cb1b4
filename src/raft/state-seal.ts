import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

const CIPHER = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16
const KEY_BYTES = 32

/** Seals stored values with AES-256-GCM. A value opens only under the key that it was stored under. */
export class StateSeal {
  readonly #key: Uint8Array

  constructor(dataKey: Uint8Array) {
    this.#key = new Uint8Array(
      hkdfSync('sha256', dataKey, new Uint8Array(0), 'swarmctl state 1', KEY_BYTES),
    )
  }

  /** nonce | sealed value | tag. */
  seal(storedKey: string, value: Uint8Array): Uint8Array {
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv(CIPHER, this.#key, nonce)
    cipher.setAAD(Buffer.from(storedKey))
    return Buffer.concat([nonce, cipher.update(value), cipher.final(), cipher.getAuthTag()])
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
