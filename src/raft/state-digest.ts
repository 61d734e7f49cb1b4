import { sameBytes } from './bytes.ts'

const TAG_BYTES = 16
const WORDS = TAG_BYTES / 4

/** A tag as four numbers: what every stored value keeps in memory is small. */
type Tag = readonly [number, number, number, number]

/**
 * What a set of stored values must be, order aside: how many, and the exclusive or of their tags. It is
 * stored with the applied index, and tells at start if LevelDB lost some of them without an error.
 */
export class StateDigest {
  readonly #tags = new Map<string, Tag>()
  readonly #sum = new Int32Array(WORDS)

  get count(): number {
    return this.#tags.size
  }

  /** The sum now; a copy. */
  get sum(): Uint8Array {
    const bytes = new Uint8Array(TAG_BYTES)
    const view = new DataView(bytes.buffer)
    for (let at = 0; at < WORDS; at += 1) view.setInt32(4 * at, this.#sum[at] ?? 0)
    return bytes
  }

  /** A key now has this sealed value, or none. */
  set(key: string, sealed: Uint8Array | null): void {
    const old = this.#tags.get(key)
    if (old !== undefined) this.#mix(old)
    if (sealed === null) {
      this.#tags.delete(key)
      return
    }
    const tag = tagOf(sealed)
    this.#mix(tag)
    this.#tags.set(key, tag)
  }

  equals(count: number, sum: Uint8Array): boolean {
    return count === this.count && sameBytes(this.sum, sum)
  }

  #mix(tag: Tag): void {
    for (let at = 0; at < WORDS; at += 1) this.#sum[at] = (this.#sum[at] ?? 0) ^ (tag[at] ?? 0)
  }
}

function tagOf(sealed: Uint8Array): Tag {
  const { buffer, byteOffset, length } = sealed
  const view = new DataView(buffer, byteOffset + length - TAG_BYTES, TAG_BYTES)
  return [view.getInt32(0), view.getInt32(4), view.getInt32(8), view.getInt32(12)]
}
