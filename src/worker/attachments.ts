import { isDeepStrictEqual } from 'node:util'
import type {
  AttachedEndpoint,
  AttachmentWish,
  GrantedAttachment,
} from '../api/attachment-grant.ts'
import type { AttachmentRecord } from '../api/attachment-record.ts'
import { type Clock, timestamp } from '../api/clock.ts'
import { type ErrorCode, SwarmctlError, toSwarmctlError } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import { type AttachRequest, attachedContainer } from '../api/network-attachment.ts'
import { isNodeLocalName } from '../api/node-local-network.ts'
import { shortIdOf } from '../api/short-id.ts'
import type { Task, TaskStatus } from '../api/task.ts'
import { isTerminal } from '../api/task-state.ts'
import type { AttachedContainer, ContainerNetworks } from './container-networks.ts'
import type { ContainerEvent } from './executor.ts'
import { inAnyCase } from './in-any-case.ts'
import { ATTACH_RETRY_MS } from './limits.ts'
import type { OverlayPort } from './overlay-port.ts'
import { isPassing, type Patience, startPatience } from './patience.ts'
import { withResolver } from './with-resolver.ts'

export interface AttachmentsDeps {
  containers: ContainerNetworks
  overlay: Pick<OverlayPort, 'attach' | 'answerFor' | 'detach'>
  /** Asks the leader. Rejects with its error, or UNAVAILABLE when none answers. */
  attach: (request: AttachRequest) => Promise<Task>
  clock: Clock
  log: Log
  newId: () => string
}

interface Held {
  task: Task
  status: TaskStatus
}

/** The leader's no, which asking again does not change. */
const REFUSED: ReadonlySet<ErrorCode> = new Set([
  'FAILED_PRECONDITION',
  'INVALID_ARGUMENT',
  'NOT_FOUND',
  'PERMISSION_DENIED',
])

/** In moby's words (`daemon/cluster/networks.go`). */
const notAttached = (network: string, thrown: unknown): SwarmctlError => {
  const { code, message } = toSwarmctlError(thrown)
  return new SwarmctlError(code, `Could not attach to network ${network}: ${message}`, {
    cause: thrown,
  })
}

/**
 * The containers on this node that are nobody's tasks and are on networks of the cluster. The Engine says which there are; each that is
 * up holds an attachment at the managers, which gives it back when the container ends, leaves its network or goes.
 */
export class Attachments {
  readonly #deps: AttachmentsDeps
  /** By task id. */
  readonly #held = new Map<string, Held>()
  /** Given back, but the managers have not said yet that they know. */
  readonly #ended = new Map<string, TaskStatus>()
  /** Requests under way that create, connect, disconnect or start a container, by its (provisional) id: what it is meanwhile says nothing. */
  readonly #claiming = new Map<string, number>()
  /** The last work on each container: one thing at a time. */
  readonly #queues = new Map<string, Promise<void>>()
  /** Containers that no manager could be asked about. */
  readonly #waiting = new Set<string>()
  readonly #closing = new AbortController()
  /** What this run made for an attachment, by task id. */
  readonly #granted = new Map<string, GrantedAttachment>()
  #cancelRetry: (() => void) | undefined
  #report: (taskId: string, status: TaskStatus) => void = () => {}

  constructor(deps: AttachmentsDeps) {
    this.#deps = deps
  }

  /** Where statuses of attachments go from now on. */
  reportTo(report: (taskId: string, status: TaskStatus) => void): void {
    this.#report = report
  }

  stop(): void {
    this.#cancelRetry?.()
    this.#cancelRetry = undefined
    this.#waiting.clear()
    this.#closing.abort()
  }

  /** The managers tell an attachment of this node. */
  assign(task: Task): void {
    if (isTerminal(task.Status.State)) return
    const ended = this.#ended.get(task.ID)
    const held = this.#held.get(task.ID)
    const status = ended ?? held?.status ?? task.Status
    if (ended === undefined) this.#held.set(task.ID, { task, status })
    // What they know less of is said again.
    if (!isDeepStrictEqual(status, task.Status)) this.#report(task.ID, status)
    if (held === undefined && ended === undefined) this.#look(attachedContainer(task))
  }

  /** The managers have no such attachment (any more). */
  unassign(taskId: string): void {
    this.#ended.delete(taskId)
    const held = this.#held.get(taskId)
    if (held === undefined) return
    void this.#forget(taskId)
    this.#look(attachedContainer(held.task))
  }

  /** What a complete assignment does not name is none. */
  keepOnly(taskIds: ReadonlySet<string>): void {
    for (const id of [...this.#held.keys(), ...this.#ended.keys()])
      if (!taskIds.has(id)) this.unassign(id)
  }

  /** The Engine answers (again): what is there, and what is not there any more. */
  async takeStock(): Promise<void> {
    try {
      const containers = await this.#deps.containers.list()
      const ids = new Set(containers.map(({ id }) => id))
      for (const { task } of this.#held.values()) ids.add(attachedContainer(task))
      for (const id of ids) this.#look(id)
    } catch (error) {
      // The monitor takes stock again when the Engine is back.
      this.#deps.log.warn({ error: toSwarmctlError(error).message }, 'attachments: no stock taken')
    }
  }

  onEvent({
    kind,
    containerId,
  }: Extract<ContainerEvent, { kind: 'changed' | 'disconnected' }>): void {
    // Every container that ends leaves its networks, tasks' as well.
    if (kind === 'changed' || this.#heldBy(containerId).length > 0) this.#look(containerId)
  }

  /**
   * What was begun with `claim`, `hold` or `prepareStart` came to its end, well or not. Resolves when the container's attachments are as it is; what
   * could not be done for now is done later.
   */
  async refresh(containerId: string): Promise<void> {
    this.#endClaim(containerId)
    await this.#keepUp(containerId)
  }

  /** A container's networks are about to be changed, until `refresh`. */
  hold(containerId: string): void {
    this.#claiming.set(containerId, (this.#claiming.get(containerId) ?? 0) + 1)
  }

  #endClaim(containerId: string): void {
    const left = (this.#claiming.get(containerId) ?? 0) - 1
    if (left > 0) this.#claiming.set(containerId, left)
    else this.#claiming.delete(containerId)
  }

  async #keepUp(containerId: string): Promise<void> {
    try {
      await this.#inTurn(containerId, () => this.#reconcile(containerId))
    } catch (thrown) {
      if (isPassing(thrown)) return this.#retryLater(containerId)
      const { message } = toSwarmctlError(thrown)
      this.#deps.log.warn({ container: containerId, error: message }, 'attachment not kept')
    }
  }

  /**
   * An address on the network, its bridge on this node, until `bind` or `refresh`. @throws SwarmctlError with the leader's words;
   * UNAVAILABLE or TIMEOUT when nothing could be had within ATTACH_WAIT_MAX_MS
   */
  async claim(wish: AttachmentWish): Promise<GrantedAttachment> {
    const { id, name } = wish.container ?? { id: this.#deps.newId(), name: '' }
    this.hold(id)
    try {
      const patiently = this.#patience()
      const task = await patiently(() =>
        this.#ask({ id, name }, wish, { isFixed: wish.address !== '' }),
      )
      return await this.#wireOrRelease(task, recordOf(task, wish), patiently)
    } catch (error) {
      this.#endClaim(id)
      // The leader may have granted it all the same, and have told so while it was being claimed.
      this.#look(id)
      throw notAttached(wish.network, error)
    }
  }

  /** The container of a claim exists now. @throws as `claim`, after the claim was given back */
  async bind(granted: GrantedAttachment, container: { id: string; name: string }): Promise<void> {
    const { taskId, endpoint } = granted
    const provisional = this.#containerOf(taskId)
    const { networkId, aliases } = endpoint.record
    const wish = { network: networkId, address: '', aliases }
    try {
      await this.#patience()(() => this.#ask(container, wish, { isFixed: false, taskId }))
    } catch (error) {
      await this.release(taskId)
      throw error
    } finally {
      if (provisional !== undefined) this.#endClaim(provisional)
    }
  }

  /** Gives a claim back. */
  async release(taskId: string): Promise<void> {
    const held = this.#held.get(taskId)
    if (held === undefined) return
    // A provisional id is one claim's; that of a container that exists ends by `refresh`.
    if (held.task.Swarmctl.ContainerName === '') this.#endClaim(attachedContainer(held.task))
    const status = this.#status('complete', 'finished', attachedContainer(held.task))
    this.#ended.set(taskId, status)
    await this.#forget(taskId)
    this.#report(taskId, status)
  }

  /**
   * Before a container is started: unless it runs it gets its addresses (back), until `refresh`. Its endpoints, if it has any.
   * @throws as `claim`
   */
  async prepareStart(reference: string): Promise<AttachedContainer | undefined> {
    const found = await this.#deps.containers.inspect(reference)
    if (found === undefined || found.endpoints.length === 0) return undefined
    this.hold(found.id)
    try {
      await this.#inTurn(found.id, async () => {
        const container = await this.#deps.containers.inspect(found.id)
        if (container === undefined || container.phase === 'up') return
        // What was made for it before may be gone: somebody removed the bridge while nothing ran on it.
        for (const { task } of this.#heldBy(container.id)) this.#granted.delete(task.ID)
        const patiently = this.#patience()
        for (const endpoint of container.endpoints)
          await this.#prepare(container, endpoint, patiently)
      })
    } catch (error) {
      await this.refresh(found.id)
      throw error
    }
    return found
  }

  async #prepare(
    container: AttachedContainer,
    endpoint: AttachedEndpoint,
    patiently: Patience,
  ): Promise<void> {
    try {
      await patiently(() => this.#secure(container, endpoint, patiently))
    } catch (error) {
      throw notAttached(endpoint.record.networkName, error)
    }
  }

  /** The node leaves: its containers leave the cluster's networks. */
  async disconnectAll(): Promise<void> {
    const { containers } = this.#deps
    const steps = (await containers.list()).flatMap(({ id, endpoints }) =>
      endpoints.map((one) => () => containers.disconnect(id, one.dockerNetwork)),
    )
    await inAnyCase(...steps)
  }

  #look(containerId: string): void {
    // What was under way when this run ended, or came after it, is the next one's.
    if (this.#closing.signal.aborted) return
    void this.#keepUp(containerId)
  }

  #retryLater(containerId: string): void {
    if (this.#closing.signal.aborted) return
    this.#waiting.add(containerId)
    this.#cancelRetry ??= this.#deps.clock.schedule(ATTACH_RETRY_MS, () => {
      this.#cancelRetry = undefined
      const waiting = [...this.#waiting]
      this.#waiting.clear()
      for (const id of waiting) this.#look(id)
    })
  }

  #inTurn(containerId: string, run: () => Promise<void>): Promise<void> {
    const before = this.#queues.get(containerId) ?? Promise.resolve()
    const turn = before.then(run, run)
    this.#queues.set(containerId, turn)
    const done = (): void => {
      if (this.#queues.get(containerId) === turn) this.#queues.delete(containerId)
    }
    turn.then(done, done)
    return turn
  }

  async #reconcile(containerId: string): Promise<void> {
    if (this.#claiming.has(containerId)) return
    const container = await this.#deps.containers.inspect(containerId)
    // Begun meanwhile: what it was granted is not in the answer yet. Its end looks again.
    if (this.#claiming.has(containerId)) return
    for (const { task } of this.#heldBy(containerId)) {
      const networkId = networkOf(task)?.ID
      const isThere = container?.endpoints.some(({ record }) => record.networkId === networkId)
      if (!isThere || container?.phase === 'ended') await this.release(task.ID)
    }
    if (container?.phase !== 'up') return
    for (const endpoint of container.endpoints) {
      try {
        const task = await this.#secure(container, endpoint, this.#patience())
        this.#answerFor(container, task)
        this.#tell(task, this.#status('running', 'started', containerId))
      } catch (error) {
        if (!REFUSED.has(toSwarmctlError(error).code)) throw error
        await this.#expel(container, endpoint, error as Error)
      }
    }
  }

  /** One that was created elsewhere was not given an overlay's servers. */
  #answerFor({ endpoints, pid }: AttachedContainer, task: Task): void {
    const hasOurs = endpoints.some(
      ({ dockerNetwork, record }) =>
        record.resolver !== undefined && !isNodeLocalName(dockerNetwork),
    )
    if (!hasOurs && pid > 0) this.#deps.overlay.answerFor(task.ID, pid)
  }

  /** It was started behind our back with an address that is somebody else's by now, or on a network that is no more. */
  async #expel(
    container: AttachedContainer,
    { dockerNetwork, record }: AttachedEndpoint,
    reason: Error,
  ): Promise<void> {
    this.#deps.log.warn(
      { container: container.name, network: record.networkName, error: reason.message },
      'disconnecting a container that may not be on its network',
    )
    await this.#deps.containers.disconnect(container.id, dockerNetwork)
  }

  /** The endpoint's attachment, with the container's present name; the endpoint gets another address when its own is taken. */
  async #secure(
    container: AttachedContainer,
    endpoint: AttachedEndpoint,
    patiently: Patience,
  ): Promise<Task> {
    const { address, dockerNetwork, record } = endpoint
    const { containers } = this.#deps
    const wish = { network: record.networkId, address, aliases: record.aliases }
    const how = { isFixed: record.isFixed, isRunning: container.phase === 'up' }
    const task = this.#asIs(container, endpoint) ?? (await this.#ask(container, wish, how))
    const granted = await this.#wire(task, record, patiently)
    const isSame =
      isPlace(task, endpoint) &&
      granted.endpoint.dockerNetwork === dockerNetwork &&
      (container.phase === 'up' || (await containers.isCurrent(container.id, dockerNetwork)))
    if (!isSame) {
      this.#deps.log.info(
        { container: container.name, network: record.networkName, before: address },
        'the container gets another place on its network',
      )
      await containers.disconnect(container.id, dockerNetwork)
      await containers.connect(container.id, granted.endpoint)
    }
    return task
  }

  /** The attachment that is held, when it is just what the endpoint is. */
  #asIs({ id, name }: AttachedContainer, endpoint: AttachedEndpoint): Task | undefined {
    const { record } = endpoint
    return this.#heldBy(id).find(
      ({ task }) =>
        networkOf(task)?.ID === record.networkId &&
        isPlace(task, endpoint) &&
        task.Swarmctl.ContainerName === name &&
        isDeepStrictEqual(task.NetworksAttachments?.[0]?.Aliases, namesOf(id, record.aliases)),
    )?.task
  }

  async #ask(
    container: { id: string; name: string },
    wish: { network: string; address: string; aliases: readonly string[] },
    {
      isFixed,
      isRunning = false,
      taskId,
    }: { isFixed: boolean; isRunning?: boolean; taskId?: string },
  ): Promise<Task> {
    const task = await this.#deps.attach({
      containerId: container.id,
      name: container.name,
      network: wish.network,
      address: wish.address,
      isFixed,
      isRunning,
      aliases: container.name === '' ? [...wish.aliases] : namesOf(container.id, wish.aliases),
      ...(taskId !== undefined && { taskId }),
    })
    const status = this.#held.get(task.ID)?.status ?? task.Status
    this.#held.set(task.ID, { task, status })
    return task
  }

  async #wireOrRelease(
    task: Task,
    record: AttachmentRecord,
    patiently: Patience,
  ): Promise<GrantedAttachment> {
    try {
      return await this.#wire(task, record, patiently)
    } catch (error) {
      await this.release(task.ID)
      throw error
    }
  }

  /** The network's bridge is on this node from then on. */
  async #wire(
    task: Task,
    record: AttachmentRecord,
    patiently: Patience,
  ): Promise<GrantedAttachment> {
    const known = this.#granted.get(task.ID)
    if (known !== undefined) return known
    const wiring = await patiently(() =>
      this.#deps.overlay.attach(withResolver(task, record.resolver)),
    )
    const network = wiring.networks[0]
    if (network === undefined) {
      throw new SwarmctlError('FAILED_PRECONDITION', `network ${record.networkName} is no overlay`)
    }
    const { dockerNetwork, ipv4Address: address, ipv6Address } = network
    const endpoint = { dockerNetwork, address, ...(ipv6Address && { ipv6Address }), record }
    const granted = { taskId: task.ID, endpoint, dns: wiring.dns, dnsSearch: wiring.dnsSearch }
    this.#granted.set(task.ID, granted)
    return granted
  }

  /** Of one request: all of its steps together wait no longer than ATTACH_WAIT_MAX_MS. */
  #patience(): Patience {
    return startPatience(this.#deps.clock, this.#closing.signal)
  }

  #containerOf(taskId: string): string | undefined {
    const held = this.#held.get(taskId)
    return held && attachedContainer(held.task)
  }

  #heldBy(containerId: string): Held[] {
    return [...this.#held.values()].filter(({ task }) => attachedContainer(task) === containerId)
  }

  #tell(task: Task, status: TaskStatus): void {
    const held = this.#held.get(task.ID)
    if (held === undefined || held.status.State === status.State) return
    this.#held.set(task.ID, { ...held, status })
    this.#report(task.ID, status)
  }

  #status(State: TaskStatus['State'], Message: string, ContainerID: string): TaskStatus {
    return {
      Timestamp: timestamp(this.#deps.clock),
      State,
      Message,
      ContainerStatus: { ContainerID, PID: 0, ExitCode: 0 },
    }
  }

  async #forget(taskId: string): Promise<void> {
    this.#held.delete(taskId)
    this.#granted.delete(taskId)
    await this.#deps.overlay.detach(taskId)
  }
}

const networkOf = (task: Task) => task.NetworksAttachments?.[0]?.Network

const addressOf = (task: Task): string =>
  (task.NetworksAttachments?.[0]?.Addresses[0] ?? '').replace(/\/\d+$/, '')

/** Whether the endpoint has the attachment's address; on a node-local network the Engine gives them. */
const isPlace = (task: Task, { address, dockerNetwork }: AttachedEndpoint): boolean =>
  isNodeLocalName(dockerNetwork) || addressOf(task) === address

/** What others may call the container on a network, besides its name. */
const namesOf = (containerId: string, aliases: readonly string[]): string[] => [
  ...new Set([...aliases, shortIdOf(containerId)]),
]

const recordOf = (
  task: Task,
  { address, aliases, resolver }: AttachmentWish,
): AttachmentRecord => ({
  networkId: networkOf(task)?.ID ?? '',
  networkName: networkOf(task)?.Spec.Name ?? '',
  aliases: [...aliases],
  isFixed: address !== '',
  ...(resolver && { resolver }),
})
