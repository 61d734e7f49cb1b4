// Fixed positional binary encoding for everything that Raft writes or sends. No schema, no shared
// state between messages: a frame can be read alone, years later.

const INITIAL_BYTES = 256
/** Numbers are exact up to 2^53, and none of ours gets there: no BigInt on the hot path. */
const HIGH = 2 ** 32

/** Before a blob or a text. */
const LENGTH_BYTES = 4
/** Keys and ids are ASCII: written as they are. For anything else the encoder makes a buffer of its own. */
const ASCII_MAX = 0x7f

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

/** Thrown when received or stored bytes aren't what this version writes. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError'
}

/** Whether both hold the same. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at])
}

/** Small buffers share one of this size: one of its own for each entry is work for the garbage collector. */
const SLAB_BYTES = 64 * 1024
/** What is larger gets a buffer of its own, so that a slab isn't wasted. */
const SHARED_BYTES_MAX = 4 * 1024

let slab = new Uint8Array(0)
let used = 0

/** Zeros that nobody else uses; they may lie in a larger buffer. */
export function allocate(count: number): Uint8Array {
  if (count > SHARED_BYTES_MAX) return new Uint8Array(count)
  if (used + count > slab.length) {
    slab = new Uint8Array(SLAB_BYTES)
    used = 0
  }
  used += count
  return slab.subarray(used - count, used)
}

/** Appends values to one growing buffer. */
export class ByteWriter {
  #bytes: Uint8Array
  #view: DataView
  #length = 0

  constructor(sizeHintBytes = INITIAL_BYTES) {
    this.#bytes = new Uint8Array(sizeHintBytes)
    this.#view = new DataView(this.#bytes.buffer)
  }

  /** Writes 0 to 255. */
  u8(value: number): this {
    this.#reserve(1)
    this.#view.setUint8(this.#length, value)
    this.#length += 1
    return this
  }

  /** Writes 0 to 2^32 - 1. */
  u32(value: number): this {
    this.#reserve(4)
    this.#view.setUint32(this.#length, value)
    this.#length += 4
    return this
  }

  /** Writes an integer of 0 to 2^53 - 1 in eight bytes. */
  u64(value: number): this {
    this.#reserve(8)
    writeU64(this.#view, this.#length, value)
    this.#length += 8
    return this
  }

  bool(value: boolean): this {
    return this.u8(value ? 1 : 0)
  }

  /** Writes bytes as they are; the reader must know how many. */
  raw(value: Uint8Array): this {
    this.#reserve(value.length)
    this.#bytes.set(value, this.#length)
    this.#length += value.length
    return this
  }

  /** Writes a length and the bytes. */
  blob(value: Uint8Array): this {
    return this.u32(value.length).raw(value)
  }

  text(value: string): this {
    this.#reserve(LENGTH_BYTES + value.length)
    const start = this.#length + LENGTH_BYTES
    for (let at = 0; at < value.length; at += 1) {
      const code = value.charCodeAt(at)
      if (code > ASCII_MAX) return this.blob(encoder.encode(value))
      this.#bytes[start + at] = code
    }
    this.u32(value.length)
    this.#length = start + value.length
    return this
  }

  /** The bytes written so far, not copied: the writer must not be used afterwards. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  #reserve(count: number): void {
    const needed = this.#length + count
    if (needed <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
    grown.set(this.#bytes)
    this.#bytes = grown
    this.#view = new DataView(grown.buffer)
  }
}

/** Reads what a {@link ByteWriter} wrote; throws {@link DecodeError} instead of reading past the end. */
export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1))
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4))
  }

  u64(): number {
    return readU64(this.#view, this.#take(8))
  }

  bool(): boolean {
    return this.u8() === 1
  }

  skip(count: number): void {
    this.#take(count)
  }

  /** A view on the next bytes, not a copy. */
  raw(count: number): Uint8Array {
    const start = this.#take(count)
    return this.#bytes.subarray(start, start + count)
  }

  blob(): Uint8Array {
    return this.raw(this.u32())
  }

  text(): string {
    try {
      return decoder.decode(this.blob())
    } catch (cause) {
      throw new DecodeError('text is not UTF-8', { cause })
    }
  }

  #take(count: number): number {
    if (count > this.remaining) throw new DecodeError(`needs ${count} bytes, has ${this.remaining}`)
    const start = this.#offset
    this.#offset += count
    return start
  }
}

/** Writes an integer of 0 to 2^53 - 1 at a position, big-endian. */
export function writeU64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, Math.floor(value / HIGH))
  view.setUint32(offset + 4, value % HIGH)
}

/** Reads what {@link writeU64} wrote. */
export function readU64(view: DataView, offset: number): number {
  const value = view.getUint32(offset) * HIGH + view.getUint32(offset + 4)
  if (value > Number.MAX_SAFE_INTEGER) throw new DecodeError('number is above 2^53')
  return value
}
