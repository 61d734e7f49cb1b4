// The follower's side of a snapshot: chunks go to the storage and to the state machine as they come, beside the state in use. So the
// event loop never stands still for the whole of it.

import { assert } from './assert.ts'
import { checksumOf } from './checksum.ts'
import { StorageUnreadableError } from './errors.ts'
import type { RaftNodeId } from './membership.ts'
import type { SnapshotMeta } from './message.ts'
import type { RaftLogger, StateMachine, StateRestore } from './node-ports.ts'
import {
  decodeSnapshotMeta,
  decodeStateEntries,
  type SnapshotAck,
  type SnapshotChunk,
} from './snapshot-message.ts'
import type { StateInstall, StateStorage } from './state-port.ts'

/** A complete snapshot: durable, and ready for use, beside the old state. */
export interface StagedSnapshot {
  readonly from: RaftNodeId
  readonly term: number
  readonly meta: SnapshotMeta
  readonly install: StateInstall
  readonly restore: StateRestore
}

export interface SnapshotReceiverDeps {
  readonly id: RaftNodeId
  readonly state: StateStorage
  readonly stateMachine: StateMachine
  readonly log: RaftLogger
  readonly send: (ack: SnapshotAck) => void
  /** Whether a snapshot of an index would bring anything new. */
  readonly isUseful: (index: number) => boolean
  readonly onComplete: (staged: StagedSnapshot) => void
  /** It holds what this node can't read; that gets no better when it comes again. */
  readonly onUnreadable: (error: StorageUnreadableError) => void
}

interface Incoming {
  readonly from: RaftNodeId
  readonly stream: number
  /** Undefined when it was handed on; a last chunk whose answer got lost may still come again. */
  parts: Pick<StagedSnapshot, 'meta' | 'install' | 'restore'> | undefined
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

  /** Another leader begins from the start: what came of the one before would only take memory. */
  onLeader(leader: RaftNodeId): void {
    if (this.#incoming?.from !== leader) this.#incoming = undefined
  }

  stop(): void {
    this.#stopped = true
    this.#incoming = undefined
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
      await this.#add(chunk, incoming)
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
    const restore = this.#deps.stateMachine.beginRestore(meta.index)
    const parts = { meta, install, restore }
    this.#incoming = { from: chunk.from, stream: chunk.stream, parts, next: 1 }
    this.#answer(chunk, 1, false)
  }

  async #add(chunk: SnapshotChunk, incoming: Incoming): Promise<void> {
    const { parts, from } = incoming
    assert(parts !== undefined, 'nothing follows the last chunk')
    const entries = decodeStateEntries(chunk.payload)
    await parts.install.add(entries)
    if (this.#stopped) return
    try {
      parts.restore.add(entries)
    } catch (cause) {
      this.#deps.onUnreadable(new StorageUnreadableError('the snapshot of the leader', cause))
      return
    }
    incoming.next += 1
    if (!chunk.last) return
    incoming.parts = undefined
    this.#deps.onComplete({ from, term: chunk.term, ...parts })
  }

  #answer(chunk: SnapshotChunk, next: number, refused: boolean): void {
    if (this.#stopped) return
    const { stream, term, from: to } = chunk
    this.#deps.send({ kind: 'snapshot-ack', from: this.#deps.id, to, term, stream, next, refused })
  }
}
