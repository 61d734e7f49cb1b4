const TAG_BYTES = 16

/**
 * What a set of stored values must be, order aside: how many, and the exclusive or of their tags. It is
 * stored with the applied index, and tells at start if LevelDB lost some of them without an error.
 */
export class StateDigest {
  readonly #tags = new Map<string, Uint8Array>()
  readonly #sum = new Uint8Array(TAG_BYTES)

  get count(): number {
    return this.#tags.size
  }

  /** The sum now; a copy. */
  get sum(): Uint8Array {
    return this.#sum.slice()
  }

  /** A key now has this sealed value, or none. */
  set(key: string, sealed: Uint8Array | null): void {
    const old = this.#tags.get(key)
    if (old !== undefined) this.#mix(old)
    if (sealed === null) {
      this.#tags.delete(key)
      return
    }
    const tag = sealed.slice(-TAG_BYTES)
    this.#mix(tag)
    this.#tags.set(key, tag)
  }

  equals(count: number, sum: Uint8Array): boolean {
    return count === this.count && this.#sum.every((byte, at) => byte === sum[at])
  }

  #mix(tag: Uint8Array): void {
    for (let at = 0; at < TAG_BYTES; at += 1) this.#sum[at] = (this.#sum[at] ?? 0) ^ (tag[at] ?? 0)
  }
}
