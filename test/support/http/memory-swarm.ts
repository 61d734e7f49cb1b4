/** A node's membership over a real store and control API, with a log of one manager in memory. */
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { LogMessage, LogsRequest } from '../../../src/api/assignment.ts'
import type { AutoscaleReport } from '../../../src/api/autoscale.ts'
import type { ContainerCall, ContainerExchange } from '../../../src/api/container-call.ts'
import { SwarmctlError } from '../../../src/api/errors.ts'
import type { ObjectChange } from '../../../src/api/object.ts'
import type { InitRequest, JoinRequest, RestoreRequest } from '../../../src/api/swarm.ts'
import type { ClusterUsage } from '../../../src/api/usage.ts'
import { systemClock } from '../../../src/daemon/system-clock.ts'
import { isManager } from '../../../src/http/membership.ts'
import type {
  LeaderRoute,
  NetworkAttachments,
  NodeStatus,
  SwarmPort,
} from '../../../src/http/ports.ts'
import { Control } from '../../../src/manager/control/control.ts'
import { MemoryProposer } from '../../../src/manager/store/memory-proposer.ts'
import { StoreState } from '../../../src/manager/store/state.ts'
import { Store } from '../../../src/manager/store/store.ts'
import { sampleCluster, sampleNetwork, sampleNode } from '../objects.ts'

export const NODE_ID = 'node1'.padEnd(25, '0')

export class MemorySwarm implements SwarmPort {
  readonly clock = systemClock
  readonly store: Store
  /** What this node says of itself. */
  readonly state: NodeStatus = {
    localNodeState: 'active',
    nodeId: NODE_ID,
    nodeAddr: '192.168.0.1',
    role: 'manager',
    error: '',
    remoteManagers: [{ NodeID: NODE_ID, Addr: '192.168.0.1:2377' }],
  }
  leader: LeaderRoute = { kind: 'self' }
  /** Where requests for another leader go. */
  leaderSocket = ''
  readonly calls: unknown[] = []
  /** Lines of tasks by id. An Error in their place breaks the log. */
  readonly logs = new Map<string, (LogMessage | Error)[]>()
  /** What logs were asked for. */
  readonly logRequests: LogsRequest[] = []
  /** Stands for the agents of tasks' nodes. */
  container: (taskId: string, call: ContainerCall) => ContainerExchange = (taskId) => {
    throw new SwarmctlError('UNAVAILABLE', `task ${taskId} has no container on this node (now)`)
  }
  /** What nodes say that they use, one after the other; the last one stays. */
  readonly usages: ClusterUsage[] = []
  /** Stands for the node's agent. */
  networkAttachments: NetworkAttachments | undefined
  readonly autoscaleReports = new Map<string, AutoscaleReport>()
  readonly #control: Control
  readonly #watching = new Map<() => void, () => void>()

  constructor() {
    const state = new StoreState()
    this.store = new Store({ state, proposer: new MemoryProposer(state), clock: this.clock })
    let count = 0
    this.#control = new Control({
      store: this.store,
      clock: this.clock,
      newId: () => `id${String(++count).padStart(23, '0')}`,
      newJoinToken: () => `SWMTKN-1-new-${++count}`,
      newUnlockKey: () => `SWMKEY-1-${++count}`,
    })
  }

  /** A cluster with this node, another one, and the networks that every cluster has. */
  async seed(): Promise<void> {
    const ingress = sampleNetwork('ingress1'.padEnd(25, '0'), 'ingress')
    const host = sampleNetwork('host1'.padEnd(25, '0'), 'host')
    await this.store.update((tx) => {
      tx.put('cluster', sampleCluster())
      const spec = { Labels: {}, Availability: 'active' as const }
      tx.put(
        'node',
        sampleNode(NODE_ID, 1, {
          Spec: { ...spec, Role: 'manager' },
          ManagerStatus: { Leader: true, Reachability: 'reachable', Addr: '192.168.0.1:2377' },
        }),
      )
      tx.put('node', sampleNode('node2'.padEnd(25, '0'), 2))
      tx.put('network', { ...ingress, Spec: { ...ingress.Spec, Ingress: true } })
      tx.put('network', {
        ...host,
        Spec: {
          ...host.Spec,
          Labels: { 'com.docker.swarm.predefined': 'true' },
          DriverConfiguration: { Name: 'host', Options: {} },
        },
      })
    })
  }

  status(): NodeStatus {
    return this.state
  }

  async route(): Promise<LeaderRoute> {
    return this.leader
  }

  forward(
    request: IncomingMessage,
    response: ServerResponse,
    nodeId: string,
    body?: Buffer,
  ): Promise<void> {
    this.calls.push(['forward', nodeId, request.url])
    return new Promise((resolve) => {
      const { method, url: path, headers } = request
      const upstream = httpRequest(
        { socketPath: this.leaderSocket, method, path, headers, agent: false },
        (answer) => {
          response.writeHead(answer.statusCode!, answer.headers)
          answer.pipe(response)
        },
      )
      response.on('close', resolve)
      if (body) upstream.end(body)
      else request.pipe(upstream)
    })
  }

  control(): Control {
    return this.#control
  }

  attachments(): NetworkAttachments | undefined {
    return this.networkAttachments
  }

  async init(request: InitRequest): Promise<string> {
    this.calls.push(['init', request])
    this.state.localNodeState = 'active'
    await this.seed()
    return NODE_ID
  }

  async join(request: JoinRequest): Promise<void> {
    this.calls.push(['join', request])
    this.state.localNodeState = 'active'
    this.state.role = 'worker'
  }

  async leave(force: boolean): Promise<void> {
    this.calls.push(['leave', force])
    this.state.localNodeState = 'inactive'
  }

  async unlock(key: string): Promise<void> {
    if (key !== 'SWMKEY-1-right') {
      throw new SwarmctlError(
        'UNAUTHENTICATED',
        'swarm could not be unlocked: invalid key provided',
      )
    }
    this.state.localNodeState = 'active'
  }

  async backup(passphrase: string) {
    return { clusterId: 'c1', index: 7, bytes: this.#backupBytes(passphrase) }
  }

  async *#backupBytes(passphrase: string): AsyncIterable<Uint8Array> {
    yield Buffer.from(`sealed with ${passphrase}`)
    if (passphrase === 'breaks') throw new Error('the disk is gone')
  }

  async restore(request: RestoreRequest, passphrase: string, bytes: AsyncIterable<Uint8Array>) {
    const parts: Uint8Array[] = []
    for await (const part of bytes) parts.push(part)
    if (Buffer.concat(parts).toString() !== `sealed with ${passphrase}`) {
      throw new SwarmctlError('UNAUTHENTICATED', 'the passphrase is not the one of this backup')
    }
    this.calls.push(['restore', request])
    this.state.localNodeState = 'active'
    const CreatedAt = '2026-01-01T00:00:00.000Z'
    const RemovedManagers = ['m2', 'm3']
    return { NodeID: NODE_ID, ClusterID: 'c1', CreatedAt, Index: 7, RemovedManagers }
  }

  async *taskLogs(
    _nodeId: string,
    request: LogsRequest,
    signal: AbortSignal,
  ): AsyncIterable<LogMessage> {
    const { taskId, follow, stdout, stderr } = request
    this.logRequests.push(request)
    for (const message of this.logs.get(taskId) ?? []) {
      if (message instanceof Error) throw message
      if (message.stream === 'stdout' ? stdout : stderr) yield message
    }
    if (!follow) return
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve()
      else signal.addEventListener('abort', () => resolve())
    })
  }

  taskContainer(taskId: string, call: ContainerCall): ContainerExchange {
    return this.container(taskId, call)
  }

  async usage(): Promise<ClusterUsage> {
    const [first = { Nodes: [] }] = this.usages
    if (this.usages.length > 1) this.usages.shift()
    return first
  }

  autoscaleReport(serviceId: string): AutoscaleReport | undefined {
    return this.autoscaleReports.get(serviceId)
  }

  watch(run: (changes: ObjectChange[]) => void, onOver: () => void): (() => void) | undefined {
    if (!isManager(this.state)) return undefined
    const unwatch = this.store.watch((changes) => run(changes))
    this.#watching.set(unwatch, onOver)
    return () => {
      unwatch()
      this.#watching.delete(unwatch)
    }
  }

  /** The manager's runtime ends, and another one has the state. */
  beginAnew(): void {
    const watching = [...this.#watching]
    this.#watching.clear()
    for (const [unwatch, onOver] of watching) {
      unwatch()
      onOver()
    }
  }
}
