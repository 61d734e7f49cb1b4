import { mkdir, rm } from 'node:fs/promises'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { hostname, networkInterfaces } from 'node:os'
import { join } from 'node:path'
import type { LogMessage, LogsRequest } from '../api/assignment.ts'
import type { Clock } from '../api/clock.ts'
import type { ContainerCall, ContainerExchange } from '../api/container-call.ts'
import { invalid, SwarmctlError, toSwarmctlError, unavailable } from '../api/errors.ts'
import { newId } from '../api/id.ts'
import type { Log } from '../api/log.ts'
import type { NodeSpec } from '../api/node.ts'
import type { ObjectChange } from '../api/object.ts'
import type { InitRequest, JoinRequest } from '../api/swarm.ts'
import type { ClusterUsage } from '../api/usage.ts'
import type { LeaderRoute, NodeStatus, SwarmPort } from '../http/ports.ts'
import { Surface } from '../http/surface.ts'
import { createCluster } from '../manager/ca/create-cluster.ts'
import { joinCluster } from '../manager/ca/join-cluster.ts'
import type { Control } from '../manager/control/control.ts'
import type { Credentials } from '../pki/credentials.ts'
import { loadCredentials, storeCredentials } from '../pki/credentials-file.ts'
import { openDataKey } from '../pki/data-key.ts'
import { checkEngine } from '../worker/docker/docker-executor.ts'
import { chooseAddress, chooseDataPathAddress, splitHostPort } from './addresses.ts'
import { Engine } from './engine.ts'
import { FORWARDED_HEADER } from './forward.ts'
import type { ManagerRuntime } from './manager-runtime.ts'
import type { MemberStart } from './member.ts'
import { Member } from './member.ts'
import { loadNodeRecord, type NodeRecord } from './node-file.ts'
import type { DaemonOptions } from './options.ts'
import { NO_LEADER } from './raft-proposer.ts'
import { claimSocket, openToGroup } from './socket-file.ts'

const CLUSTER_PORT = 2377
/** What the command line sends for a flag that was not given. */
const DATA_PATH_PORT_DEFAULT = 4789
/** How long `init` and `join` wait for the node to take part (swarmkit's client limit). */
const JOIN_WAIT_MS = 20_000
const JOIN_POLL_MS = 50
/** How long a request waits for a leader before it is refused. */
const LEADER_WAIT_MS = 5_000
/** A membership that can't be resumed (port taken, certificate expired) is tried again after this time. */
const RESUME_RETRY_MS = 5_000
/** Asking the others to go on without this manager may take this long. */
const STEP_DOWN_MS = 5_000

/** All that a node keeps of its cluster below the data directory. */
const NODE_FILES = [
  'node.json',
  'credentials.json',
  'data-key.json',
  'raft',
  'agent',
  'overlay-view.json',
]

/** Docker's words. */
const JOIN_TIMEOUT =
  'Timeout was reached before node joined. The attempt to join the swarm will continue in the background. Use the "docker info" command to see the current swarm status of your node.'

const LEAVE_MANAGER =
  'You are attempting to leave the swarm on a node that is participating as a manager. Demote it first ("swarmctl node demote"), or leave with --force; when the last manager leaves, the state of the swarm is lost.'

export interface DaemonDeps {
  clock: Clock
  log: Log
  random: () => number
  /** The disk's content is unknown: the process has to end. */
  onFatal: (error: Error) => void
}

/** The one process of a node: the API socket, and the membership in a cluster while there is one. */
export class Daemon implements SwarmPort {
  readonly #deps: DaemonDeps
  readonly #options: DaemonOptions
  readonly #engine: Engine
  readonly #surface: Surface
  #server: Server | undefined
  #member: Member | undefined
  /** A membership that can't be resumed for now. */
  #stalled: MemberStart | undefined
  #stalledRole: Credentials['role'] | undefined
  #state: NodeStatus['localNodeState'] = 'inactive'
  #error = ''
  #cancelResume: () => void = () => {}
  /** `init`, `join`, `leave`: one at a time. */
  #isChanging = false

  constructor(deps: DaemonDeps, options: DaemonOptions) {
    this.#deps = deps
    this.#options = options
    this.#engine = new Engine(options.dockerHost, () => deps.clock.nowMs())
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
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
    await mkdir(runDir, { recursive: true, mode: 0o711 })
    await claimSocket(socket)
    // Who asks from the first moment on must not take this node for one without a swarm, and make it join another.
    if (await isMember(dataDir)) this.#state = 'pending'
    const server = this.#surface.createServer()
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(socket, resolve)
    })
    await openToGroup(socket)
    this.#server = server
    this.#deps.log.info({ socket }, 'API socket open')
    await this.#resume()
  }

  /** Stops serving; containers, rules and routes stay as they are. */
  async stop(): Promise<void> {
    this.#cancelResume()
    await this.#member?.stop()
    this.#server?.closeAllConnections()
    await new Promise((resolve) => (this.#server ? this.#server.close(resolve) : resolve(null)))
    await rm(this.#options.socket, { force: true })
  }

  status(): NodeStatus {
    const member = this.#member
    const record = member?.record
    return {
      localNodeState: this.#state,
      nodeId: record?.nodeId ?? '',
      nodeAddr: record ? splitHostPort(record.advertiseAddr, CLUSTER_PORT).host : '',
      role: member?.role ?? 'worker',
      error: this.#error,
      remoteManagers: (record?.managers ?? []).map(({ nodeId, addr }) => ({
        NodeID: nodeId,
        Addr: addr,
      })),
    }
  }

  async route(): Promise<LeaderRoute> {
    const runtime = this.#member?.runtime
    if (!runtime) return { kind: 'none', message: NO_LEADER }
    await runtime.waitForLeader(LEADER_WAIT_MS)
    if (runtime.isLeader) return { kind: 'self' }
    const leader = runtime.leader()
    return leader && leader.nodeId !== this.#member?.record.nodeId
      ? { kind: 'forward', nodeId: leader.nodeId }
      : { kind: 'none', message: NO_LEADER }
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
    const control = this.#member?.runtime?.control
    if (!control) throw unavailable('this node is not a manager any more')
    return control
  }

  taskLogs(_nodeId: string, request: LogsRequest, signal: AbortSignal): AsyncIterable<LogMessage> {
    const runtime = this.#member?.runtime
    if (!runtime) throw unavailable('this node is not a manager any more')
    return runtime.dispatcher.logs.open(request.taskId, request, signal)
  }

  taskContainer(taskId: string, call: ContainerCall): ContainerExchange {
    return this.#leading().dispatcher.calls.container(taskId, call)
  }

  usage(signal: AbortSignal): Promise<ClusterUsage> {
    return this.#leading().dispatcher.calls.usage(signal)
  }

  #leading(): ManagerRuntime {
    const runtime = this.#member?.runtime
    if (!runtime) throw unavailable('this node is not a manager any more')
    return runtime
  }

  watch(run: (changes: ObjectChange[]) => void): () => void {
    return this.#member?.runtime?.store.watch(run) ?? (() => {})
  }

  init(request: InitRequest): Promise<string> {
    return this.#exclusively(async () => {
      if (request.ForceNewCluster || request.AutoLockManagers) {
        const flag = request.ForceNewCluster ? '--force-new-cluster' : '--autolock'
        throw new SwarmctlError('UNIMPLEMENTED', `${flag} is not supported by this version yet`)
      }
      await checkEngine(this.#engine.client)
      const addresses = this.#addresses(request)
      const created = await createCluster(
        { clock: this.#deps.clock, newId },
        {
          spec: request.Spec,
          addr: addresses.advertiseAddr,
          availability: availabilityOf(request.Availability),
          hostname: hostname(),
          defaultAddrPool: request.DefaultAddrPool,
          subnetSize: request.SubnetSize,
          dataPathPort: this.#dataPathPort(request.DataPathPort),
        },
      )
      const { credentials, cluster, node } = created
      const self = { nodeId: credentials.nodeId, addr: addresses.advertiseAddr }
      const record = { ...addresses, nodeId: node.ID, clusterId: cluster.ID, managers: [self] }
      await this.#begin(record, credentials, { cluster, node })
      return node.ID
    })
  }

  join(request: JoinRequest): Promise<void> {
    return this.#exclusively(async () => {
      await checkEngine(this.#engine.client)
      const addresses = this.#addresses(request)
      const credentials = await joinCluster(this.#deps, {
        addrs: request.RemoteAddrs,
        token: request.JoinToken,
        info: {
          availability: availabilityOf(request.Availability),
          addr: addresses.advertiseAddr,
          hostname: hostname(),
        },
      })
      const managers = request.RemoteAddrs.map((addr) => ({ nodeId: '', addr }))
      const { nodeId, clusterId } = credentials
      await this.#begin({ ...addresses, nodeId, clusterId, managers }, credentials)
      await this.#waitUntil(() => this.#takesPart(), JOIN_TIMEOUT)
    })
  }

  leave(force: boolean): Promise<void> {
    return this.#exclusively(async () => {
      if (this.#state === 'inactive') throw unavailable('This node is not part of a swarm')
      const member = this.#member
      // Also one that can't resume for now: its log may be the last copy of the swarm's state.
      const role = member?.role ?? this.#stalledRole
      if (role === 'manager' && !force) throw unavailable(LEAVE_MANAGER)
      if (member?.runtime) await this.#stepDown(member)
      await this.#forget()
    })
  }

  unlock(): Promise<void> {
    throw new SwarmctlError('FAILED_PRECONDITION', 'swarm is not locked')
  }

  async unlockKey(): Promise<string> {
    return ''
  }

  async #resume(): Promise<void> {
    // A leave is under way: it will have the last word.
    if (this.#isChanging) return
    this.#isChanging = true
    const { dataDir } = this.#options
    try {
      const record = await loadNodeRecord(dataDir)
      const credentials = await loadCredentials(dataDir)
      if (!record || !credentials) {
        this.#state = 'inactive'
        return
      }
      this.#stalledRole = credentials.role
      this.#stalled = { record, credentials, dataKey: await this.#dataKey() }
      await this.#run(this.#stalled)
      this.#stalled = undefined
      this.#stalledRole = undefined
      this.#deps.log.info({ node: record.nodeId, role: credentials.role }, 'node resumed')
    } catch (error) {
      this.#state = 'error'
      this.#error = toSwarmctlError(error).message
      this.#deps.log.error({ error: this.#error }, 'the node can not take part, will try again')
      this.#cancelResume = this.#deps.clock.schedule(RESUME_RETRY_MS, () => void this.#resume())
    } finally {
      this.#isChanging = false
    }
  }

  async #begin(
    record: NodeRecord,
    credentials: Credentials,
    bootstrap?: MemberStart['bootstrap'],
  ): Promise<void> {
    const { dataDir } = this.#options
    this.#state = 'pending'
    try {
      // A join that a crash cut short left a log of another node's, before its record was written.
      await this.#removeFiles()
      const dataKey = await this.#dataKey()
      await this.#run({ record, credentials, dataKey, ...(bootstrap && { bootstrap }) })
      // What the cluster begins with is in the log before a restart could ask for it.
      if (bootstrap) {
        const leads = () => this.#member?.runtime?.isLeader === true
        await this.#waitUntil(leads, 'the first manager could not write its state: see its log')
      }
      // The record last: without it a crash in between leaves a node that is in no swarm.
      await storeCredentials(dataDir, credentials)
      await this.#member?.storeRecord()
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
      await member.start()
    } catch (error) {
      await member.stop().catch(() => {})
      this.#member = undefined
      throw error
    }
    this.#state = 'active'
    this.#error = ''
  }

  async #dataKey(): Promise<Uint8Array> {
    const stored = await openDataKey(this.#options.dataDir)
    if (stored.kind === 'open') return stored.key
    throw unavailable('the data key of this node is locked')
  }

  #addresses({ ListenAddr, AdvertiseAddr, DataPathAddr }: InitRequest | JoinRequest) {
    const interfaces = networkInterfaces()
    const listen = splitHostPort(ListenAddr, CLUSTER_PORT)
    const wanted = splitHostPort(AdvertiseAddr, listen.port)
    const fallback = /^(0\.0\.0\.0|\[?::\]?)?$/.test(listen.host) ? '' : listen.host
    const host = chooseAddress('--advertise-addr', wanted.host || fallback, interfaces)
    return {
      listenAddr: `${listen.host || '0.0.0.0'}:${listen.port}`,
      advertiseAddr: `${host}:${wanted.port}`,
      dataPathAddr: chooseDataPathAddress(DataPathAddr, host, interfaces),
    }
  }

  /** The daemon's own port is what runs; another one that was asked for must not be dropped silently. */
  #dataPathPort(wanted: number): number {
    const { dataPathPort } = this.#options
    if (wanted === 0 || wanted === DATA_PATH_PORT_DEFAULT || wanted === dataPathPort)
      return dataPathPort
    throw invalid(
      `this daemon was started with --data-path-port ${dataPathPort}: start it, and those of the other nodes, with --data-path-port ${wanted}`,
    )
  }

  #takesPart(): boolean {
    const member = this.#member
    if (!member?.agent.isConnected) return false
    return member.role === 'worker' || member.runtime?.isVoter === true
  }

  async #waitUntil(isDone: () => boolean, orElse: string): Promise<void> {
    for (let waitedMs = 0; waitedMs < JOIN_WAIT_MS; waitedMs += JOIN_POLL_MS) {
      if (isDone()) return
      await new Promise<void>((resolve) => this.#deps.clock.schedule(JOIN_POLL_MS, resolve))
    }
    throw unavailable(orElse)
  }

  /** The other managers are asked to go on without this one; when they can't be reached it leaves all the same. */
  async #stepDown(member: Member): Promise<void> {
    const { runtime } = member
    if (!runtime) return
    let isOver = false
    const limit = new Promise<void>((resolve) => {
      this.#deps.clock.schedule(STEP_DOWN_MS, () => {
        isOver = true
        resolve()
      })
    })
    const steps = async () => {
      if (runtime.isLeader) await runtime.demote(member.record.nodeId)
      else await runtime.requestLeader('manager.step-down', {})
      const alone = () =>
        runtime.store
          .view()
          .list('node')
          .filter((n) => n.ManagerStatus).length < 2
      while (!isOver && !runtime.isRemoved && !alone()) {
        await new Promise<void>((resolve) => this.#deps.clock.schedule(JOIN_POLL_MS, resolve))
      }
    }
    await Promise.race([limit, steps().catch((error) => this.#tellStepDown(error))])
  }

  #tellStepDown(error: unknown): void {
    this.#deps.log.warn(
      { error: toSwarmctlError(error).message },
      'leaving without the agreement of the other managers',
    )
  }

  async #onRemoved(): Promise<void> {
    try {
      await this.#exclusively(() => this.#forget())
    } catch (error) {
      this.#deps.log.error({ error: toSwarmctlError(error).message }, 'clean-up incomplete')
    }
  }

  /** Takes away everything of the cluster: containers, devices, files. */
  async #forget(): Promise<void> {
    this.#cancelResume()
    const member = this.#member ?? (this.#stalled && this.#createMember(this.#stalled))
    this.#member = undefined
    this.#stalled = undefined
    this.#stalledRole = undefined
    try {
      await member?.leave()
    } finally {
      await this.#removeFiles()
      this.#state = 'inactive'
      this.#error = ''
    }
  }

  async #removeFiles(): Promise<void> {
    for (const name of NODE_FILES) {
      await rm(join(this.#options.dataDir, name), { recursive: true, force: true })
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

/** A record that can't be read is one all the same: resuming says what is wrong with it. */
const isMember = async (dataDir: string): Promise<boolean> => {
  try {
    return (await loadNodeRecord(dataDir)) !== undefined
  } catch {
    return true
  }
}

const availabilityOf = (text: string): NodeSpec['Availability'] => {
  switch (text) {
    case '':
    case 'active':
      return 'active'
    case 'pause':
    case 'drain':
      return text
    default:
      throw invalid(`invalid Availability "${text}": must be active, pause or drain`)
  }
}
