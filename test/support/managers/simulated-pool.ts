import { unavailable } from '../../../src/api/errors.ts'
import type { RpcConnection } from '../../../src/rpc/connection.ts'
import type { RpcPool } from '../../../src/rpc/pool.ts'
import type { Endpoint, SimulatedConnection, SimulatedNetwork } from './simulated-network.ts'

/** As the product's pool: waits after failed attempts, doubling, milliseconds. */
const BACKOFF_MS_MIN = 100
const BACKOFF_MS_MAX = 2000

interface Entry {
  connection: SimulatedConnection | undefined
  connecting: Promise<SimulatedConnection> | undefined
  failures: number
  notBeforeMs: number
}

/** The part of `RpcPool` that managers use, over the simulated network. */
export class SimulatedPool implements Pick<RpcPool, 'get' | 'current'> {
  readonly #network: SimulatedNetwork
  readonly #self: Endpoint
  readonly #entries = new Map<string, Entry>()

  constructor(network: SimulatedNetwork, self: Endpoint) {
    this.#network = network
    this.#self = self
  }

  async get(addr: string, options: { expectNodeId?: string } = {}): Promise<RpcConnection> {
    const entry = this.#entry(addr)
    const { clock } = this.#self.process
    // Further away than any wait: the clock was set back.
    const waitMs = entry.notBeforeMs - clock.nowMs()
    if (!entry.connection && !entry.connecting && waitMs > 0 && waitMs <= BACKOFF_MS_MAX) {
      throw unavailable(`${addr}: no attempt yet`)
    }
    entry.connecting ??= entry.connection ? undefined : this.#connect(addr, entry)
    const connection = entry.connection ?? (await entry.connecting!)
    const { expectNodeId } = options
    if (expectNodeId === undefined || connection.peer.nodeId === expectNodeId) return connection
    throw unavailable(`${addr} is ${connection.peer.nodeId}, not ${expectNodeId}`)
  }

  current(addr: string): RpcConnection | undefined {
    return this.#entries.get(addr)?.connection
  }

  async #connect(addr: string, entry: Entry): Promise<SimulatedConnection> {
    try {
      const connection = await this.#network.connect(this.#self, addr)
      entry.connection = connection
      entry.failures = 0
      connection.onClose(() => {
        if (entry.connection === connection) entry.connection = undefined
      })
      return connection
    } catch (error) {
      entry.failures += 1
      const limitMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(entry.failures, 5))
      const spread = 0.5 + this.#network.deps.random() / 2
      entry.notBeforeMs = this.#self.process.clock.nowMs() + limitMs * spread
      throw error
    } finally {
      entry.connecting = undefined
    }
  }

  #entry(addr: string): Entry {
    const known = this.#entries.get(addr)
    if (known) return known
    const entry = { connection: undefined, connecting: undefined, failures: 0, notBeforeMs: 0 }
    this.#entries.set(addr, entry)
    return entry
  }
}
