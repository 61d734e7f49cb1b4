// What clients may rely on. Every operation has its place in one order, that of the log, and that order
// agrees with time: so the history is linearizable. (The search of Wing and Gong finds such an
// order; here the log is the order, and has only to be checked.)

interface AppliedCommand {
  readonly index: number
  readonly hash: string
  /** How many commands were applied up to this one. */
  readonly count: number
}

export class ClientChecker {
  readonly #applied = new Map<string, AppliedCommand>()
  /** In the order of the log. */
  readonly #order: AppliedCommand[] = []
  readonly #acknowledged = new Map<string, number>()
  readonly #noEffect = new Set<string>()
  #seen = 0

  get acknowledgedCount(): number {
    return this.#acknowledged.size
  }

  /** What an operation that begins now must see: the highest index that any that has ended showed. */
  get mustSee(): number {
    return this.#seen
  }

  onApplied(id: string, index: number, command: string, hash: string): void {
    if (this.#noEffect.has(command)) {
      throw new Error(`${command} was said to have no effect, and was applied at ${index}`)
    }
    const known = this.#applied.get(command)
    if (known === undefined) {
      const last = this.#order.at(-1)
      if (last !== undefined && last.index >= index) {
        throw new Error(`${id} applied ${command} at ${index}, where others applied something else`)
      }
      const applied = { index, hash, count: this.#order.length + 1 }
      this.#applied.set(command, applied)
      this.#order.push(applied)
      return
    }
    if (known.index !== index) {
      throw new Error(`${command} was applied at ${known.index} and again at ${index}`)
    }
    if (known.hash !== hash) throw new Error(`${id} has another state than others at ${index}`)
  }

  onRestored(id: string, index: number, hash: string, commands: ReadonlyMap<string, number>): void {
    const last = this.#lastUpTo(index)
    if (hash !== (last?.hash ?? '0') || commands.size !== (last?.count ?? 0)) {
      throw new Error(`${id} restored a state of ${index} that is not what applying gave`)
    }
  }

  /** A write began when `mustSee` was this. */
  onAcknowledged(command: string, index: number, mustSee: number): void {
    if (this.#applied.get(command)?.index !== index) {
      throw new Error(`${command} was acknowledged at ${index} but not applied there`)
    }
    if (index <= mustSee)
      throw new Error(`${command} at ${index} is older than what came before it`)
    this.#acknowledged.set(command, index)
    this.#seen = Math.max(this.#seen, index)
  }

  /** A read that began when `mustSee` was this saw commands up to an index. */
  onRead(id: string, lastIndex: number, mustSee: number): void {
    if (lastIndex < mustSee) {
      throw new Error(`a read at ${id} saw ${lastIndex}, and ${mustSee} was seen before`)
    }
    this.#seen = Math.max(this.#seen, lastIndex)
  }

  onNoEffect(command: string): void {
    const applied = this.#applied.get(command)
    if (applied !== undefined) {
      throw new Error(`${command} was said to have no effect, and was applied at ${applied.index}`)
    }
    this.#noEffect.add(command)
  }

  /** Nothing that was acknowledged may be missing at the end. */
  checkNothingLost(id: string, commands: ReadonlyMap<string, number>): void {
    for (const [command, index] of this.#acknowledged) {
      if (commands.get(command) !== index) {
        throw new Error(`${id} lost ${command}, acknowledged at ${index}`)
      }
    }
  }

  #lastUpTo(index: number): AppliedCommand | undefined {
    let [low, high] = [0, this.#order.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#order[middle]?.index ?? 0) <= index) low = middle + 1
      else high = middle
    }
    return this.#order[low - 1]
  }
}
