import type { DispatcherMessage } from '../../api/assignment.ts'
import type { OverlayChange } from '../../api/overlay-view.ts'
import { type AssignmentSet, diffAssignments, emptyAssignmentSet } from './assignment-set.ts'
import { mergeOverlayChanges } from './overlay-change.ts'
import type { AgentConnection, SessionStream } from './ports.ts'

/** What a session reads when it is about to send: always the newest. */
export interface SessionSource {
  assignments(nodeId: string): AssignmentSet
  /** The complete overlay and its version. */
  overlay(): { change: OverlayChange; version: number }
}

/**
 * One agent's session: what the node was told, and what it is still to be told. Its memory is bounded by the cluster's state: while the
 * node is slow, changes merge instead of queueing.
 */
export class Session {
  readonly nodeId: string
  readonly connection: AgentConnection
  /** The highest overlay version that the node's tables hold. */
  acknowledged = 0
  /** What the node said is being dealt with; what it says meanwhile is read after it. */
  isBusy = true
  readonly #stream: SessionStream
  readonly #source: SessionSource
  #assigned: AssignmentSet = emptyAssignmentSet()
  #sequence = 0
  #assignmentsDirty = true
  #overlay: { change: OverlayChange; version: number } | undefined
  #overlaySent = false
  #first: DispatcherMessage[] = []
  #outOfRotation: string[] = []
  #pumping = false
  #closed = false

  constructor(
    deps: { stream: SessionStream; connection: AgentConnection; source: SessionSource },
    options: { nodeId: string },
  ) {
    this.nodeId = options.nodeId
    this.connection = deps.connection
    this.#stream = deps.stream
    this.#source = deps.source
  }

  /** The tasks of this node, or what they need, may have changed. */
  markAssignments(): void {
    this.#assignmentsDirty = true
  }

  queueOverlay(change: OverlayChange, version: number): void {
    // Until the complete view is sent, that will hold it.
    if (!this.#overlaySent) return
    this.#overlay = {
      change:
        this.#overlay === undefined ? change : mergeOverlayChanges(this.#overlay.change, change),
      version,
    }
  }

  queueOutOfRotation(taskIds: readonly string[]): void {
    this.#outOfRotation.push(...taskIds)
  }

  /** A message that goes before all else: `session`, `managers`. */
  queueFirst(message: DispatcherMessage): void {
    // Only the newest list of managers matters. One after a confirmed list is as good as it.
    const before = this.#first.find(({ kind }) => kind === message.kind)
    const newest =
      message.kind === 'managers' && before?.kind === 'managers' && before.isPresent
        ? { ...message, isPresent: true }
        : message
    this.#first = [...this.#first.filter(({ kind }) => kind !== message.kind), newest]
  }

  /** Sends what is due, in order. A failure of the stream ends its reader, which ends the session. */
  flush(): void {
    if (this.#pumping || this.#closed) return
    this.#pumping = true
    void this.#pump()
  }

  /** Says a last word and ends the stream. Nothing is waited for: a node that does not read must not hold up who closes. */
  close(last?: DispatcherMessage): void {
    if (this.#closed) return
    this.#closed = true
    if (last !== undefined)
      this.#stream.send(last).catch((error: Error) => this.#stream.abort(error))
    this.#stream.end()
  }

  abort(error: Error): void {
    this.#closed = true
    this.#stream.abort(error)
  }

  async #pump(): Promise<void> {
    try {
      for (let message = this.#next(); message !== undefined; message = this.#next())
        await this.#stream.send(message)
    } catch (error) {
      this.abort(error as Error)
    } finally {
      this.#pumping = false
    }
  }

  #next(): DispatcherMessage | undefined {
    if (this.#closed) return undefined
    return (
      this.#first.shift() ?? this.#nextOverlay() ?? this.#nextAssignments() ?? this.#nextRotation()
    )
  }

  #nextOverlay(): DispatcherMessage | undefined {
    if (!this.#overlaySent) {
      this.#overlaySent = true
      return { kind: 'overlay', complete: true, ...this.#source.overlay() }
    }
    const overlay = this.#overlay
    this.#overlay = undefined
    return overlay === undefined ? undefined : { kind: 'overlay', complete: false, ...overlay }
  }

  #nextAssignments(): DispatcherMessage | undefined {
    if (!this.#assignmentsDirty) return undefined
    this.#assignmentsDirty = false
    const wanted = this.#source.assignments(this.nodeId)
    const change = diffAssignments(this.#assigned, wanted)
    this.#assigned = wanted
    const complete = this.#sequence === 0
    if (change === undefined && !complete) return undefined
    this.#sequence += 1
    return {
      kind: 'assignments',
      complete,
      sequence: this.#sequence,
      tasks: change?.tasks ?? { put: [], remove: [] },
      secrets: change?.secrets ?? { put: [], remove: [] },
      configs: change?.configs ?? { put: [], remove: [] },
      networks: change?.networks ?? { put: [], remove: [] },
    }
  }

  #nextRotation(): DispatcherMessage | undefined {
    if (this.#outOfRotation.length === 0) return undefined
    const taskIds = this.#outOfRotation
    this.#outOfRotation = []
    return { kind: 'out-of-rotation', taskIds }
  }
}
