import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { ManagerAddr, ManagersList } from '../api/assignment.ts'
import type { Clock } from '../api/clock.ts'
import { toSwarmctlError, unavailable } from '../api/errors.ts'
import { newId } from '../api/id.ts'
import type { Log } from '../api/log.ts'
import { ATTACH_METHOD, type AttachRequest } from '../api/network-attachment.ts'
import type { Node } from '../api/node.ts'
import type { Cluster } from '../api/swarm.ts'
import type { Task } from '../api/task.ts'
import { MANAGERS_METHOD, readManagers } from '../manager/membership/way-back.ts'
import { ProcessExec } from '../overlay/exec.ts'
import { Overlay } from '../overlay/overlay.ts'
import { HostProc } from '../overlay/proc.ts'
import type { Credentials } from '../pki/credentials.ts'
import { connect } from '../rpc/client.ts'
import type { PeerIdentity } from '../rpc/connection.ts'
import { RpcHandlers } from '../rpc/handlers.ts'
import { RpcPool } from '../rpc/pool.ts'
import { RpcServer } from '../rpc/server.ts'
import { Agent } from '../worker/agent.ts'
import { Attachments } from '../worker/attachments.ts'
import { DockerContainerNetworks } from '../worker/docker/docker-container-networks.ts'
import { DockerExecutor } from '../worker/docker/docker-executor.ts'
import { EngineLocalNetworks } from '../worker/docker/engine-local-networks.ts'
import { FileDisk } from '../worker/file-disk.ts'
import { inAnyCase } from '../worker/in-any-case.ts'
import { ATTACH_WAIT_MAX_MS } from '../worker/limits.ts'
import { NodeNetworks } from '../worker/node-networks.ts'
import { SecretsTmpfs } from '../worker/secrets-tmpfs.ts'
import { ownAddress } from './addresses.ts'
import { serveAgentCalls } from './agent-calls.ts'
import { CfsslClient } from './cfssl-client.ts'
import { requireDataPathPort } from './data-path-port.ts'
import type { Engine } from './engine.ts'
import { fallbackFacts } from './fallback-facts.ts'
import { requireValidity } from './force-new-cluster.ts'
import { Forwarder } from './forward.ts'
import { HostSubnets } from './host-subnets.ts'
import { ManagerRole } from './manager-role.ts'
import type { ManagerRuntime } from './manager-runtime.ts'
import { NodeCertificate } from './node-certificate.ts'
import type { NodeRecord } from './node-file.ts'
import { NodeFile } from './node-file.ts'
import type { NodeKeys } from './node-keys.ts'
import type { DaemonOptions } from './options.ts'
import { ClusterRelayLink } from './relay-link.ts'
import { TunnelLink } from './tunnel-link.ts'
import { VERSION } from './version.ts'

/** How often a node looks at what it says of itself. */
const DESCRIBE_MS = 5_000
/** Of the note about the data plane. */
const NOTE_LENGTH_MAX = 1_000

/** A demoted manager waits this long to be taken out of the consensus group before it becomes a worker. */
const DEMOTE_WAIT_MS = 10_000
const DEMOTE_POLL_MS = 100

export interface MemberDeps {
  engine: Engine
  clock: Clock
  log: Log
  random: () => number
  onFatal: (error: Error) => void
  /** The cluster removed this node: the daemon is to forget it. */
  onRemoved: () => void
  /** Answers a request that another manager forwarded. */
  onForwarded: (request: IncomingMessage, response: ServerResponse) => void
}

/** How a membership begins. */
export interface MemberStart {
  record: NodeRecord
  credentials: Credentials
  /** Of a locked manager there are none: it can only leave. */
  keys: NodeKeys | undefined
  bootstrap?: { cluster: Cluster; node: Node }
  /** It begins a cluster, and nothing resumes it before `storeRecord`: a crash leaves a node that is in no swarm. */
  isNew?: boolean
}

/** This node as a member of a cluster: cluster port, agent, overlay, and while it is a manager the manager's runtime. */
export class Member {
  readonly forwarder: Forwarder
  readonly agent: Agent
  readonly attachments: Attachments
  readonly #deps: MemberDeps
  readonly #options: DaemonOptions
  readonly #start: MemberStart
  readonly #handlers = new RpcHandlers({ roleOf: (peer) => this.#roleOf(peer) })
  readonly #pool: RpcPool
  readonly #bulkPool: RpcPool
  readonly #tunnelPool: RpcPool
  readonly #server: RpcServer
  readonly #overlay: Overlay
  readonly #networks: NodeNetworks
  readonly #hostSubnets: HostSubnets
  readonly #tunnel: TunnelLink
  readonly #relayLink: ClusterRelayLink
  readonly #certificate: NodeCertificate
  readonly #file: NodeFile
  readonly #manager: ManagerRole
  #record: NodeRecord
  /** Of the cluster port, on this machine. */
  #ownAddr = ''
  #roleChange: Promise<void> | undefined
  /** The cluster's last word on the role since that began. */
  #saidMeanwhile: 'worker' | 'manager' | undefined
  /** The managers' words to a manager that they removed. */
  #refusal = ''
  #isStopped = false
  #isNew: boolean

  constructor(deps: MemberDeps, options: DaemonOptions, start: MemberStart) {
    this.#deps = deps
    this.#options = options
    this.#start = start
    // The swarm's port was compared when this node joined, and is for every start after.
    this.#record = { dataPathPort: options.dataPathPort, ...start.record }
    this.#isNew = start.isNew ?? false
    this.#file = new NodeFile(options.dataDir)
    const { clock, log, random } = deps
    const peerDeps = { handlers: this.#handlers, clock, log }
    const poolOptions = { credentials: start.credentials }
    this.#pool = new RpcPool({ ...peerDeps, random }, poolOptions)
    this.#bulkPool = new RpcPool({ ...peerDeps, random }, poolOptions)
    this.#tunnelPool = new RpcPool({ ...peerDeps, random }, poolOptions)
    this.forwarder = new Forwarder({ clock }, start.credentials)
    this.#server = new RpcServer(
      { ...peerDeps, isRemoved: (nodeId) => this.#isRemoved(nodeId) },
      {
        listenAddr: start.record.listenAddr,
        credentials: start.credentials,
        httpHandler: deps.onForwarded,
      },
    )
    const traffic = {
      handlers: this.#handlers,
      pool: this.#tunnelPool,
      addrOf: (nodeId: string) => this.#overlay.addressOf(nodeId),
    }
    this.#tunnel = new TunnelLink(traffic)
    this.#relayLink = new ClusterRelayLink(traffic)
    const proc = new HostProc()
    this.#hostSubnets = new HostSubnets(proc)
    this.#overlay = new Overlay(
      {
        exec: new ProcessExec(),
        proc,
        docker: deps.engine.docker,
        clock,
        log,
        tunnel: this.#tunnel,
        relayLink: this.#relayLink,
      },
      {
        dataPlane: options.dataPlane,
        dataPathPort: options.dataPathPort,
        viewPath: join(options.dataDir, 'overlay-view.json'),
        settingsPath: join(options.dataDir, 'host-settings.json'),
      },
    )
    this.#manager = new ManagerRole(
      {
        ...{ clock, log, random, onFatal: deps.onFatal, handlers: this.#handlers },
        ...{ pool: this.#pool, bulkPool: this.#bulkPool },
        keys: () => this.#keys,
        record: () => this.#record,
        setRecord: (record) => {
          this.#record = record
          return this.#storeChange()
        },
        onLeader: (nodeId) => this.forwarder.onLeader(nodeId),
        external: new CfsslClient({ credentials: () => this.#certificate.current }),
      },
      { dataDir: options.dataDir },
    )
    this.#networks = new NodeNetworks({
      ...{ clock, log, overlay: this.#overlay },
      local: new EngineLocalNetworks({ engine: deps.engine.client }),
    })
    this.attachments = new Attachments({
      containers: new DockerContainerNetworks({ engine: deps.engine.client, log }),
      overlay: this.#networks,
      attach: (request) => this.#attach(request),
      ...{ clock, log, newId },
    })
    this.agent = this.#createAgent()
    this.#certificate = new NodeCertificate(
      {
        ...{ clock, random, log },
        renew: (csrPem) => this.#renew(csrPem),
        store: (credentials) => this.#keys.storeCredentials(credentials),
        onChange: (credentials) => this.#onCredentials(credentials),
      },
      { credentials: start.credentials },
    )
  }

  /**
   * Takes part in the cluster. Rejects when the certificate has expired, a port is taken or not the swarm's, or the disk is damaged.
   */
  async open(): Promise<void> {
    requireDataPathPort(this.#record.dataPathPort, this.#options.dataPathPort)
    requireValidity(this.#record, this.#certificate.current, this.#deps.clock)
    await this.#overlay.start()
    await this.#server.start()
    this.#ownAddr = ownAddress(this.#record.listenAddr, this.#server.port)
    this.#handlers.onStream(
      'agent.logs',
      (body, stream, context) => this.agent.serveLogs(body, stream, context),
      { roles: ['manager'] },
    )
    serveAgentCalls(this.#handlers, {
      agent: this.agent,
      engine: this.#deps.engine,
      nodeId: this.#record.nodeId,
    })
    this.#handlers.onNotify(MANAGERS_METHOD, (body) => this.#onManagers(readManagers(body)), {
      roles: ['manager'],
    })
    this.#tunnel.serve((target, peer) => this.#overlay.acceptTunnel(target, peer))
    this.#relayLink.serve((nodeId, messages) => this.#overlay.acceptRelay(nodeId, messages))
    if (this.#certificate.current.role === 'manager')
      await this.#manager.start(this.#start.bootstrap)
    // A daemon that was killed during its demotion left the log, which must not come back with a promotion.
    else await this.#manager.end()
    await this.#hostSubnets.refresh()
    await this.agent.start()
    this.#certificate.start()
    this.#describeAgain()
  }

  /** The daemon ends: containers, rules and routes stay. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#certificate.stop()
    await this.#manager.stop()
    await this.agent.stop()
    await this.#networks.close()
    await this.#close()
  }

  /** The node leaves: everything that it made on this machine goes. */
  async leave(): Promise<void> {
    this.#isStopped = true
    // Whatever fails: what went on would do so as a node that nobody can tell to leave.
    await inAnyCase(
      () => this.#certificate.stop(),
      () => this.#manager.stop(),
      () => this.agent.removeAll(),
      () => this.#close(),
    )
  }

  /** Makes this node resume after a restart. */
  storeRecord(): Promise<void> {
    this.#isNew = false
    return this.#file.store(this.#record)
  }

  async #storeChange(): Promise<void> {
    if (!this.#isNew) await this.storeRecord()
  }

  /** What the data plane can't do for now (a published port that another process holds) is no event: it is looked at. */
  #describeAgain(): void {
    this.#deps.clock.schedule(DESCRIBE_MS, async () => {
      await this.#hostSubnets.refresh()
      if (this.#isStopped) return
      this.agent.describe()
      this.#describeAgain()
    })
  }

  /** How this membership would begin again. */
  get start(): MemberStart {
    const { bootstrap: _once, isNew: _was, ...start } = this.#start
    return { ...start, record: this.#record, credentials: this.#certificate.current }
  }

  get record(): NodeRecord {
    return this.#record
  }

  get role(): 'worker' | 'manager' {
    return this.#certificate.current.role
  }

  /** Present while this node is a manager. */
  get runtime(): ManagerRuntime | undefined {
    return this.#manager.runtime
  }

  /** Why this node does not take part for now: a manager that can't vote, or that was removed while it was away; empty otherwise. */
  get damage(): string {
    return this.#manager.damage || this.#refusal
  }

  /** Managers known now: the agent's list, which the leader keeps up to date. */
  get managers(): readonly ManagerAddr[] {
    return this.#record.managers
  }

  async #close(): Promise<void> {
    this.forwarder.close()
    for (const pool of [this.#pool, this.#bulkPool, this.#tunnelPool]) pool.close()
    await this.#server.stop()
  }

  #createAgent(): Agent {
    const { engine, clock, log, random, onRemoved } = this.#deps
    const { record } = this.#start
    return new Agent(
      {
        executor: new DockerExecutor({ engine: engine.client, log }),
        overlay: this.#networks,
        attachments: this.attachments,
        files: new SecretsTmpfs({ path: join(this.#options.runDir, 'secrets') }),
        disk: new FileDisk({ clock, log }, { path: join(this.#options.dataDir, 'agent') }),
        connect: (manager, signal) =>
          connect(this.#addrOf(manager), {
            handlers: this.#handlers,
            clock,
            log,
            credentials: this.#certificate.current,
            signal,
          }),
        clock,
        log,
        random,
        localFacts: () => ({
          Version: VERSION,
          DataPlane: this.#overlay.dataPlane.plane,
          DataPlaneNote: [this.#overlay.dataPlane.note, ...this.#overlay.problems()]
            .filter((note) => note !== '')
            .join('; ')
            .slice(0, NOTE_LENGTH_MAX),
          DataPathAddr: record.dataPathAddr,
          IPv6: this.#overlay.hasIpv6,
          HostSubnets: this.#hostSubnets.current,
          HostSubnets6: this.#hostSubnets.current6,
          TLSInfo: this.#certificate.tlsInfo,
        }),
        onCluster: ({ role, ...list }) => this.#onCluster(role, list),
        onTrustRoot: (rootCACert) => this.#certificate.onTrustRoot(rootCACert),
        onRenewCertificate: () => this.#certificate.onRenewCertificate(),
        onRemoved,
        onRefused: (reason) => this.#onRefused(reason),
      },
      {
        nodeId: record.nodeId,
        addr: record.advertiseAddr,
        known: { managers: record.managers, asOf: record.managersAsOf ?? 0 },
        fallbackFacts: fallbackFacts(),
      },
    )
  }

  /** Where a manager is reached from here: this node itself at its own port, since what it advertises may lead only from outside to it. */
  #addrOf({ nodeId, addr }: ManagerAddr): string {
    return nodeId === this.#record.nodeId ? this.#ownAddr : addr
  }

  async #attach(request: AttachRequest): Promise<Task> {
    const { leader } = this.agent
    if (leader === undefined) throw unavailable('no manager is in reach: try again')
    const connection = await this.#pool.get(this.#addrOf(leader))
    const options = { timeoutMs: ATTACH_WAIT_MAX_MS }
    return (await connection.request(ATTACH_METHOD, request, options)) as Task
  }

  /** A demoted manager's old certificate gives no rights any more at any manager. */
  #roleOf({ nodeId, role }: PeerIdentity): PeerIdentity['role'] {
    return role === 'manager' && this.runtime?.isDemoted(nodeId) ? 'worker' : role
  }

  #isRemoved(nodeId: string): boolean {
    const cluster = this.runtime?.store.view().cluster()
    return cluster?.Swarmctl.RemovedNodes.includes(nodeId) ?? false
  }

  /**
   * A worker that was removed while it was away has nothing to lose and leaves. A manager's log may be what somebody still wants (the
   * others may have been told to go on without it after a disaster): it says so, and waits for a person.
   */
  #onRefused(reason: string): void {
    if (this.#certificate.current.role === 'manager') {
      this.#refusal = reason
      return
    }
    this.#deps.log.warn({}, 'this node was removed from the cluster while it was away: it leaves')
    this.#deps.onRemoved()
  }

  #onManagers(list: ManagersList | undefined): void {
    if (!list || list.managers.length === 0 || this.agent.isConnected) return
    this.agent.learn(list)
    this.#setManagers(list)
  }

  #onCluster(role: 'worker' | 'manager', list: ManagersList): void {
    this.#refusal = ''
    if (list.managers.length > 0) this.#setManagers(list)
    // Another word while it changes (a demotion that is taken back) must not be lost: it is not said again.
    if (this.#roleChange) this.#saidMeanwhile = role
    else this.#follow(role)
  }

  #follow(role: 'worker' | 'manager'): void {
    if (role === this.#certificate.current.role || this.#isStopped) return
    this.#saidMeanwhile = undefined
    this.#roleChange = this.#changeRole(role)
      .catch((error) =>
        this.#deps.log.warn({ error: toSwarmctlError(error).message }, 'role not changed yet'),
      )
      .finally(() => {
        this.#roleChange = undefined
        if (this.#saidMeanwhile) this.#follow(this.#saidMeanwhile)
      })
  }

  #setManagers({ managers, asOf }: ManagersList): void {
    this.#record = { ...this.#record, managers, managersAsOf: asOf }
    this.#storeChange().catch((error: Error) =>
      this.#deps.log.warn({ error: error.message }, 'could not store the list of managers'),
    )
  }

  async #changeRole(role: 'worker' | 'manager'): Promise<void> {
    this.#deps.log.info({ role }, 'the role of this node changes')
    if (role === 'worker') await this.#waitUntilRemoved()
    await this.#certificate.renewNow()
  }

  async #waitUntilRemoved(): Promise<void> {
    for (let waitedMs = 0; waitedMs < DEMOTE_WAIT_MS; waitedMs += DEMOTE_POLL_MS) {
      if (this.runtime === undefined || this.runtime.isRemoved) return
      await new Promise<void>((resolve) => this.#deps.clock.schedule(DEMOTE_POLL_MS, resolve))
    }
  }

  async #renew(csrPem: string): Promise<{ certPem: string; rootCAPem: string }> {
    const { runtime } = this
    // Without a connection: its own expired certificate would get it none.
    if (runtime?.isLeader) return runtime.certifySelf(csrPem)
    let lastError: unknown
    for (const manager of this.#record.managers) {
      try {
        const connection = await this.#pool.get(this.#addrOf(manager))
        return (await connection.request('ca.renew', { csrPem })) as {
          certPem: string
          rootCAPem: string
        }
      } catch (error) {
        lastError = error
      }
    }
    throw lastError ?? new Error('no manager is known')
  }

  async #onCredentials(credentials: Credentials): Promise<void> {
    this.#server.setCredentials(credentials)
    for (const pool of [this.#pool, this.#bulkPool, this.#tunnelPool]) {
      pool.setCredentials(credentials)
    }
    this.forwarder.setCredentials(credentials)
    this.agent.describe()
    if (this.#isStopped) return
    // By what runs, not by the last role: a start that failed is tried again with the renewal that follows the failure.
    if (credentials.role === 'worker') await this.#manager.end()
    else if (!this.#manager.isActive) await this.#manager.start(undefined)
  }

  get #keys(): NodeKeys {
    const { keys } = this.#start
    assert(keys, 'a locked manager takes no part')
    return keys
  }
}
