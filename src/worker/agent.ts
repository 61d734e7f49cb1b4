import { isDeepStrictEqual } from 'node:util'
import type {
  AssignmentsMessage,
  DispatcherMessage,
  LogsRequest,
  ManagerAddr,
  ManagersList,
} from '../api/assignment.ts'
import type { Clock } from '../api/clock.ts'
import type { Config } from '../api/config.ts'
import { notFound, toSwarmctlError } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import { isAttachment } from '../api/network-attachment.ts'
import type { NodeDescription } from '../api/node.ts'
import type { Secret } from '../api/secret.ts'
import type { Task, TaskStatus } from '../api/task.ts'
import { type AgentDisk, recordable } from './agent-disk.ts'
import type { Attachments } from './attachments.ts'
import { EngineAbsence } from './engine-absence.ts'
import { EngineMonitor } from './engine-monitor.ts'
import {
  type ContainerEvent,
  containerAfter,
  type EngineFacts,
  type Executor,
  type ObservedContainer,
} from './executor.ts'
import { inAnyCase } from './in-any-case.ts'
import { ENGINE_FIRST_WAIT_MS, engineConcurrency, OVERLAY_RESYNC_MS } from './limits.ts'
import { type LocalFacts, nodeDescription } from './node-description.ts'
import { OverlayConfirmations } from './overlay-confirmations.ts'
import type { OverlayPort } from './overlay-port.ts'
import { ProcessWatch, type RunningContainer } from './process-watch.ts'
import { type ConnectManager, type LiveSession, SessionClient } from './session-client.ts'
import { isUrgent, StatusOutbox } from './status-outbox.ts'
import { dependencyState, type FileStore } from './task-files.ts'
import { TaskRunner } from './task-runner.ts'
import { TaskSteps } from './task-steps.ts'

const NANO_CPUS = 1e9

export interface AgentDeps {
  executor: Executor
  overlay: OverlayPort
  /** Containers that are no tasks, on networks of the cluster. */
  attachments: Attachments
  files: FileStore
  disk: AgentDisk
  connect: ConnectManager
  clock: Clock
  log: Log
  /** In [0, 1). */
  random: () => number
  /** The daemon's part of the description; asked anew at each use. */
  localFacts: () => LocalFacts
  /** The cluster's wish for this node's role, and its managers: with each session and each change. */
  onCluster: (news: { role: 'worker' | 'manager' } & ManagersList) => void
  /** Whom the cluster wants its nodes to trust (PEM): with each session and each change. */
  onTrustRoot: (rootCACert: string) => void
  /** The cluster wants this node to have a new certificate. */
  onRenewCertificate: () => void
  /** The node was removed from the cluster: the daemon is to call `removeAll` and forget the cluster. */
  onRemoved: () => void
  /** A manager refuses the node: it was removed while it was away. Again at each further try. */
  onRefused: (reason: string) => void
}

export interface AgentOptions {
  nodeId: string
  /** host:port of the node's own cluster port. */
  addr: string
  /** Where to look for the cluster; what the disk remembers is tried as well. */
  known: ManagersList
  /** Stands for the Engine's facts until it answers for the first time. */
  fallbackFacts: EngineFacts
}

/**
 * A node's agent: holds what the node is told to run, and runs it whether or not a manager answers (design §7). Its parts: the session
 * with the leader, the watch over the Engine, and a runner per task.
 */
export class Agent {
  readonly #deps: AgentDeps
  readonly #options: AgentOptions
  readonly #runners = new Map<string, TaskRunner>()
  readonly #secrets = new Map<string, Secret>()
  readonly #configs = new Map<string, Config>()
  readonly #dependencies = { secrets: this.#secrets, configs: this.#configs }
  readonly #steps: TaskSteps
  readonly #outbox: StatusOutbox
  readonly #overlayConfirmations: OverlayConfirmations
  readonly #engine: EngineMonitor
  readonly #processes: ProcessWatch
  readonly #absence: EngineAbsence
  #session: SessionClient | undefined
  #live: LiveSession | undefined
  #sequence = 0
  #facts: EngineFacts
  #engineError = 'the Docker Engine has not answered yet'
  #described: NodeDescription | undefined
  #index = 0
  #tick = 0
  /** What the Engine said last, for tasks that become known later. Undefined while it does not answer. */
  #stock: { containers: Map<string, ObservedContainer>; asOf: number } | undefined
  /** Without a complete assignment in this run nobody knows which containers are nobody's. */
  #assigned = false
  #cancelResync: (() => void) | undefined
  /** Set until the first session begins. */
  #cancelFirst: (() => void) | undefined

  constructor(deps: AgentDeps, options: AgentOptions) {
    this.#deps = deps
    this.#options = options
    this.#facts = options.fallbackFacts
    const cpus = options.fallbackFacts.Resources.NanoCPUs / NANO_CPUS
    this.#steps = new TaskSteps(
      {
        executor: deps.executor,
        overlay: deps.overlay,
        files: deps.files,
        clock: deps.clock,
        log: deps.log,
        dependencies: this.#dependencies,
        node: () => this.#facts,
      },
      { engineConcurrency: engineConcurrency(cpus) },
    )
    this.#outbox = new StatusOutbox({ clock: deps.clock })
    deps.attachments.reportTo((taskId, status) => this.#outbox.add(taskId, status, true))
    this.#overlayConfirmations = new OverlayConfirmations({
      overlay: deps.overlay,
      onHeld: (version) => this.#onOverlayHeld(version),
      onFailed: (error, version) => this.#onOverlayFailed(error, version),
    })
    this.#absence = new EngineAbsence({
      clock: deps.clock,
      onAbsent: () => {
        for (const runner of this.#runners.values()) runner.onEngineAbsent(this.#engineError)
      },
    })
    this.#processes = new ProcessWatch({
      executor: deps.executor,
      clock: deps.clock,
      log: deps.log,
      running: () => this.runningContainers(),
      onGone: ({ taskId, id }) => this.#runners.get(taskId)?.onProcessGone(id),
    })
    this.#engine = new EngineMonitor(
      {
        executor: deps.executor,
        clock: deps.clock,
        log: deps.log,
        random: deps.random,
        tick: () => ++this.#tick,
        onUp: (facts, containers, asOf) => this.#onEngineUp(facts, containers, asOf),
        onFacts: (facts) => this.describe(facts),
        onDown: (reason) => this.#onEngineDown(reason),
        onEvent: (event) => this.#onContainerEvent(event),
      },
      { nodeId: options.nodeId },
    )
  }

  /** The node as it describes itself now. */
  get description(): NodeDescription {
    return nodeDescription(this.#facts, this.#deps.localFacts(), this.#engineError)
  }

  /** Whether it is registered at a leader. */
  get isConnected(): boolean {
    return this.#live !== undefined
  }

  /** Whom it is registered at. */
  get leader(): ManagerAddr | undefined {
    return this.#live?.manager
  }

  /** The managers as this node knows them. */
  get known(): ManagersList {
    return this.#session?.known ?? this.#options.known
  }

  /** A manager told where the managers are: while no session tells it, that is where to look. */
  learn(list: ManagersList): void {
    if (this.isConnected || list.managers.length === 0) return
    this.#session?.learn(list)
    this.#saveNode()
  }

  /** Resumes what the disk remembers and looks for the cluster. */
  async start(): Promise<void> {
    const { clock, connect, disk, files, log, random } = this.#deps
    const { node, tasks } = await disk.load()
    await files.open()
    await files.keepOnly(new Set(tasks.map(({ task }) => task.ID)))
    if (node !== undefined) {
      this.#index = node.index
      this.#setSelf()
    }
    for (const { task, status } of tasks) this.#addRunner(task, status)
    const { known } = this.#options
    const either = [...known.managers, ...(node?.managers ?? [])]
    const managers = [...new Map(either.map((manager) => [manager.addr, manager])).values()]
    this.#session = new SessionClient(
      {
        connect,
        clock,
        log,
        random,
        hello: () => {
          this.#described = this.description
          return {
            nodeId: this.#options.nodeId,
            description: this.#described,
            addr: this.#options.addr,
          }
        },
        onMessage: (message, session) => this.#onMessage(message, session),
        onEnd: () => this.#onSessionEnd(),
        onRemoved: (reason) => this.#deps.onRefused(reason),
      },
      { known: { managers, asOf: Math.max(known.asOf, node?.asOf ?? 0) } },
    )
    this.#engine.start()
    // With the Engine's facts the node can be scheduled to at once; without an Engine it registers all the same.
    this.#cancelFirst = clock.schedule(ENGINE_FIRST_WAIT_MS, () => this.#beginSession())
  }

  #beginSession(): void {
    this.#cancelFirst?.()
    if (this.#cancelFirst !== undefined) this.#session?.start()
    this.#cancelFirst = undefined
  }

  /** The daemon ends; the containers go on. */
  async stop(): Promise<void> {
    this.#steps.close()
    this.#cancelResync?.()
    this.#cancelFirst?.()
    this.#cancelFirst = undefined
    await this.#session?.stop()
    for (const runner of this.#runners.values()) runner.close()
    this.#deps.attachments.stop()
    await this.#engine.stop()
    this.#processes.stop()
    this.#absence.stop()
    await this.#deps.disk.flush()
  }

  /**
   * The node leaves: every container, network device, file and record that it made goes; what can't be taken away must not keep the secrets
   * here. Stops the agent first. @throws SwarmctlError: containers may be left; ENGINE_UNAVAILABLE among others
   */
  async removeAll(): Promise<void> {
    const { attachments, disk, files, overlay } = this.#deps
    await this.stop()
    this.#runners.clear()
    await inAnyCase(
      () => disk.clear(),
      () => this.#steps.removeAll(this.#options.nodeId),
      () => attachments.disconnectAll(),
      () => overlay.destroy(),
      () => files.destroy(),
    )
  }

  /** Handler of the rpc stream `agent.logs`. */
  async serveLogs(
    body: unknown,
    stream: { send(message: unknown): Promise<void> },
    context: { signal: AbortSignal },
  ): Promise<void> {
    const request = body as LogsRequest
    const runner = this.#runners.get(request.taskId)
    if (runner === undefined) throw notFound(`task ${request.taskId} is not on this node`)
    // Followed from before its container runs (the Engine ends a log of one that does not); else there is nothing to read yet.
    const container = request.follow ? await runner.whenStarted(context.signal) : runner.container
    if (container === undefined || container === null) return
    for await (const line of this.#deps.executor.logs(container.id, request, context.signal))
      await stream.send(line)
  }

  /** The description may have changed, e.g. the data plane: tells the leader. */
  describe(facts = this.#facts): void {
    this.#facts = facts
    const description = this.description
    if (this.#live === undefined || isDeepStrictEqual(description, this.#described)) return
    this.#described = description
    void this.#live.send({ kind: 'description', description })
  }

  async #onMessage(
    message: Exclude<DispatcherMessage, { kind: 'redirect' }>,
    session: LiveSession,
  ): Promise<void> {
    switch (message.kind) {
      case 'session':
        this.#live = session
        this.#sequence = 0
        this.#outbox.connect((updates) => void session.send({ kind: 'task-status', updates }))
        this.#index = message.index
        this.#setSelf()
        this.#saveNode()
        // What changed while it registered.
        this.describe()
        this.#deps.onTrustRoot(message.rootCACert)
        return this.#deps.onCluster({ role: message.role, ...this.known })
      case 'trust-root':
        return this.#deps.onTrustRoot(message.rootCACert)
      case 'renew-certificate':
        return this.#deps.onRenewCertificate()
      case 'heartbeat-period':
        // The session client's.
        return
      case 'managers':
        this.#saveNode()
        return this.#deps.onCluster({ role: message.role, ...this.known })
      case 'assignments':
        return this.#onAssignments(message, session)
      case 'overlay':
        return this.#overlayConfirmations.push(message)
      case 'out-of-rotation':
        for (const taskId of message.taskIds) this.#runners.get(taskId)?.onOutOfRotation()
        return
      case 'removed':
        this.#deps.log.warn({}, 'this node was removed from the cluster')
        return this.#deps.onRemoved()
      default:
        message satisfies never
    }
  }

  /** A host that can't be programmed (yet) takes part all the same: its other tasks run, and it can be seen and told to leave. */
  #setSelf(): void {
    const self = { nodeId: this.#options.nodeId, index: this.#index }
    this.#deps.overlay.setSelf(self).catch((error: unknown) => {
      this.#deps.log.warn({ error: toSwarmctlError(error).message }, 'overlay: own number not set')
    })
  }

  #saveNode(): void {
    this.#deps.disk.saveNode({ version: 1, index: this.#index, ...this.known })
  }

  #onSessionEnd(): void {
    this.#live = undefined
    this.#outbox.disconnect()
    this.#overlayConfirmations.clear()
  }

  #onAssignments(message: AssignmentsMessage, session: LiveSession): void {
    if (message.complete) this.#dropUnmentioned(message)
    else if (message.sequence !== this.#sequence + 1)
      return session.restart(
        `assignments ${this.#sequence + 1} to ${message.sequence - 1} are missing`,
      )
    this.#sequence = message.sequence
    for (const secret of message.secrets.put) this.#secrets.set(secret.ID, secret)
    for (const config of message.configs.put) this.#configs.set(config.ID, config)
    for (const task of message.tasks.put) this.#assign(task)
    for (const id of message.tasks.remove) {
      this.#runners.get(id)?.unassign()
      this.#deps.attachments.unassign(id)
    }
    for (const id of message.secrets.remove) this.#secrets.delete(id)
    for (const id of message.configs.remove) this.#configs.delete(id)
    if (message.secrets.put.length > 0 || message.configs.put.length > 0)
      for (const runner of this.#runners.values()) runner.wake()
  }

  /** A complete assignment replaces everything: what it does not name is not this node's any more. */
  #dropUnmentioned({ tasks, secrets, configs }: AssignmentsMessage): void {
    const named = new Set(tasks.put.map(({ ID }) => ID))
    for (const [id, runner] of this.#runners) if (!named.has(id)) runner.unassign()
    this.#deps.attachments.keepOnly(named)
    const needed = new Set([...secrets.put, ...configs.put].map(({ ID }) => ID))
    for (const id of this.#secrets.keys()) if (!needed.has(id)) this.#secrets.delete(id)
    for (const id of this.#configs.keys()) if (!needed.has(id)) this.#configs.delete(id)
    this.#assigned = true
    for (const container of this.#stock?.containers.values() ?? [])
      if (!named.has(container.taskId) && !this.#runners.has(container.taskId))
        this.#removeStray(container)
  }

  #assign(task: Task): void {
    if (isAttachment(task)) return this.#deps.attachments.assign(task)
    const known = this.#runners.get(task.ID)
    const runner = known ?? this.#addRunner(task, task.Status)
    runner.assign(task)
    this.#deps.disk.saveTask({ version: 1, task: recordable(task), status: runner.status })
    // The manager says what it knows; what the node knows better is said again.
    if (!isDeepStrictEqual(runner.status, task.Status))
      this.#outbox.add(task.ID, runner.status, isUrgent(runner.status.State, task.DesiredState))
  }

  #addRunner(task: Task, status: TaskStatus): TaskRunner {
    const { clock, disk, log } = this.#deps
    const runner = new TaskRunner(
      {
        steps: this.#steps,
        clock,
        log,
        dependencies: (wanted) => dependencyState(wanted, this.#dependencies, this.#assigned),
        peers: () => this.#runners.values(),
        onStatus: (changed, newStatus) => {
          disk.saveTask({ version: 1, task: recordable(changed), status: newStatus })
          this.#outbox.add(changed.ID, newStatus, isUrgent(newStatus.State, changed.DesiredState))
        },
        onEngineTrouble: (error) => this.#engine.restart(error),
        onForgotten: (taskId) => {
          this.#runners.delete(taskId)
          disk.removeTask(taskId)
        },
        tick: () => ++this.#tick,
      },
      { task, status },
    )
    this.#runners.set(task.ID, runner)
    if (this.#stock !== undefined)
      runner.observe(this.#stock.containers.get(task.ID) ?? null, this.#stock.asOf)
    return runner
  }

  #onEngineUp(facts: EngineFacts, containers: ObservedContainer[], asOf: number): void {
    this.#processes.stop()
    this.#absence.stop()
    this.#engineError = ''
    this.describe(facts)
    this.#stock = { containers: new Map(containers.map((c) => [c.taskId, c])), asOf }
    for (const [taskId, runner] of this.#runners)
      runner.observe(this.#stock.containers.get(taskId) ?? null, asOf)
    if (this.#assigned)
      for (const container of containers)
        if (!this.#runners.has(container.taskId)) this.#removeStray(container)
    void this.#deps.attachments.takeStock()
    this.#beginSession()
  }

  #onEngineDown(reason: string): void {
    this.#stock = undefined
    this.#engineError = reason
    this.#processes.start()
    this.#absence.start()
    this.describe()
    this.#beginSession()
  }

  /** The container of a task of this node, running or not; undefined when there is none. */
  containerOf(taskId: string): string | undefined {
    const runner = this.#runners.get(taskId)
    return runner?.runningContainer?.id ?? runner?.container?.id
  }

  /** The containers that run, of this node's tasks. */
  runningContainers(): RunningContainer[] {
    return [...this.#runners].flatMap(([taskId, runner]) => {
      const running = runner.runningContainer
      return running === undefined ? [] : [{ taskId, id: running.id, pid: running.pid }]
    })
  }

  #onContainerEvent(event: ContainerEvent): void {
    if (event.kind === 'changed' || event.kind === 'disconnected')
      return this.#deps.attachments.onEvent(event)
    const stocked = this.#stock?.containers.get(event.taskId)
    // The stock must not tell a later runner what is not so any more.
    const after = stocked?.id === event.containerId ? containerAfter(stocked, event) : stocked
    if (after) this.#stock?.containers.set(event.taskId, after)
    else this.#stock?.containers.delete(event.taskId)
    this.#runners.get(event.taskId)?.onEvent(event)
  }

  /** A container of this node whose task is not assigned: left over from before a crash. */
  #removeStray(container: ObservedContainer): void {
    this.#deps.log.info({ task: container.taskId }, 'removing a container without a task')
    this.#steps.remove(container.id).catch((error: Error) => {
      // Taking stock again finds it again.
      this.#deps.log.warn({ task: container.taskId, error: error.message }, 'could not remove it')
    })
  }

  async #onOverlayHeld(version: number): Promise<void> {
    // Tasks may wait for their networks to be known.
    for (const runner of this.#runners.values()) runner.wake()
    await this.#live?.send({ kind: 'overlay-applied', version })
  }

  /** Not confirmed; complete tables come with a new session. */
  #onOverlayFailed(error: unknown, version: number): void {
    this.#deps.log.error(
      { error: toSwarmctlError(error).message, version },
      'could not apply the forwarding table',
    )
    this.#cancelResync?.()
    this.#cancelResync = this.#deps.clock.schedule(OVERLAY_RESYNC_MS, () =>
      this.#live?.restart('the forwarding table is to be sent again'),
    )
  }
}
