import { SwarmctlError, toSwarmctlError, unavailable } from '../api/errors.ts'
import { connect } from './client.ts'
import type { RpcConnection } from './connection.ts'
import type { PeerConnectionDeps } from './peer-connection.ts'
import type { TlsCredentials } from './tls-credentials.ts'

/** Waits after failed attempts, doubling, in milliseconds. */
const BACKOFF_MS_MIN = 100
const BACKOFF_MS_MAX = 2000
/** A connection that lasted this long was a success, milliseconds. */
const STABLE_MS = 1000
/** Addresses that a pool remembers. */
const ADDRESSES_MAX = 1024

export interface RpcPoolDeps extends PeerConnectionDeps {
  /** [0, 1): spreads the reconnects of nodes that lost the same peer. */
  random: () => number
}

interface Entry {
  connection: RpcConnection | undefined
  connecting: Promise<RpcConnection> | undefined
  failures: number
  /** No attempt before this time, milliseconds since the epoch. */
  notBeforeMs: number
  lastError: SwarmctlError | undefined
}

/** Keeps one connection per address, made on demand. A caller retries as it sees fit: attempts are spaced here. */
export class RpcPool {
  readonly #deps: RpcPoolDeps
  readonly #entries = new Map<string, Entry>()
  readonly #closing = new AbortController()
  #credentials: TlsCredentials

  constructor(deps: RpcPoolDeps, options: { credentials: TlsCredentials }) {
    this.#deps = deps
    this.#credentials = options.credentials
  }

  /**
   * The open connection to this address, or a new one. Rejects as `connect` does; shortly after a failure at once with
   * the last error, without trying. `expectNodeId`: see `connect`.
   */
  async get(addr: string, options: { expectNodeId?: string } = {}): Promise<RpcConnection> {
    if (this.#closing.signal.aborted) throw unavailable('this node is shutting down')
    const entry = this.#entry(addr)
    const { connection, connecting } = entry
    if (connection || connecting) {
      return checkNode(addr, connection ?? (await connecting!), options.expectNodeId)
    }
    // Further away than any wait: the clock was set back.
    const waitMs = entry.notBeforeMs - this.#deps.clock.nowMs()
    if (entry.lastError && waitMs > 0 && waitMs <= BACKOFF_MS_MAX) throw entry.lastError
    entry.connecting = this.#connect(addr, entry, options)
    return entry.connecting
  }

  /** The open connection to this address, if there is one: for what is not worth waiting for. */
  current(addr: string): RpcConnection | undefined {
    return this.#entries.get(addr)?.connection
  }

  /**
   * New connections use these. When the role changed the open ones are closed: they show what no longer holds. When only the root
   * changed they go on: who was proven by the old one then is still who it was.
   */
  setCredentials(credentials: TlsCredentials): void {
    const { role } = this.#credentials
    this.#credentials = credentials
    for (const entry of this.#entries.values()) {
      if (role !== credentials.role) entry.connection?.close()
      // Earlier failures, and this close, say nothing of the new credentials.
      entry.failures = 0
      entry.lastError = undefined
    }
  }

  /** Closes and forgets the connection to an address: its node is gone. */
  drop(addr: string): void {
    const entry = this.#entries.get(addr)
    this.#entries.delete(addr)
    entry?.connection?.close()
  }

  close(): void {
    this.#closing.abort(unavailable('this node is shutting down'))
    for (const addr of [...this.#entries.keys()]) this.drop(addr)
  }

  async #connect(
    addr: string,
    entry: Entry,
    options: { expectNodeId?: string },
  ): Promise<RpcConnection> {
    const { clock } = this.#deps
    try {
      const connection = await connect(addr, {
        ...this.#deps,
        ...options,
        credentials: this.#credentials,
        signal: this.#closing.signal,
      })
      entry.connection = connection
      const openedMs = clock.nowMs()
      connection.onClose((reason) => {
        if (entry.connection === connection) entry.connection = undefined
        // What does not last is as good as a failed attempt: a peer that accepts and closes must not make us spin.
        if (clock.nowMs() - openedMs < STABLE_MS) this.#failed(entry, unavailable(reason))
        else entry.failures = 0
      })
      // It was dropped meanwhile.
      if (this.#entries.get(addr) !== entry) connection.close()
      return connection
    } catch (thrown) {
      const error = toSwarmctlError(thrown)
      this.#failed(entry, error)
      throw error
    } finally {
      entry.connecting = undefined
    }
  }

  #failed(entry: Entry, error: SwarmctlError): void {
    entry.failures += 1
    entry.lastError = error
    const limitMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(entry.failures - 1, 10))
    entry.notBeforeMs = this.#deps.clock.nowMs() + limitMs * (0.5 + this.#deps.random() / 2)
  }

  #entry(addr: string): Entry {
    const existing = this.#entries.get(addr)
    if (existing) return existing
    if (this.#entries.size >= ADDRESSES_MAX) this.#forgetIdle()
    const entry: Entry = {
      connection: undefined,
      connecting: undefined,
      failures: 0,
      notBeforeMs: 0,
      lastError: undefined,
    }
    this.#entries.set(addr, entry)
    return entry
  }

  #forgetIdle(): void {
    for (const [addr, entry] of this.#entries) {
      if (!entry.connection && !entry.connecting) this.#entries.delete(addr)
    }
    if (this.#entries.size >= ADDRESSES_MAX) {
      throw unavailable(`this node has connections to ${ADDRESSES_MAX} addresses already`)
    }
  }
}

const checkNode = (
  addr: string,
  connection: RpcConnection,
  expectNodeId: string | undefined,
): RpcConnection => {
  const { nodeId, role } = connection.peer ?? {}
  // It may have been made to a worker: by who expected that one.
  if (expectNodeId === undefined && role !== 'manager') {
    throw new SwarmctlError('UNAUTHENTICATED', `the node at ${addr} is a worker, not a manager`)
  }
  if (expectNodeId === undefined || nodeId === expectNodeId) return connection
  throw new SwarmctlError(
    'UNAUTHENTICATED',
    `the node at ${addr} is ${nodeId}, not ${expectNodeId}`,
  )
}
