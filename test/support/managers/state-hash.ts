import { crc32 } from 'node:zlib'

/** A hash of a set of keys with their values that does not depend on the order in which they came. */
export class StateHash {
  readonly #parts = new Map<string, readonly [number, number]>()
  #low = 0
  #high = 0

  get value(): string {
    return `${this.#parts.size}-${this.#low.toString(36)}-${this.#high.toString(36)}`
  }

  /** Null removes the key. */
  set(key: string, value: Uint8Array | null): void {
    const old = this.#parts.get(key)
    if (old !== undefined) this.#toggle(old)
    if (value === null) {
      this.#parts.delete(key)
      return
    }
    const part = mix(crc32(key), crc32(value))
    this.#parts.set(key, part)
    this.#toggle(part)
  }

  #toggle([low, high]: readonly [number, number]): void {
    this.#low = (this.#low ^ low) >>> 0
    this.#high = (this.#high ^ high) >>> 0
  }
}

/** Not linear, as a checksum is: two keys that swap their values must not cancel out. */
function mix(key: number, value: number): readonly [number, number] {
  const one = Math.imul(key ^ Math.imul(value, 0x9e3779b1), 0x85ebca6b)
  const two = Math.imul(value ^ Math.imul(key ^ (one >>> 13), 0xc2b2ae35), 0x27d4eb2f)
  return [(one ^ (two >>> 15)) >>> 0, (two ^ (one >>> 16)) >>> 0]
}
