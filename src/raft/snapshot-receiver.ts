// The follower's side of a snapshot: chunks go to the storage as they come, beside the state in use.

import { checksumOf } from './checksum.ts'
import type { RaftNodeId } from './membership.ts'
import type { SnapshotMeta } from './message.ts'
import type { RaftLogger } from './node-ports.ts'
import {
  decodeSnapshotMeta,
  decodeStateEntries,
  type SnapshotAck,
  type SnapshotChunk,
} from './snapshot-message.ts'
import type { StateEntry, StateInstall, StateStorage } from './state-port.ts'

/** A complete snapshot: durable beside the old state, and read into memory. */
export interface StagedSnapshot {
  readonly from: RaftNodeId
  readonly term: number
  readonly meta: SnapshotMeta
  readonly entries: readonly StateEntry[]
  readonly install: StateInstall
}

export interface SnapshotReceiverDeps {
  readonly id: RaftNodeId
  readonly state: StateStorage
  readonly log: RaftLogger
  readonly send: (ack: SnapshotAck) => void
  /** Whether a snapshot of an index would bring anything new. */
  readonly isUseful: (index: number) => boolean
  readonly onComplete: (staged: StagedSnapshot) => void
}

interface Incoming {
  readonly from: RaftNodeId
  readonly stream: number
  readonly meta: SnapshotMeta
  readonly install: StateInstall
  next: number
}

export class SnapshotReceiver {
  readonly #deps: SnapshotReceiverDeps
  #incoming: Incoming | undefined
  #busy = false
  #stopped = false

  constructor(deps: SnapshotReceiverDeps) {
    this.#deps = deps
  }

  /** Takes a chunk of the leader of this term. */
  onChunk(chunk: SnapshotChunk): void {
    // While one is written the next can only be a repetition: the leader waits for the answer.
    if (this.#busy || this.#stopped) return
    if (checksumOf(chunk.payload) !== chunk.checksum) {
      this.#deps.log.warn('a piece of a snapshot came damaged', { from: chunk.from })
      return
    }
    this.#busy = true
    this.#take(chunk)
      .catch((cause) => {
        this.#incoming = undefined
        this.#deps.log.warn('a snapshot could not be stored', { cause: String(cause) })
        this.#answer(chunk, 0, true)
      })
      .finally(() => {
        this.#busy = false
      })
  }

  stop(): void {
    this.#stopped = true
  }

  async #take(chunk: SnapshotChunk): Promise<void> {
    const incoming = this.#incoming
    const isKnown = incoming?.stream === chunk.stream && incoming.from === chunk.from
    if (!isKnown && chunk.sequence === 0) {
      await this.#begin(chunk)
      return
    }
    if (!isKnown) {
      this.#answer(chunk, 0, true)
      return
    }
    if (chunk.sequence === incoming.next) {
      await incoming.install.add(decodeStateEntries(chunk.payload))
      incoming.next += 1
      if (chunk.last) await this.#complete(chunk, incoming)
    }
    this.#answer(chunk, incoming.next, false)
  }

  async #begin(chunk: SnapshotChunk): Promise<void> {
    const meta = decodeSnapshotMeta(chunk.payload)
    if (!this.#deps.isUseful(meta.index)) {
      this.#answer(chunk, 0, true)
      return
    }
    this.#incoming = undefined
    const install = await this.#deps.state.beginInstall(meta)
    this.#incoming = { from: chunk.from, stream: chunk.stream, meta, install, next: 1 }
    this.#answer(chunk, 1, false)
  }

  async #complete(chunk: SnapshotChunk, incoming: Incoming): Promise<void> {
    const { meta, install, from } = incoming
    const entries = await install.load()
    if (this.#stopped) return
    this.#deps.onComplete({ from, term: chunk.term, meta, entries, install })
  }

  #answer(chunk: SnapshotChunk, next: number, refused: boolean): void {
    if (this.#stopped) return
    const { stream, term, from: to } = chunk
    this.#deps.send({ kind: 'snapshot-ack', from: this.#deps.id, to, term, stream, next, refused })
  }
}
