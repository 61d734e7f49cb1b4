/** A client's connections to each member: a worker keeps to one of them. */
export class Connections<T> {
  readonly #connect: (member: number) => Promise<T>
  readonly #close: (connection: T) => void
  readonly #opened = new Map<number, T[]>()

  constructor(connect: (member: number) => Promise<T>, close: (connection: T) => void) {
    this.#connect = connect
    this.#close = close
  }

  async open(members: readonly number[], count: number): Promise<void> {
    for (const member of members) {
      const opened = await Promise.all(Array.from({ length: count }, () => this.#connect(member)))
      this.#opened.set(member, opened)
    }
  }

  at(member: number, worker: number): T {
    const opened = this.#opened.get(member) as T[]
    return opened[worker % opened.length] as T
  }

  close(): void {
    for (const opened of this.#opened.values()) opened.forEach(this.#close)
    this.#opened.clear()
  }
}
