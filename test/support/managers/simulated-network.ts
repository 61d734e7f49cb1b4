// Connections between managers on virtual time: RaftLink and the runtime use them as they use the real ones.

import { SwarmctlError, toSwarmctlError, unavailable } from '../../../src/api/errors.ts'
import type {
  CallContext,
  PeerIdentity,
  RequestOptions,
  RpcConnection,
  RpcStream,
} from '../../../src/rpc/connection.ts'
import type { RpcHandlers } from '../../../src/rpc/handlers.ts'
import type { VirtualClock } from '../raft/virtual-clock.ts'
import type { Process } from './process.ts'
import type { Trace } from './trace.ts'

/** As the product's: a silent peer is given up after three missed pings, a request after ten seconds. */
const SILENCE_MS = 3_500
const REQUEST_TIMEOUT_MS = 10_000
const CONNECT_TIMEOUT_MS = 5_000

/** How the network behaves; read at every message, so that a run can end quietly. */
export interface NetworkFaults {
  loss: number
  duplication: number
  /** Mean of an exponential distribution, milliseconds. */
  delayMs: number
  /** Whether messages of a connection arrive in order, as TCP's do. */
  ordered: boolean
}

export interface NetworkDeps {
  clock: VirtualClock
  random: () => number
  trace: Trace
  faults: NetworkFaults
}

/** A node's end of the network. */
export interface Endpoint {
  readonly id: string
  readonly addr: string
  readonly process: Process
  readonly handlers: RpcHandlers
}

export class SimulatedNetwork {
  /** Directed links that lose everything: `from to`. */
  readonly cut = new Set<string>()
  readonly deps: NetworkDeps
  readonly #endpoints = new Map<string, Endpoint>()
  readonly #ends = new Set<SimulatedConnection>()

  constructor(deps: NetworkDeps) {
    this.deps = deps
  }

  /** The process that listens at an address. */
  at(addr: string): Endpoint | undefined {
    const endpoint = this.#endpoints.get(addr)
    return endpoint?.process.alive ? endpoint : undefined
  }

  attach(endpoint: Endpoint): void {
    this.#endpoints.set(endpoint.addr, endpoint)
  }

  detach(process: Process): void {
    for (const [addr, endpoint] of this.#endpoints) {
      if (endpoint.process === process) this.#endpoints.delete(addr)
    }
    for (const end of [...this.#ends]) {
      if (end.self.process !== process) continue
      this.#ends.delete(end)
      // Its kernel says so at once, unless the whole machine went.
      const isReset = this.deps.random() < 0.7 && this.isOpen(end.self.id, end.peer.nodeId)
      end.other.closeIn(isReset ? this.delayMs() : SILENCE_MS, 'the connection was reset')
    }
  }

  /** Whether messages go from one node to another. */
  isOpen(from: string, to: string): boolean {
    return !this.cut.has(`${from} ${to}`)
  }

  delayMs(): number {
    return -Math.log(1 - this.deps.random()) * this.deps.faults.delayMs
  }

  /** Makes links lose everything until `heal`; connections over them end when their silence is noticed. */
  separate(links: Iterable<string>): void {
    for (const link of links) this.cut.add(link)
    this.deps.clock.after(SILENCE_MS, () => {
      for (const end of [...this.#ends]) {
        const { self, peer } = end
        if (!this.isOpen(self.id, peer.nodeId) || !this.isOpen(peer.nodeId, self.id)) {
          end.closeIn(0, 'silent')
        }
      }
    })
  }

  heal(): void {
    this.cut.clear()
  }

  /** Ends one connection that exists, as if something between had forgotten it. */
  reset(): void {
    const ends = [...this.#ends]
    const end = ends[Math.floor(this.deps.random() * ends.length)]
    if (end === undefined) return
    this.deps.trace.note(`reset ${end.self.id} ${end.peer.nodeId}`)
    end.closeIn(0, 'reset')
    end.other.closeIn(0, 'reset')
  }

  /** Makes a connection; rejects as the product's does. */
  connect(self: Endpoint, addr: string): Promise<SimulatedConnection> {
    return new Promise((resolve, reject) => {
      if (!self.process.leaves()) return
      const fail = (delayMs: number, why: string) =>
        self.process.enter(delayMs, () => reject(unavailable(`${addr}: ${why}`)))
      const peer = this.at(addr)
      if (peer === undefined) return void fail(this.delayMs(), 'refused')
      const isReachable = () => this.isOpen(self.id, peer.id) && this.isOpen(peer.id, self.id)
      // Also when the peer dies meanwhile, or a partition begins.
      fail(CONNECT_TIMEOUT_MS, 'timed out')
      if (!isReachable()) return
      peer.process.enter(this.delayMs(), () => {
        if (!isReachable()) return
        self.process.enter(this.delayMs(), () => {
          if (!peer.process.alive) return void fail(0, 'reset')
          const near = new SimulatedConnection(this, self, peer)
          const far = new SimulatedConnection(this, peer, self)
          near.other = far
          far.other = near
          this.#ends.add(near).add(far)
          resolve(near)
        })
      })
    })
  }

  /** Brings a frame to the other end, or loses it. */
  carry(end: SimulatedConnection, what: string, canFail: boolean, deliver: () => void): void {
    const { random, faults, clock, trace } = this.deps
    const { self, peer, other } = end
    const copies = canFail && random() < faults.duplication ? 2 : 1
    for (let copy = 0; copy < copies; copy += 1) {
      if (canFail && random() < faults.loss) continue
      let at = clock.nowMs + this.delayMs()
      if (faults.ordered) at = Math.max(at, end.lastArrivalMs)
      end.lastArrivalMs = Math.max(at, end.lastArrivalMs)
      clock.after(at - clock.nowMs, () => {
        if (!this.isOpen(self.id, peer.nodeId)) return
        other.self.process.enter(0, () => {
          if (!other.isOpen) return
          trace.note(`${self.id} > ${peer.nodeId} ${what}`)
          deliver()
        })
      })
    }
  }

  forget(end: SimulatedConnection): void {
    this.#ends.delete(end)
  }
}

/** One end of a connection. */
export class SimulatedConnection implements RpcConnection {
  readonly self: Endpoint
  readonly peer: PeerIdentity
  readonly remoteAddress: string
  other!: SimulatedConnection
  lastArrivalMs = 0
  readonly #network: SimulatedNetwork
  #isOpen = true
  #onClose: ((reason: string) => void)[] = []

  constructor(network: SimulatedNetwork, self: Endpoint, peer: Endpoint) {
    this.#network = network
    this.self = self
    this.peer = { nodeId: peer.id, role: 'manager', clusterId: 'cluster1' }
    this.remoteAddress = peer.addr
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  notify(method: string, body: unknown): boolean {
    if (!this.#isOpen || !this.self.process.leaves()) return false
    const copy = body instanceof Uint8Array ? body.slice() : structuredClone(body)
    const size = copy instanceof Uint8Array ? copy.length : 0
    this.#network.carry(this, `${method} ${size}`, true, () =>
      this.other.receiveNotify(method, copy),
    )
    return true
  }

  request(method: string, body: unknown, options: RequestOptions = {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (!this.#isOpen) return reject(unavailable('the connection is lost'))
      if (!this.self.process.leaves()) return
      this.onClose((reason) => reject(unavailable(reason)))
      this.self.process.enter(options.timeoutMs ?? REQUEST_TIMEOUT_MS, () =>
        reject(new SwarmctlError('TIMEOUT', `${method} got no answer`)),
      )
      const answer = (run: () => void) => {
        if (this.other.self.process.leaves())
          this.#network.carry(this.other, `${method} answer`, false, run)
      }
      this.#network.carry(this, method, false, () => {
        this.other.serve(method, body).then(
          (value) => answer(() => resolve(value)),
          (error) => answer(() => reject(toSwarmctlError(error))),
        )
      })
    })
  }

  openStream(): RpcStream {
    throw new Error('streams are not simulated')
  }

  onClose(run: (reason: string) => void): void {
    if (this.#isOpen) this.#onClose.push(run)
    else run('closed')
  }

  close(): void {
    if (!this.#isOpen) return
    this.other.closeIn(this.#network.delayMs(), 'closed by the peer')
    this.#closeNow('closed')
  }

  /** The process on this side notices after a while that the connection is over. */
  closeIn(delayMs: number, reason: string): void {
    this.self.process.enter(delayMs, () => this.#closeNow(reason))
  }

  receiveNotify(method: string, body: unknown): void {
    try {
      this.self.handlers.find('notify', method, this.peer).handler(body, this.#context())
    } catch (error) {
      // A method that is not served (yet): the real server drops it as well.
      if (!(error instanceof SwarmctlError)) throw error
    }
  }

  async serve(method: string, body: unknown): Promise<unknown> {
    return this.self.handlers.find('request', method, this.peer).handler(body, this.#context())
  }

  #closeNow(reason: string): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#network.forget(this)
    for (const run of this.#onClose.splice(0)) run(reason)
  }

  #context(): CallContext {
    const { signal } = new AbortController()
    return { peer: this.peer, connection: this, remoteAddress: this.remoteAddress, signal }
  }
}
