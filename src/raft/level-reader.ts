import { DecodeError } from './bytes.ts'
import { castagnoliOf } from './checksum.ts'

/** LevelDB stores no sum as it is: sums of what holds sums would be weak. */
const MASK = 0xa282ead8

/** Reads what LevelDB writes: numbers of seven bits a byte, the lowest first, and texts behind their lengths. */
export class LevelReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  number(): number {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = this.take(1)[0] ?? 0
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
  }

  text(): Uint8Array {
    return this.take(this.number())
  }

  take(count: number): Uint8Array {
    const end = this.#at + count
    if (end > this.#bytes.length) throw new DecodeError('it ends too early')
    this.#at = end
    return this.#bytes.subarray(end - count, end)
  }
}

/** A number of 32 bits, the lowest byte first. */
export function u32At(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(at, true)
}

/** Whether a sum that LevelDB stored is that of the bytes. */
export function hasSum(bytes: Uint8Array, stored: number): boolean {
  const sum = castagnoliOf(bytes)
  return (((sum >>> 15) | (sum << 17)) + MASK) >>> 0 === stored
}
