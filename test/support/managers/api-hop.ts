// The way of a request from any manager's socket to the leader's control API, as Daemon, Surface and Forwarder go it.

import { SwarmctlError, unavailable } from '../../../src/api/errors.ts'
import type { ManagerRuntime } from '../../../src/daemon/manager-runtime.ts'
import { routeToLeader } from '../../../src/daemon/route-to-leader.ts'
import type { Control } from '../../../src/manager/control/control.ts'
import type { Endpoint, SimulatedConnection, SimulatedNetwork } from './simulated-network.ts'

/** As the daemon's: how long a request waits for an answer of the leader. */
const ANSWER_LIMIT_MS = 30_000
const METHOD = 'simulated.http'

/** One request of a client. */
export interface ApiRequest {
  /** Names it in traces. */
  readonly name: string
  /** Answer from this manager's state, as `?stale=1`. */
  readonly stale?: boolean
  run(control: Control): Promise<unknown>
}

export interface ApiHopDeps {
  self: Endpoint
  network: SimulatedNetwork
  runtime: () => ManagerRuntime | undefined
}

export class ApiHop {
  readonly #deps: ApiHopDeps
  /** What gives up the requests that wait for another manager. */
  readonly #waiting = new Set<{ nodeId: string; giveUp: () => void }>()
  readonly #connections = new Map<string, SimulatedConnection>()

  constructor(deps: ApiHopDeps) {
    this.#deps = deps
  }

  /** Answers what other managers forward. */
  serve(): void {
    this.#deps.self.handlers.onRequest(METHOD, (body) =>
      this.handle((body as { request: ApiRequest }).request, true),
    )
  }

  /** Who leads is known anew: what waits for another manager would wait for one that may be gone. */
  onLeader(leaderId: string): void {
    for (const { nodeId, giveUp } of this.#waiting) if (nodeId !== leaderId) giveUp()
  }

  /** Answers a request, here or by the leader. */
  async handle(request: ApiRequest, isForwarded = false): Promise<unknown> {
    const runtime = this.#deps.runtime()
    if (!runtime) throw unavailable('this node is not a manager')
    if (request.stale) return request.run(runtime.control)
    const route = await routeToLeader(runtime, this.#deps.self.id)
    if (route.kind === 'self') return request.run(runtime.control)
    const leader = runtime.leader()
    if (route.kind === 'none' || !leader || isForwarded)
      throw new SwarmctlError('UNAVAILABLE', 'no leader', { cause: { code: 'NOT_FORWARDED' } })
    return this.#forward(leader, request)
  }

  async #forward(leader: { nodeId: string; addr: string }, request: ApiRequest): Promise<unknown> {
    const connection = await this.#connect(leader.addr)
    return new Promise((resolve, reject) => {
      const fail = (why: string) => reject(unavailable(`the leader does not answer (${why})`))
      const waiting = { nodeId: leader.nodeId, giveUp: () => fail('it leads no more') }
      this.#waiting.add(waiting)
      const cancel = this.#deps.self.process.enter(ANSWER_LIMIT_MS, () => fail('silent'))
      const done = () => {
        cancel()
        this.#waiting.delete(waiting)
      }
      connection.request(METHOD, { request }, { timeoutMs: ANSWER_LIMIT_MS }).then(
        (value) => {
          done()
          resolve(value)
        },
        (error) => {
          done()
          reject(error)
        },
      )
    })
  }

  async #connect(addr: string): Promise<SimulatedConnection> {
    const open = this.#connections.get(addr)
    if (open?.isOpen) return open
    const connection = await this.#deps.network.connect(this.#deps.self, addr)
    this.#connections.set(addr, connection)
    return connection
  }
}
