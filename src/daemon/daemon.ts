import { mkdir, rm } from 'node:fs/promises'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { hostname, networkInterfaces } from 'node:os'
import type { LogMessage, LogsRequest } from '../api/assignment.ts'
import type { AutoscaleReport } from '../api/autoscale.ts'
import type { ContainerCall, ContainerExchange } from '../api/container-call.ts'
import { SwarmctlError, toSwarmctlError, unavailable } from '../api/errors.ts'
import type { ObjectChange } from '../api/object.ts'
import type { InitRequest, JoinRequest, Restored, RestoreRequest } from '../api/swarm.ts'
import type { ClusterUsage } from '../api/usage.ts'
import { requireNoSwarm, requireSwarm } from '../http/membership.ts'
import type { LeaderRoute, NetworkAttachments, NodeStatus, SwarmPort } from '../http/ports.ts'
import { Surface } from '../http/surface.ts'
import { joinCluster } from '../manager/ca/join-cluster.ts'
import type { Control } from '../manager/control/control.ts'
import { makeDirectory } from '../pki/atomic-file.ts'
import type { Credentials } from '../pki/credentials.ts'
import { checkEngine } from '../worker/docker/docker-executor.ts'
import { AddressWatch } from './address-watch.ts'
import { createBackup } from './backup.ts'
import { beginMembership, type Origin } from './beginning.ts'
import { currentRecord } from './current-record.ts'
import type { DaemonDeps } from './daemon-deps.ts'
import { lockData } from './data-lock.ts'
import { Departure } from './departure.ts'
import { Engine } from './engine.ts'
import { forcedStart } from './force-new-cluster.ts'
import { FORWARDED_HEADER } from './forward.ts'
import { hasLogOnDisk } from './manager-recovery.ts'
import type { ManagerRuntime } from './manager-runtime.ts'
import { Member, type MemberStart } from './member.ts'
import { availabilityOf, newCluster } from './new-cluster.ts'
import { joiningAddresses, nodeAddresses } from './node-addresses.ts'
import { finishRemoval, isMember, NodeFile, type NodeRecord, removeNodeFiles } from './node-file.ts'
import { NodeKeys } from './node-keys.ts'
import { nodeStatus } from './node-status.ts'
import type { DaemonOptions } from './options.ts'
import { NO_LEADER } from './raft-proposer.ts'
import {
  credentialsGone,
  JOIN_TIMEOUT,
  LEAVE_LOCKED,
  LEAVE_MANAGER,
  NOT_ALONE,
  NOT_LOCKED,
  NOT_WRITTEN,
} from './refusals.ts'
import { readBackup, restoredAnswer, restoredCredentials, restoredRecord } from './restore.ts'
import { routeToLeader } from './route-to-leader.ts'
import { claimSocket, listenPrivately, openToGroup } from './socket-file.ts'
import { stepDown } from './step-down.ts'
import { waitUntil } from './wait-until.ts'

/** A membership that can't be resumed (port taken, certificate expired) is tried again after this time. */
const RESUME_RETRY_MS = 5_000

/** The one process of a node: the API socket, and the membership in a cluster while there is one. */
export class Daemon implements SwarmPort {
  readonly #deps: DaemonDeps
  readonly #options: DaemonOptions
  readonly #engine: Engine
  readonly #surface: Surface
  #server: Server | undefined
  #unlockData = async (): Promise<void> => {}
  #member: Member | undefined
  /** A membership that can't be resumed for now. */
  #stalled: MemberStart | undefined
  #state: NodeStatus['localNodeState'] = 'inactive'
  #error = ''
  #cancelResume: () => void = () => {}
  readonly #departure: Departure
  readonly #addressWatch: AddressWatch
  /** `init`, `join`, `leave`: one at a time. */
  #isChanging = false

  constructor(deps: DaemonDeps, options: DaemonOptions) {
    this.#deps = deps
    this.#options = options
    this.#engine = new Engine(options.dockerHost, () => deps.clock.nowMs())
    this.#addressWatch = new AddressWatch({
      clock: deps.clock,
      interfaces: networkInterfaces,
      record: () => this.#member?.record,
      onMoved: () => void this.#restart(),
    })
    const isInactive = () => this.#state === 'inactive'
    this.#departure = new Departure({ ...deps, engine: this.#engine, isInactive }, options)
    this.#surface = new Surface({
      port: this,
      engine: this.#engine,
      clock: deps.clock,
      log: deps.log,
    })
  }

  /** Opens the API socket and resumes the node's membership, if there is one. */
  async start(): Promise<void> {
    const { dataDir, runDir, socket } = this.#options
    await makeDirectory(dataDir, 0o700)
    await mkdir(runDir, { recursive: true, mode: 0o711 })
    await claimSocket(socket)
    this.#unlockData = await lockData(dataDir)
    await finishRemoval(dataDir).catch(({ message }: Error) =>
      this.#deps.log.error({ error: message }, 'files of a swarm that was left stay for now'),
    )
    // Who asks from the first moment on must not take this node for one without a swarm, and make it join another.
    if (await isMember(dataDir)) this.#state = 'pending'
    const server = this.#surface.createServer()
    await listenPrivately(server, socket)
    this.#server = server
    await openToGroup(socket)
    this.#deps.log.info({ socket }, 'API socket open')
    await this.#departure.start()
    this.#addressWatch.start()
    await this.#resume()
  }

  /** Stops serving; containers, rules and routes stay as they are. */
  async stop(): Promise<void> {
    this.#cancelResume()
    this.#departure.stop()
    this.#addressWatch.stop()
    await this.#member?.stop()
    this.#surface.closeHijacked()
    this.#server?.closeAllConnections()
    const server = this.#server
    // Without one the socket is another daemon's, which refused this start.
    if (server) {
      await new Promise((resolve) => server.close(resolve))
      await rm(this.#options.socket, { force: true })
    }
    await this.#unlockData()
  }

  status(): NodeStatus {
    return nodeStatus(this.#state, this.#member, this.#error)
  }

  async route(): Promise<LeaderRoute> {
    return routeToLeader(this.#member?.runtime, this.#member?.record.nodeId)
  }

  async forward(
    request: IncomingMessage,
    response: ServerResponse,
    nodeId: string,
    body?: Buffer,
  ): Promise<void> {
    const member = this.#member
    const leader = member?.runtime?.leader()
    if (request.headers[FORWARDED_HEADER] || !member || leader?.nodeId !== nodeId) {
      throw unavailable(NO_LEADER)
    }
    await member.forwarder.send(leader, request, response, body)
  }

  control(): Control {
    return this.#leading().control
  }

  attachments(): NetworkAttachments | undefined {
    return this.#state === 'active' ? this.#member?.attachments : undefined
  }

  taskLogs(_nodeId: string, request: LogsRequest, signal: AbortSignal): AsyncIterable<LogMessage> {
    return this.#leading().dispatcher.logs.open(request.taskId, request, signal)
  }

  taskContainer(taskId: string, call: ContainerCall): ContainerExchange {
    return this.#leading().dispatcher.calls.container(taskId, call)
  }

  usage(signal: AbortSignal): Promise<ClusterUsage> {
    return this.#leading().dispatcher.calls.usage(signal)
  }

  autoscaleReport(serviceId: string): AutoscaleReport | undefined {
    return this.#leading().autoscaleReport(serviceId)
  }

  #leading(): ManagerRuntime {
    const runtime = this.#member?.runtime
    if (!runtime) throw unavailable('this node is not a manager any more')
    return runtime
  }

  watch(run: (changes: ObjectChange[]) => void, onOver: () => void): (() => void) | undefined {
    const { runtime } = this.#member ?? {}
    // Until it has a vote a new manager takes over the past, which is no news.
    return runtime?.isVoter ? runtime.watch(run, onOver) : undefined
  }

  init(request: InitRequest): Promise<string> {
    return this.#exclusively(() =>
      request.ForceNewCluster ? this.#forceNewCluster(request) : this.#createCluster(request),
    )
  }

  join(request: JoinRequest): Promise<void> {
    return this.#exclusively(async () => {
      requireNoSwarm(this.status())
      await checkEngine(this.#engine.client)
      const addresses = await joiningAddresses(request, networkInterfaces())
      const credentials = await joinCluster(this.#deps, {
        addrs: request.RemoteAddrs,
        token: request.JoinToken,
        info: {
          availability: availabilityOf(request.Availability),
          addr: addresses.advertiseAddr,
          hostname: hostname(),
          dataPathPort: this.#options.dataPathPort,
        },
      })
      const managers = request.RemoteAddrs.map((addr) => ({ nodeId: '', addr }))
      const { nodeId, clusterId } = credentials
      const { dataPathPort } = this.#options
      const record = { ...addresses, nodeId, clusterId, dataPathPort, managers }
      await this.#begin(record, credentials)
      await waitUntil(this.#deps.clock, () => this.#takesPart(), JOIN_TIMEOUT)
    })
  }

  leave(force: boolean): Promise<void> {
    return this.#exclusively(async () => {
      requireSwarm(this.status())
      const { dataDir } = this.#options
      const member = this.#member
      // Also one that can't resume for now: its log may be the last copy of the swarm's state.
      if (this.#state === 'locked' && !force) throw unavailable(LEAVE_LOCKED)
      const role = member?.role ?? this.#stalled?.credentials.role
      const isManager = role === undefined ? await hasLogOnDisk(dataDir) : role === 'manager'
      if (isManager && !force) throw unavailable(LEAVE_MANAGER)
      if (!force) await this.#departure.requireEngine()
      if (member?.runtime) await stepDown(member.runtime, member.record.nodeId, this.#deps)
      await this.#forget()
    })
  }

  unlock(key: string): Promise<void> {
    return this.#exclusively(async () => {
      if (this.#state !== 'locked') throw new SwarmctlError('ALREADY_EXISTS', NOT_LOCKED)
      const record = await currentRecord(this.#options.dataDir, networkInterfaces(), this.#deps.log)
      const stored = await NodeKeys.open(this.#options.dataDir, key)
      if (!record || stored?.kind !== 'open') throw new SwarmctlError('ALREADY_EXISTS', NOT_LOCKED)
      this.#state = 'pending'
      await this.#resumeAs({ record, credentials: stored.credentials, keys: stored.keys })
      if (this.#error !== '') throw unavailable(this.#error)
    })
  }

  async backup(
    passphrase: string,
  ): Promise<{ clusterId: string; index: number; bytes: AsyncIterable<Uint8Array> }> {
    const runtime = this.#leading()
    const nowMs = this.#deps.clock.nowMs()
    return createBackup(runtime, { ...(this.#member as Member).record, passphrase, nowMs })
  }

  restore(
    request: RestoreRequest,
    passphrase: string,
    bytes: AsyncIterable<Uint8Array>,
  ): Promise<Restored> {
    return this.#exclusively(async () => {
      requireNoSwarm(this.status())
      await checkEngine(this.#engine.client)
      const addresses = nodeAddresses(request, networkInterfaces())
      const backup = await readBackup(bytes, passphrase)
      const credentials = await restoredCredentials(backup, this.#deps.clock)
      await this.#begin(restoredRecord(backup, addresses), credentials, backup)
      return restoredAnswer(backup)
    })
  }

  async #createCluster(request: InitRequest): Promise<string> {
    // Here again: it may have come into one since its route looked, and would lose all that it has of it.
    requireNoSwarm(this.status())
    await checkEngine(this.#engine.client)
    const addresses = nodeAddresses(request, networkInterfaces())
    const created = await newCluster(request, {
      clock: this.#deps.clock,
      addr: addresses.advertiseAddr,
      dataPathPort: this.#options.dataPathPort,
    })
    const { credentials, cluster, node } = created
    const self = { nodeId: credentials.nodeId, addr: addresses.advertiseAddr }
    const record = { ...addresses, nodeId: node.ID, clusterId: cluster.ID, managers: [self] }
    await this.#begin({ ...record, hasLog: true }, credentials, { cluster, node })
    return node.ID
  }

  /** What this manager has becomes the cluster; the other managers are forgotten. */
  async #forceNewCluster(request: InitRequest): Promise<string> {
    const node = { state: this.#state, member: this.#member, stalled: this.#stalled }
    const start = forcedStart(node, request, networkInterfaces())
    await this.#member?.stop()
    this.#member = undefined
    this.#state = 'pending'
    this.#stalled = start
    try {
      await new NodeFile(this.#options.dataDir).store(start.record)
    } catch (error) {
      // A full disk: it goes on as what it was.
      this.#onStalled(error)
      throw error
    }
    await this.#resumeAs(start)
    if (this.#error !== '') throw unavailable(this.#error)
    await this.#untilLeading(NOT_ALONE)
    return start.record.nodeId
  }

  async #resume(): Promise<void> {
    // A leave that is under way has the last word. Without a swarm there is nothing to resume, and nobody's `init` to hold up.
    if (this.#isChanging || this.#state === 'inactive') return
    this.#isChanging = true
    const { dataDir } = this.#options
    try {
      const record = await currentRecord(dataDir, networkInterfaces(), this.#deps.log)
      if (!record) {
        this.#state = 'inactive'
        return
      }
      const stored = await NodeKeys.open(dataDir)
      // Written before the record and removed after it: it was lost, and what is still there may be the last copy of a swarm.
      if (!stored) throw credentialsGone(dataDir)
      const { credentials } = stored
      // Whoever unlocked it need not do so again because a port was taken or its address changed.
      if (stored.kind === 'locked' && this.#stalled?.keys) {
        return await this.#resumeAs({ ...this.#stalled, record })
      }
      if (stored.kind === 'locked') {
        this.#stalled = { record, credentials, keys: undefined }
        this.#state = 'locked'
        this.#deps.log.info({ node: record.nodeId }, 'this manager is locked: unlock it')
        return
      }
      await this.#resumeAs({ record, credentials, keys: stored.keys })
    } catch (error) {
      this.#onStalled(error)
    } finally {
      this.#isChanging = false
    }
  }

  /** Goes on under the addresses that the machine has now; the containers don't notice. */
  async #restart(): Promise<void> {
    const member = this.#member
    if (this.#isChanging || !member) return
    this.#deps.log.info({}, 'the address of this machine changed: the node begins again')
    this.#isChanging = true
    this.#member = undefined
    this.#stalled = member.start
    this.#state = 'pending'
    await member.stop().finally(() => {
      this.#isChanging = false
    })
    await this.#resume()
  }

  /** Takes part as what was stored; what prevents it for now is told, and tried again. */
  async #resumeAs(start: MemberStart): Promise<void> {
    this.#stalled = start
    try {
      await this.#run(start)
      this.#stalled = undefined
      const { record, credentials } = start
      this.#deps.log.info({ node: record.nodeId, role: credentials.role }, 'node resumed')
    } catch (error) {
      this.#onStalled(error)
    }
  }

  #onStalled(error: unknown): void {
    const { message } = toSwarmctlError(error)
    // Once: it may stay so for long.
    if (this.#state !== 'error' || message !== this.#error) {
      this.#deps.log.error({ error: message }, 'the node can not take part, will try again')
    }
    this.#state = 'error'
    this.#error = message
    this.#cancelResume()
    this.#cancelResume = this.#deps.clock.schedule(RESUME_RETRY_MS, () => void this.#resume())
  }

  /** Becomes a member: of a new cluster with `origin` as its content, or else of one that others lead. */
  async #begin(record: NodeRecord, credentials: Credentials, origin?: Origin): Promise<void> {
    this.#state = 'pending'
    try {
      await beginMembership(
        { record, credentials, ...(origin && { origin }) },
        {
          ...{ dataDir: this.#options.dataDir, clock: this.#deps.clock },
          run: (start) => this.#run(start),
          untilLeading: () => this.#untilLeading(NOT_WRITTEN),
          member: () => this.#member,
        },
      )
    } catch (error) {
      await this.#forget()
      throw error
    }
  }

  #createMember(start: MemberStart): Member {
    const { clock, log, random, onFatal } = this.#deps
    return new Member(
      {
        engine: this.#engine,
        clock,
        log,
        random,
        onFatal,
        onRemoved: () => void this.#onRemoved(),
        onForwarded: (request, response) => void this.#surface.handleForwarded(request, response),
      },
      this.#options,
      start,
    )
  }

  async #run(start: MemberStart): Promise<void> {
    const member = this.#createMember(start)
    this.#member = member
    try {
      await member.open()
    } catch (error) {
      await member.stop().catch(() => {})
      this.#member = undefined
      throw error
    }
    this.#state = 'active'
    this.#error = ''
  }

  #takesPart(): boolean {
    const member = this.#member
    if (!member?.agent.isConnected) return false
    return member.role === 'worker' || member.runtime?.isVoter === true
  }

  #untilLeading(orElse: string): Promise<void> {
    return waitUntil(this.#deps.clock, () => this.#member?.runtime?.isLeader === true, orElse)
  }

  async #onRemoved(): Promise<void> {
    try {
      await this.#exclusively(() => this.#forget())
    } catch (error) {
      this.#deps.log.error({ error: toSwarmctlError(error).message }, 'clean-up incomplete')
    }
  }

  /** Takes away everything of the cluster: containers, devices, files. @throws what stays, after that; or before, as a member still */
  async #forget(): Promise<void> {
    this.#cancelResume()
    const member = this.#member ?? (this.#stalled && this.#createMember(this.#stalled))
    this.#member = undefined
    this.#stalled = undefined
    let whatStays: unknown
    try {
      whatStays = await (member ? this.#departure.leave(member) : this.#departure.remember())
    } catch (error) {
      // Its record is all that knows of its containers: it goes on as a member, which can be told again to leave.
      this.#stalled = member?.start
      this.#onStalled(error)
      throw error
    }
    await this.#removeFiles()
    if (whatStays !== undefined) throw whatStays
  }

  /** In no swarm any more, as soon as the disk says so: a record that can't be taken away makes it a member at the next start. */
  async #removeFiles(): Promise<void> {
    const { dataDir } = this.#options
    this.#error = ''
    try {
      await removeNodeFiles(dataDir)
    } catch (error) {
      if (await isMember(dataDir)) this.#error = toSwarmctlError(error).message
      throw error
    } finally {
      this.#state = this.#error === '' ? 'inactive' : 'error'
      this.#departure.look()
    }
  }

  async #exclusively<T>(run: () => Promise<T>): Promise<T> {
    if (this.#isChanging) throw unavailable('this node is just joining or leaving: try again')
    this.#isChanging = true
    try {
      return await run()
    } finally {
      this.#isChanging = false
    }
  }
}
