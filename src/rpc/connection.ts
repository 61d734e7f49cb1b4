/** Who the other end is, from its verified certificate. */
export interface PeerIdentity {
  nodeId: string
  role: 'worker' | 'manager'
  clusterId: string
}

/** One end of a bidirectional, ordered stream with backpressure in both directions. */
export interface RpcStream {
  /**
   * Resolves when the queue is below the high-water mark: wait for it before the next send. Rejects with UNAVAILABLE when the
   * stream is over, with the peer's error when the peer aborted it, with INVALID_ARGUMENT when the message is too large.
   */
  send(message: unknown): Promise<void>
  /** The peer's messages until it ends; throws SwarmctlError when the stream breaks. One reader; leaving the loop early aborts. */
  messages(): AsyncIterable<unknown>
  /** No more messages from this side. What was sent still arrives. */
  end(): void
  /** Breaks the stream in both directions; the peer's reader throws `error`. */
  abort(error?: Error): void
  /** Resolves, and never rejects, when both sides ended and the reader is at the end, or when the stream broke. */
  readonly closed: Promise<void>
}

export interface RequestOptions {
  /** Gives up: the handler's signal at the peer aborts too. */
  signal?: AbortSignal
  /** Milliseconds; the default is REQUEST_TIMEOUT_MS. */
  timeoutMs?: number
}

/** A connection to a node. Both ends may call what the other's handlers serve. */
export interface RpcConnection {
  /** Null: the peer has no certificate (it is joining), or this side did not check it. */
  readonly peer: PeerIdentity | null
  /** host:port of the other end. */
  readonly remoteAddress: string
  readonly isOpen: boolean
  /**
   * Resolves with the handler's answer. Rejects with the handler's SwarmctlError, TIMEOUT (the effect is unknown), or
   * UNAVAILABLE when the connection is or gets lost (likewise).
   */
  request(method: string, body: unknown, options?: RequestOptions): Promise<unknown>
  openStream(method: string, body: unknown): RpcStream
  /**
   * Best effort, in order among notifies; false when it was dropped (connection lost, or too much is queued). `now`: it goes out at
   * once, and not with all else of this turn.
   */
  notify(method: string, body: unknown, options?: { now: boolean }): boolean
  /** Calls `run` once with one line of why, when the connection is over; at once when it is over already. */
  onClose(run: (reason: string) => void): void
  close(): void
}

/** What a handler is told of its caller. */
export interface CallContext {
  peer: PeerIdentity | null
  connection: RpcConnection
  /** IP address of the caller, without port. */
  remoteAddress: string
  /** Aborts when the caller gave up or the connection is lost. */
  signal: AbortSignal
}
