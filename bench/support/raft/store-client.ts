import type { MemberStatus } from './job.ts'

/** Bytes of a key and of a value, on both sides. */
export const KEY_BYTES = 24
export const VALUE_BYTES = 256

/** How one side is spoken to. Every call rejects when it was refused. */
export interface StoreClient {
  /** Connects so many times to each of the members named. */
  open(members: readonly number[], connections: number): Promise<void>
  /** Writes a new key of KEY_BYTES with VALUE_BYTES; resolves when that is acknowledged, with how to read it. `worker` chooses the connection. */
  put(member: number, worker: number): Promise<string>
  /** Reads linearizably. */
  get(member: number, worker: number, ref: string): Promise<void>
  remove(member: number, worker: number, ref: string): Promise<void>
  status(member: number): Promise<MemberStatus>
  close(): void
}

/** Names that never repeat, all of the same length. */
export class KeySource {
  readonly #prefix = `k${process.pid.toString(36)}${Date.now().toString(36)}-`
  #count = 0

  next(): string {
    this.#count += 1
    return this.#prefix + String(this.#count).padStart(KEY_BYTES - this.#prefix.length, '0')
  }
}
