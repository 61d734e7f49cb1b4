import type {
  AgentMessage,
  DispatcherMessage,
  ManagerAddr,
  ManagersList,
  SessionRequest,
} from '../../api/assignment.ts'
import type { Clock } from '../../api/clock.ts'
import { HEARTBEAT_PERIOD_MS, HEARTBEATS_MISSED_MAX } from '../../api/defaults.ts'
import { notFound, SwarmctlError, toSwarmctlError, unavailable } from '../../api/errors.ts'
import type { NewId } from '../../api/id.ts'
import type { Log } from '../../api/log.ts'
import type { Node } from '../../api/node.ts'
import type { ObjectChange } from '../../api/object.ts'
import type { Cluster } from '../../api/swarm.ts'
import { trustRootOf } from '../ca/cluster-ca.ts'
import type { Store } from '../store/store.ts'
import { AgentCalls } from './agent-calls.ts'
import { readAgentMessage, readSessionRequest } from './agent-input.ts'
import { assignmentSet } from './assignment-set.ts'
import {
  COALESCE_MS,
  HEARTBEAT_PERIOD_MS_MIN,
  REGISTER_GRACE_MS,
  ROTATION_WAIT_MAX_MS,
  STALL_MS,
  SWEEP_MS,
} from './limits.ts'
import { Liveness } from './liveness.ts'
import { managersList } from './managers-list.ts'
import { diffOverlayView } from './overlay-change.ts'
import { OverlayTracker } from './overlay-tracker.ts'
import { emptyOverlayView } from './overlay-view.ts'
import { nodeAddress, type SessionContext, type SessionStream } from './ports.ts'
import { describeNode, isMisnoted, markDown, registerNode } from './registration.ts'
import { leavesRotation, Rotation } from './rotation.ts'
import { Session } from './session.ts'
import { StatusWriter } from './status-writer.ts'
import { TaskLogs } from './task-logs.ts'

export interface DispatcherDeps {
  store: Pick<Store, 'view' | 'watch' | 'update' | 'batch' | 'readBarrier'>
  clock: Clock
  log: Log
  newId: NewId
  /** The leader as this manager knows it, for agents that ask the wrong one. */
  leader: () => ManagerAddr | undefined
}

/**
 * The agents' counterpart. It exists on every manager, where it redirects; between `start` and `stop` this manager leads and it serves:
 * node liveness, assignments, forwarding tables, statuses, logs.
 */
export class Dispatcher {
  readonly logs: TaskLogs
  /** What managers ask of agents: a task's container, what a node uses. */
  readonly calls: AgentCalls
  readonly #deps: DispatcherDeps
  readonly #sessions = new Map<string, Session>()
  readonly #tracker = new OverlayTracker()
  readonly #rotation = new Rotation({ waitMaxMs: ROTATION_WAIT_MAX_MS })
  readonly #statuses: StatusWriter
  #liveness = new Liveness({ stallMs: STALL_MS })
  /** Nodes that are up and have no session: not yet at this new leader, or not any more. Their tables may still send to who is to go. */
  readonly #awaited = new Set<string>()
  /** Undefined while this manager does not lead. */
  #stopWatching: (() => void) | undefined
  #cancelSweep: () => void = () => {}
  #cancelFlush: (() => void) | undefined
  #flushedMs = 0
  #overlayVersion = 0
  #managersKnown = ''
  #heartbeatMs = HEARTBEAT_PERIOD_MS
  /** The longer period of before: agents keep to it until they have heard of the new one. */
  #formerHeartbeat = { periodMs: 0, untilMs: 0 }

  constructor(deps: DispatcherDeps) {
    this.#deps = deps
    this.#statuses = new StatusWriter({
      store: deps.store,
      log: deps.log,
      onLost: (nodeIds) => this.#onStatusesLost(nodeIds),
    })
    this.calls = new AgentCalls({
      store: deps.store,
      connections: () => [...this.#sessions].map(([id, { connection }]) => [id, connection]),
      connectionOf: (nodeId) => this.#sessions.get(nodeId)?.connection,
    })
    this.logs = new TaskLogs({
      store: deps.store,
      connectionOf: (nodeId) => this.#sessions.get(nodeId)?.connection,
    })
  }

  /** Ids of the nodes with a session. */
  get connectedNodes(): string[] {
    return [...this.#sessions.keys()]
  }

  /** This manager leads from now on: its store is caught up. */
  start(): void {
    if (this.#stopWatching !== undefined) return
    const { store, clock } = this.#deps
    const view = store.view()
    this.#overlayVersion = 1
    this.#tracker.reset(view)
    this.#liveness = new Liveness({ stallMs: STALL_MS })
    for (const node of view.list('node')) {
      this.#expect(node)
      if (node.Status.State === 'ready') this.#awaited.add(node.ID)
    }
    this.#managersKnown = JSON.stringify(managersList(view).managers)
    this.#heartbeatMs = heartbeatPeriodMs(view.cluster())
    this.#formerHeartbeat = { periodMs: 0, untilMs: 0 }
    this.#stopWatching = store.watch((changes) => this.#onChanges(changes))
    this.#scheduleSweep()
    this.#flushedMs = clock.nowMs() - COALESCE_MS
  }

  /** This manager does not lead any more: the agents are told and go elsewhere. */
  stop(): void {
    this.#stopWatching?.()
    this.#stopWatching = undefined
    this.#cancelSweep()
    this.#cancelFlush?.()
    this.#cancelFlush = undefined
    this.#rotation.clear()
    this.#awaited.clear()
    this.#statuses.clear()
    const sessions = [...this.#sessions.values()]
    this.#sessions.clear()
    for (const session of sessions) session.close(this.#redirect())
  }

  /** Tells nodes to get new certificates now. */
  askToRenew(nodeIds: readonly string[]): void {
    for (const nodeId of nodeIds)
      this.#sessions.get(nodeId)?.queueFirst({ kind: 'renew-certificate' })
    this.#scheduleFlush()
  }

  /** Handler of the rpc stream `agent.session`; returns when the session has ended. */
  async serveSession(body: unknown, stream: SessionStream, context: SessionContext): Promise<void> {
    const request = readSessionRequest(body)
    if (context.peer === null || context.peer.nodeId !== request.nodeId)
      throw new SwarmctlError('PERMISSION_DENIED', 'a node can register only itself')
    if (this.#stopWatching === undefined) return endWith(stream, this.#redirect())
    const node = this.#deps.store.view().get('node', request.nodeId)
    if (node === undefined) {
      const removed = this.#deps.store.view().cluster()?.Swarmctl.RemovedNodes ?? []
      if (removed.includes(request.nodeId)) return endWith(stream, { kind: 'removed' })
      throw notFound(`node ${request.nodeId} is not part of this cluster`)
    }
    const session = this.#open(node, stream, context)
    try {
      await this.#register(request, context)
      void this.#confirmManagers(session)
      session.isBusy = false
      for await (const message of stream.messages()) {
        if (this.#sessions.get(request.nodeId) !== session) break
        session.isBusy = true
        await this.#onMessage(session, readAgentMessage(message))
        session.isBusy = false
      }
    } catch (error) {
      this.#deps.log.info(
        { node: request.nodeId, error: toSwarmctlError(error).message },
        'agent session ended',
      )
      session.abort(error as Error)
    } finally {
      if (this.#sessions.get(request.nodeId) === session) {
        this.#sessions.delete(request.nodeId)
        // Its daemon may just restart while its kernel goes on sending: awaited until it is back or counts as down.
        this.#awaited.add(request.nodeId)
      }
      session.close()
    }
  }

  #open(node: Node, stream: SessionStream, context: SessionContext): Session {
    const session = new Session(
      {
        stream,
        connection: context.connection,
        source: {
          assignments: (nodeId) => assignmentSet(this.#deps.store.view(), nodeId),
          overlay: () => ({
            change: diffOverlayView(emptyOverlayView(), this.#tracker.current),
            version: this.#overlayVersion,
          }),
        },
      },
      { nodeId: node.ID },
    )
    const old = this.#sessions.get(node.ID)
    this.#sessions.set(node.ID, session)
    this.#awaited.delete(node.ID)
    old?.abort(unavailable(`node ${node.ID} has registered again`))
    this.#heard(node.ID)
    const view = this.#deps.store.view()
    const ca = view.cluster()?.Swarmctl
    session.queueFirst({
      kind: 'session',
      sessionId: this.#deps.newId(),
      heartbeatPeriodMs: this.#heartbeatMs,
      role: node.Spec.Role,
      index: node.Swarmctl.Index,
      ...managersList(view),
      rootCACert: ca === undefined ? '' : trustRootOf(ca),
    })
    if (isMisnoted(node, context.peer?.role)) session.queueFirst({ kind: 'renew-certificate' })
    // A task that is to go may have been told so in a session before.
    for (const task of view.tasksByNode(node.ID)) if (leavesRotation(task)) this.#leave(task)
    session.flush()
    this.#scheduleFlush()
    return session
  }

  async #register(request: SessionRequest, context: SessionContext): Promise<void> {
    const address = nodeAddress(request, context.remoteAddress)
    await this.#deps.store.update((tx) => registerNode(tx, request, address))
  }

  /** A manager may only believe that it leads, and the list in its first message be an old one: this one comes after a majority's word. */
  async #confirmManagers(session: Session): Promise<void> {
    const { store } = this.#deps
    try {
      await store.readBarrier()
    } catch {
      // It does not lead any more: its sessions end.
      return
    }
    if (this.#sessions.get(session.nodeId) !== session) return
    this.#queueManagers(session.nodeId, managersList(store.view()), true)
    this.#scheduleFlush()
  }

  async #onMessage(session: Session, message: AgentMessage): Promise<void> {
    this.#heard(session.nodeId)
    switch (message.kind) {
      case 'heartbeat':
        return
      case 'task-status':
        return this.#statuses.report(session.nodeId, message.updates)
      case 'overlay-applied':
        session.acknowledged = Math.max(session.acknowledged, message.version)
        return this.#releaseRotation()
      case 'description':
        await this.#deps.store.update((tx) => describeNode(tx, session.nodeId, message.description))
        return
      default:
        message satisfies never
    }
  }

  /** Notes what changed; messages are made from the newest state when they are sent. */
  #onChanges(changes: ObjectChange[]): void {
    const view = this.#deps.store.view()
    for (const change of changes) {
      this.#tracker.note(change, view)
      switch (change.kind) {
        case 'task':
          this.#onTask(change)
          break
        case 'node':
          this.#onNode(change)
          break
        case 'secret':
        case 'config':
        case 'network':
          // Rare: each session compares by identity what its tasks use.
          for (const session of this.#sessions.values()) session.markAssignments()
          break
        case 'cluster':
          this.#onCluster(change)
          break
        case 'service':
          break
        default:
          change satisfies never
      }
    }
    this.#scheduleFlush()
  }

  #onTask({ object, old }: Extract<ObjectChange, { kind: 'task' }>): void {
    for (const nodeId of new Set([object?.NodeID, old?.NodeID]))
      if (nodeId !== undefined && nodeId !== '') this.#sessions.get(nodeId)?.markAssignments()
    const id = (object ?? old).ID
    if (object === undefined || !leavesRotation(object)) this.#rotation.remove(id)
    else if (old === undefined || !leavesRotation(old)) this.#leave(object)
  }

  #onNode({ object, old }: Extract<ObjectChange, { kind: 'node' }>): void {
    const id = (object ?? old).ID
    const session = this.#sessions.get(id)
    if (object === undefined) {
      this.#liveness.forget(id)
      this.#awaited.delete(id)
      this.#sessions.delete(id)
      session?.close({ kind: 'removed' })
    } else if (session === undefined) this.#expect(object)
    const list = managersList(this.#deps.store.view())
    const known = JSON.stringify(list.managers)
    if (known !== this.#managersKnown) {
      this.#managersKnown = known
      for (const nodeId of this.#sessions.keys()) this.#queueManagers(nodeId, list)
    } else if (object !== undefined && object.Spec.Role !== old?.Spec.Role)
      this.#queueManagers(id, list)
  }

  #onCluster({ object, old }: Extract<ObjectChange, { kind: 'cluster' }>): void {
    if (object === undefined) return
    const [ca, before] = [object.Swarmctl, old?.Swarmctl]
    const isTrustSame =
      ca.RootCACert === before?.RootCACert &&
      ca.RootRotation?.CACert === before.RootRotation?.CACert
    if (!isTrustSame) this.#queueAll({ kind: 'trust-root', rootCACert: trustRootOf(ca) })
    const [periodMs, formerMs] = [heartbeatPeriodMs(object), this.#heartbeatMs]
    if (periodMs === formerMs) return
    this.#heartbeatMs = periodMs
    const untilMs = this.#deps.clock.nowMs() + formerMs * HEARTBEATS_MISSED_MAX
    this.#formerHeartbeat = { periodMs: formerMs, untilMs }
    this.#queueAll({ kind: 'heartbeat-period', periodMs })
    // The next heartbeat may come later than the last one promised.
    for (const nodeId of this.#sessions.keys()) this.#heard(nodeId)
  }

  #queueAll(message: DispatcherMessage): void {
    for (const session of this.#sessions.values()) session.queueFirst(message)
  }

  #queueManagers(nodeId: string, list: ManagersList, isPresent = false): void {
    const role = this.#deps.store.view().get('node', nodeId)?.Spec.Role
    if (role === undefined) return
    this.#sessions.get(nodeId)?.queueFirst({ kind: 'managers', ...list, role, isPresent })
  }

  #leave(task: { ID: string; NodeID: string }): void {
    this.#rotation.add(task.ID, task.NodeID, this.#deps.clock.nowMs())
  }

  /** The first change goes out in this turn of the loop; those right after it wait for COALESCE_MS and share messages. */
  #scheduleFlush(): void {
    if (this.#cancelFlush !== undefined) return
    const { clock } = this.#deps
    // Below 0: the clock was set back. Nothing waits for it to come here again.
    const sinceMs = Math.max(0, clock.nowMs() - this.#flushedMs)
    this.#cancelFlush = clock.schedule(Math.max(0, COALESCE_MS - sinceMs), () => {
      this.#cancelFlush = undefined
      this.#flushedMs = clock.nowMs()
      this.#flush()
    })
  }

  #flush(): void {
    const change = this.#tracker.take(this.#deps.store.view())
    if (change !== undefined) {
      this.#overlayVersion += 1
      for (const session of this.#sessions.values())
        session.queueOverlay(change, this.#overlayVersion)
    }
    this.#rotation.sent(this.#overlayVersion)
    for (const session of this.#sessions.values()) session.flush()
    this.#releaseRotation()
  }

  #releaseRotation(): void {
    if (this.#rotation.size === 0) return
    let acknowledged = this.#awaited.size > 0 ? 0 : Number.POSITIVE_INFINITY
    for (const session of this.#sessions.values())
      acknowledged = Math.min(acknowledged, session.acknowledged)
    const released = this.#rotation.release(acknowledged, this.#deps.clock.nowMs())
    for (const [nodeId, taskIds] of released) {
      const session = this.#sessions.get(nodeId)
      session?.queueOutOfRotation(taskIds)
      session?.flush()
    }
  }

  #scheduleSweep(): void {
    this.#cancelSweep = this.#deps.clock.schedule(SWEEP_MS, () => {
      this.#scheduleSweep()
      const silent = this.#liveness
        .sweep(this.#deps.clock.nowMs())
        .filter((nodeId) => !this.#isUnread(nodeId))
      if (silent.length > 0) void this.#markDown(silent)
      this.#releaseRotation()
    })
  }

  /** While a slow disk writes what a node said, its heartbeats are not read: that silence is this manager's. */
  #isUnread(nodeId: string): boolean {
    if (this.#sessions.get(nodeId)?.isBusy !== true) return false
    this.#heard(nodeId)
    return true
  }

  async #markDown(nodeIds: string[]): Promise<void> {
    const { store, log, clock } = this.#deps
    for (const nodeId of nodeIds) {
      log.warn({ node: nodeId }, 'node is down: no heartbeat')
      this.#awaited.delete(nodeId)
      const session = this.#sessions.get(nodeId)
      this.#sessions.delete(nodeId)
      session?.abort(unavailable(`node ${nodeId} has missed ${HEARTBEATS_MISSED_MAX} heartbeats`))
    }
    try {
      await store.batch(
        nodeIds.map((nodeId) => (tx) => {
          // It may have registered while the transaction waited.
          if (!this.#sessions.has(nodeId)) markDown(tx, nodeId)
        }),
      )
    } catch (error) {
      log.warn({ error: toSwarmctlError(error).message }, 'could not mark nodes down: trying again')
      for (const nodeId of nodeIds)
        if (!this.#sessions.has(nodeId)) this.#liveness.expect(nodeId, clock.nowMs(), 0)
    }
  }

  #expect(node: Node): void {
    if (node.Status.State !== 'down' && !this.#liveness.has(node.ID))
      this.#liveness.expect(node.ID, this.#deps.clock.nowMs(), REGISTER_GRACE_MS)
  }

  #heard(nodeId: string): void {
    const nowMs = this.#deps.clock.nowMs()
    const { periodMs, untilMs } = this.#formerHeartbeat
    const slowestMs = nowMs < untilMs ? Math.max(periodMs, this.#heartbeatMs) : this.#heartbeatMs
    this.#liveness.heard(nodeId, nowMs, slowestMs * HEARTBEATS_MISSED_MAX)
  }

  #onStatusesLost(nodeIds: Set<string>): void {
    for (const nodeId of nodeIds)
      this.#sessions.get(nodeId)?.abort(unavailable('task statuses could not be written'))
  }

  #redirect(): DispatcherMessage {
    const leader = this.#deps.leader()
    const list = managersList(this.#deps.store.view())
    return { kind: 'redirect', ...list, ...(leader === undefined ? {} : { leader }) }
  }
}

const heartbeatPeriodMs = (cluster: Cluster | undefined): number => {
  const setNs = cluster?.Spec.Dispatcher?.HeartbeatPeriod ?? 0
  return setNs > 0 ? Math.max(HEARTBEAT_PERIOD_MS_MIN, setNs / 1e6) : HEARTBEAT_PERIOD_MS
}

/** Says one thing to an agent that gets no session. */
const endWith = async (stream: SessionStream, message: DispatcherMessage): Promise<void> => {
  await stream.send(message)
  stream.end()
}
