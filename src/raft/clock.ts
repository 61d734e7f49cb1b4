/** The time that the node and the storage see; a test gives a virtual one. */
export interface Clock {
  /** Calls back once after a time in milliseconds; the returned function cancels. */
  after(delayMs: number, callback: () => void): () => void
  /** Calls back when what arrived by now has been taken in (setImmediate). */
  defer(callback: () => void): void
}
