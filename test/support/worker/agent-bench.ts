import type { Test } from 'tap'
import type {
  AgentMessage,
  AssignmentsMessage,
  DispatcherMessage,
  SessionRequest,
} from '../../../src/api/assignment.ts'
import type { Clock } from '../../../src/api/clock.ts'
import type { Config } from '../../../src/api/config.ts'
import { SwarmctlError, unavailable } from '../../../src/api/errors.ts'
import type { Log } from '../../../src/api/log.ts'
import type { Secret } from '../../../src/api/secret.ts'
import type { Task, TaskStatus } from '../../../src/api/task.ts'
import { Agent } from '../../../src/worker/agent.ts'
import { MemoryDisk } from '../../../src/worker/agent-disk.ts'
import { Attachments } from '../../../src/worker/attachments.ts'
import { MemoryExecutor } from '../../../src/worker/memory-executor.ts'
import { MemoryFiles } from '../../../src/worker/memory-files.ts'
import type { OverlayPort, TaskWiring } from '../../../src/worker/overlay-port.ts'
import { sampleNetwork, sampleNode, sampleTask } from '../objects.ts'
import { VirtualClock } from '../orchestration/virtual-clock.ts'
import { MemoryContainerNetworks } from './memory-container-networks.ts'
import { CollectedLog, MemoryStream } from './memory-stream.ts'

export const agentTask = (id: string, change: Partial<Task> = {}, isOnOverlay = false): Task =>
  sampleTask(id, 'web', {
    NodeID: 'n1',
    Status: { Timestamp: '', State: 'assigned', Message: '' },
    Swarmctl: { ...sampleTask('x', 'web').Swarmctl, DrainLimit: 30e9 },
    ...(isOnOverlay
      ? {
          NetworksAttachments: [
            { Network: sampleNetwork('net1', 'net1'), Addresses: ['10.1.1.2/16'] },
          ],
        }
      : {}),
    ...change,
  })

/** A data plane that tells what was asked of it; drains end when the test says so. */
export class RecordedOverlay implements OverlayPort {
  readonly calls: string[] = []
  readonly applied: number[] = []
  failApply = false
  /** As a node whose tables lack the network. */
  unknownNetwork = false
  readonly drains = new Map<string, () => void>()
  #taken = 0
  /** Resolve waits: set while the tables can't be programmed. */
  stuck: Promise<void> | undefined
  take(message: { version: number }): void {
    this.#taken = message.version
  }
  async held(): Promise<void> {
    const version = this.#taken
    await this.stuck
    if (this.failApply) throw new Error('nft says no')
    this.applied.push(version)
  }
  async setSelf({ index }: { index: number }): Promise<void> {
    this.calls.push(`self ${index}`)
  }
  async attach(task: Task): Promise<TaskWiring> {
    if (this.unknownNetwork) throw new SwarmctlError('UNAVAILABLE', 'no such network yet')
    this.calls.push(`attach ${task.ID}`)
    return {
      networks: [{ dockerNetwork: 'swarmctl-1', ipv4Address: '10.1.1.2', aliases: [] }],
      dns: [],
      dnsSearch: [],
      dnsOptions: [],
    }
  }
  answerFor(taskId: string): void {
    this.calls.push(`answer for ${taskId}`)
  }
  async detach(taskId: string): Promise<void> {
    this.calls.push(`detach ${taskId}`)
  }
  drain(task: Task, pid: number, limitMs: number, signal: AbortSignal): Promise<void> {
    this.calls.push(`drain ${task.ID} ${pid > 0} ${limitMs}`)
    return new Promise((resolve) => {
      this.drains.set(task.ID, resolve)
      signal.addEventListener('abort', () => resolve())
    })
  }
  /** Resolve waits: set while what was started does not listen yet. */
  silent: Promise<void> | undefined
  async listening(
    task: Task,
    _pid: number,
    { ports }: { ports: readonly number[] },
    signal: AbortSignal,
  ): Promise<void> {
    this.calls.push(`listening ${task.ID} ${ports}`)
    const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve))
    if (this.silent) await Promise.race([this.silent, aborted])
  }
  dropEndpoint(taskId: string): void {
    this.calls.push(`drop ${taskId}`)
  }
  async close(): Promise<void> {}
  async destroy(): Promise<void> {
    this.calls.push('destroy')
  }
}

/** Of a node where nobody runs a container by hand. */
export const noAttachments = (
  deps: { clock: Clock; log: Log },
  containers = new MemoryContainerNetworks(),
): Attachments =>
  new Attachments({
    ...deps,
    containers,
    overlay: new RecordedOverlay(),
    attach: async () => {
      throw unavailable('no manager')
    },
    newId: () => 'new',
  })

/** A manager's side of sessions, as the test plays it. */
export class FakeManager {
  readonly sessions: { request: SessionRequest; stream: MemoryStream; said: AgentMessage[] }[] = []
  /** What it answers first; `leader` registers. */
  answer: 'leader' | 'refuse' | 'removed' | 'silent' | DispatcherMessage = 'leader'
  #sequence = 0

  open(request: SessionRequest): MemoryStream {
    const [ours, theirs] = MemoryStream.pair()
    const session = { request, stream: ours, said: [] as AgentMessage[] }
    this.sessions.push(session)
    const read = async (): Promise<void> => {
      for await (const message of ours.messages()) session.said.push(message as AgentMessage)
    }
    read().catch(() => {})
    if (this.answer === 'leader') {
      this.#sequence = 0
      void ours.send({
        kind: 'session',
        sessionId: 's',
        heartbeatPeriodMs: 1000,
        role: 'worker',
        index: 5,
        managers: [],
        asOf: 0,
        rootCACert: '',
      })
    } else if (typeof this.answer === 'object') {
      void ours.send(this.answer).then(() => ours.end())
    }
    return theirs
  }

  get session() {
    return this.sessions.at(-1)!
  }

  send(message: DispatcherMessage): void {
    void this.session.stream.send(message)
  }

  assign(
    complete: boolean,
    change: { tasks?: Task[]; removeTasks?: string[]; secrets?: Secret[]; configs?: Config[] },
  ): void {
    this.#sequence += 1
    const message: AssignmentsMessage = {
      kind: 'assignments',
      complete,
      sequence: this.#sequence,
      tasks: { put: change.tasks ?? [], remove: change.removeTasks ?? [] },
      secrets: { put: change.secrets ?? [], remove: [] },
      configs: { put: change.configs ?? [], remove: [] },
      networks: { put: [], remove: [] },
    }
    this.send(message)
  }

  skip(): void {
    this.#sequence += 1
  }

  /** The newest status that any session was told of a task. */
  status(taskId: string): TaskStatus | undefined {
    return this.history(taskId).at(-1)
  }

  history(taskId: string): TaskStatus[] {
    return this.sessions.flatMap(({ said }) =>
      said.flatMap((message) =>
        message.kind === 'task-status'
          ? message.updates.filter((u) => u.taskId === taskId).map((u) => u.status)
          : [],
      ),
    )
  }
}

/** A node with an Engine in memory; `restart` is another run of its daemon on the same disk, Engine and tmpfs. */
export class AgentBench {
  readonly clock = new VirtualClock()
  readonly log = new CollectedLog()
  readonly executor = new MemoryExecutor()
  /** Containers that somebody runs by hand. */
  readonly alone = new MemoryContainerNetworks()
  readonly disk = new MemoryDisk()
  readonly managers = new Map<string, FakeManager>([['m1:2377', new FakeManager()]])
  /** Addresses in the order of connection attempts. */
  readonly dialled: string[] = []
  readonly cluster: unknown[] = []
  readonly trustRoots: string[] = []
  renewals = 0
  removed = 0
  readonly refusals: string[] = []
  files = new MemoryFiles()
  overlay = new RecordedOverlay()
  agent!: Agent

  get manager(): FakeManager {
    return this.managers.get('m1:2377')!
  }

  async start(): Promise<void> {
    const facts = sampleNode('n1', 1).Description
    this.agent = new Agent(
      {
        executor: this.executor,
        overlay: this.overlay,
        attachments: noAttachments({ clock: this.clock, log: this.log }, this.alone),
        files: this.files,
        disk: this.disk,
        clock: this.clock,
        log: this.log,
        random: () => 0.5,
        connect: async ({ addr }) => {
          this.dialled.push(addr)
          const manager = this.managers.get(addr)
          if (manager === undefined || manager.answer === 'refuse') throw new Error('refused')
          if (manager.answer === 'removed')
            throw new SwarmctlError('NODE_REMOVED', 'it was removed')
          return {
            openStream: (_method, body) => manager.open(body as SessionRequest),
            close: () => {},
          }
        },
        localFacts: () => facts.Swarmctl,
        onCluster: (news) => this.cluster.push(news),
        onTrustRoot: (rootCACert) => this.trustRoots.push(rootCACert),
        onRenewCertificate: () => {
          this.renewals += 1
        },
        onRemoved: () => {
          this.removed += 1
        },
        onRefused: (reason) => this.refusals.push(reason),
      },
      {
        nodeId: 'n1',
        addr: '192.168.0.1:2377',
        known: {
          managers: [...this.managers.keys()].map((addr) => ({ nodeId: addr, addr })),
          asOf: 0,
        },
        fallbackFacts: facts,
      },
    )
    await this.agent.start()
    await this.settle()
  }

  async settle(): Promise<void> {
    for (let i = 0; i < 10; i++) await this.clock.advance(0)
  }

  async restart(): Promise<void> {
    await this.agent.stop()
    this.overlay = new RecordedOverlay()
    await this.start()
  }
}

/** One whose agent runs until the test ends. */
export const startBench = async (t: Test): Promise<AgentBench> => {
  const bench = new AgentBench()
  await bench.start()
  t.teardown(() => bench.agent.stop())
  return bench
}
