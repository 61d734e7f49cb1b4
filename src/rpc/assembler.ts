import { SwarmctlError } from '../api/errors.ts'
import type { Frame } from './wire.ts'

interface Partial {
  chunks: Buffer[]
  bytes: number
  /** What it counts for. */
  costBytes: number
}

/** A kept chunk counts for this much at least: a peer that sends chunks of nothing must not fill the memory with what holds them. */
const CHUNK_COST_BYTES_MIN = 256

/** Limits of what a peer may send, in bytes. */
export interface AssemblyLimits {
  messageBytesMax: number
  totalBytesMax: number
}

/** Puts chunked messages together again. Bounded: a peer that exceeds the limits breaks the connection. */
export class Assembler {
  readonly #partials = new Map<string, Partial>()
  readonly #limits: AssemblyLimits
  #totalBytes = 0

  constructor(limits: AssemblyLimits) {
    this.#limits = limits
  }

  /** The whole message when this was its last chunk. The bytes are the caller's own. Throws INVALID_ARGUMENT over a limit. */
  add(frame: Frame): Buffer | undefined {
    // Most messages are one frame: no key is made for them.
    if (!frame.more && this.#partials.size === 0) return this.#single(frame)
    const key = keyOf(frame.kind, frame.id)
    const partial = this.#partials.get(key)
    const bytes = (partial?.bytes ?? 0) + frame.payload.length
    if (bytes > this.#limits.messageBytesMax) throw tooLarge(this.#limits.messageBytesMax)
    if (!frame.more && !partial) return this.#single(frame)
    const costBytes = Math.max(frame.payload.length, CHUNK_COST_BYTES_MIN)
    this.#totalBytes += costBytes
    if (this.#totalBytes > this.#limits.totalBytesMax) throw tooLarge(this.#limits.totalBytesMax)
    const kept = partial ?? { chunks: [], bytes: 0, costBytes: 0 }
    kept.chunks.push(Buffer.from(frame.payload))
    kept.bytes = bytes
    kept.costBytes += costBytes
    if (frame.more) {
      this.#partials.set(key, kept)
      return undefined
    }
    this.drop(frame.kind, frame.id)
    return Buffer.concat(kept.chunks, bytes)
  }

  /** A copy: a socket's read buffer is shared by many frames, and a kept slice of it would hold all of it. */
  #single(frame: Frame): Buffer {
    const limit = this.#limits.messageBytesMax
    if (frame.payload.length > limit) throw tooLarge(limit)
    return Buffer.from(frame.payload)
  }

  /** Forgets a half-received message. */
  drop(kind: Frame['kind'], id: number): void {
    const key = keyOf(kind, id)
    const partial = this.#partials.get(key)
    if (!partial) return
    this.#totalBytes -= partial.costBytes
    this.#partials.delete(key)
  }
}

const keyOf = (kind: Frame['kind'], id: number): string => `${kind}/${id}`

const tooLarge = (limit: number): SwarmctlError =>
  new SwarmctlError('INVALID_ARGUMENT', `the peer sent more than ${limit} bytes as one message`)
