import type { ManagerAddr, ManagersList } from '../api/assignment.ts'
import type { AutoscaleReport } from '../api/autoscale.ts'
import type { Clock } from '../api/clock.ts'
import { unavailable } from '../api/errors.ts'
import { type NewId, newId } from '../api/id.ts'
import type { Log } from '../api/log.ts'
import type { Node } from '../api/node.ts'
import type { ObjectChange } from '../api/object.ts'
import type { Cluster } from '../api/swarm.ts'
import { CertificateAuthority, type Certified } from '../manager/ca/certificate-authority.ts'
import type { ExternalSigner } from '../manager/ca/external-ca.ts'
import { Control } from '../manager/control/control.ts'
import { registerManagerCalls } from '../manager/control/manager-calls.ts'
import { Dispatcher } from '../manager/dispatcher/dispatcher.ts'
import { forgetOtherManagers } from '../manager/membership/forget-managers.ts'
import { keepsQuorum } from '../manager/membership/plan-membership.ts'
import { StoreState } from '../manager/store/state.ts'
import { Store } from '../manager/store/store.ts'
import { newUnlockKey } from '../pki/data-key.ts'
import { newJoinToken } from '../pki/join-token.ts'
import type { Clock as RaftClock } from '../raft/clock.ts'
import { RaftNode } from '../raft/node.ts'
import type { RaftNodeOptions } from '../raft/node-options.ts'
import type { RaftStatus } from '../raft/node-status.ts'
import type { StateStorage, StateView } from '../raft/state-port.ts'
import type { Wal } from '../raft/wal-port.ts'
import type { RpcHandlers } from '../rpc/handlers.ts'
import type { RpcPool } from '../rpc/pool.ts'
import { LeaderLoops } from './leader-loops.ts'
import { Leadership } from './leadership.ts'
import { REJOIN_METHOD, type RejoinAnswer } from './manager-recovery.ts'
import { decodeAddr, encodeAddr, raftGroup, raftReport } from './raft-group.ts'
import { RaftLink } from './raft-link.ts'
import { NO_LEADER, RaftProposer } from './raft-proposer.ts'
import { raftClock, raftStorage } from './raft-storage.ts'

export interface ManagerRuntimeDeps {
  handlers: RpcHandlers
  pool: Pick<RpcPool, 'get' | 'current'>
  bulkPool: Pick<RpcPool, 'get' | 'current'>
  clock: Clock
  log: Log
  random: () => number
  /** The managers as this node's agent was told last. */
  knownManagers: () => ManagersList
  /** Who leads is known (again). */
  onLeader: (nodeId: string) => void
  /** With `forcesNewCluster`: the other managers are forgotten, durably. */
  onForced?: () => Promise<void>
  /** What is on disk is unknown: the process has to end. */
  onFatal: (error: Error) => void
  /** Signers of certificates outside the cluster; absent where there are none. */
  external?: ExternalSigner
  /** Where log and state are kept; the default is files in `dataDir`. */
  storage?: { wal: Wal; state: StateStorage }
  /** Raft's time; the default is made of `clock`. */
  raftClock?: RaftClock
  /** The default is random. */
  newId?: NewId
}

export interface ManagerRuntimeOptions {
  nodeId: string
  /** host:port for the other managers. */
  addr: string
  dataDir: string
  dataKey: Uint8Array
  /** The first manager of a new cluster writes these. */
  bootstrap?: { cluster: Cluster; node: Node }
  /** This manager goes on alone with what it has (disaster recovery). */
  forcesNewCluster?: boolean
  /** Raft's tunables; what is absent has raft's defaults. */
  raft?: Omit<Partial<RaftNodeOptions>, 'id' | 'initialVoters' | 'survivor'>
}

/** Entries kept for managers that are a little behind; who lacks more gets a snapshot (swarmkit's default is 500). */
const LOG_ENTRIES_FOR_SLOW_FOLLOWERS = 1000

/** What a node runs while it is a manager: the replicated store with everything on it. */
export class ManagerRuntime {
  readonly store: Store
  readonly control: Control
  readonly dispatcher: Dispatcher
  readonly #deps: ManagerRuntimeDeps
  readonly #options: ManagerRuntimeOptions
  readonly #raft: RaftNode
  readonly #link: RaftLink
  readonly #loops: LeaderLoops
  readonly #leadership: Leadership
  #openView: () => Promise<StateView> = () => Promise.reject(new Error('not created'))
  #authority: CertificateAuthority | undefined
  #unregister: (() => void)[] = []
  #isReady = false
  #isStopped = false
  #isLooping = false
  /** The other managers are forgotten: once, since who became a manager later belongs to the cluster. */
  #isForced = false
  #waiting: (() => void)[] = []
  /** Of those who watch the state. */
  readonly #onOver = new Set<() => void>()

  constructor(deps: ManagerRuntimeDeps, options: ManagerRuntimeOptions) {
    this.#deps = deps
    this.#options = options
    const { clock, log } = deps
    const state = new StoreState()
    this.#link = new RaftLink({
      ...deps,
      addrOf: (id) => this.#addrOf(id),
      senderOf: (id) => ({
        isDemoted: this.isDemoted(id),
        isManagerAgain: this.#isManagerAgain(id),
      }),
    })
    this.#raft = this.#createRaft(state)
    const proposer = new RaftProposer(() => this.#raft)
    this.store = new Store({ state, proposer, clock })
    const ids = deps.newId ?? newId
    this.control = new Control({
      ...{ store: this.store, clock, newId: ids },
      newJoinToken: (rootCACert) => newJoinToken(rootCACert, ids),
      newUnlockKey: () => newUnlockKey(),
      ...(deps.external && { external: deps.external }),
    })
    this.dispatcher = new Dispatcher({
      store: this.store,
      clock,
      log,
      newId: ids,
      leader: () => this.leader(),
    })
    this.#loops = new LeaderLoops(
      {
        ...{ store: this.store, dispatcher: this.dispatcher, group: raftGroup(this.#raft) },
        ...{ clock, log, newId: ids },
        notify: ({ nodeId, addr }, method, body) =>
          void deps.pool.get(addr, { expectNodeId: nodeId }).then(
            (connection) => connection.notify(method, body),
            // Away, as was to be expected.
            () => {},
          ),
      },
      { selfId: options.nodeId },
    )
    this.#leadership = new Leadership({
      ...{ clock, log },
      lead: () => this.#lead(),
      follow: () => this.#follow(),
    })
  }

  /** Opens log and state, serves the managers' methods, takes part in elections. */
  async start(): Promise<void> {
    // Before the log is open nothing can be answered; until then others are told that this node does not serve it (yet).
    await this.#raft.start()
    if (!this.#isStopped) this.#serve()
  }

  #serve(): void {
    const { handlers, clock, log, external } = this.#deps
    this.#authority = new CertificateAuthority({
      ...(external && { external }),
      store: this.store,
      clock,
      log,
      isLeader: () => this.isLeader,
      leader: { request: (method, body) => this.requestLeader(method, body) },
    })
    this.#unregister = [
      this.#authority.register(handlers),
      ...registerManagerCalls(handlers, this.control, () => raftReport(this.#raft.status())),
      handlers.onStream('agent.session', (body, stream, context) =>
        this.dispatcher.serveSession(body, stream, context),
      ),
      handlers.onRequest('manager.step-down', async (_body, { peer }) => {
        if (peer) await this.demote(peer.nodeId)
        return {}
      }),
      handlers.onRequest(
        REJOIN_METHOD,
        async (_body, { peer }) => peer && this.#rejoin(peer.nodeId),
        { roles: ['manager'] },
      ),
    ]
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    for (const unregister of this.#unregister) unregister()
    this.#unregister = []
    this.#isReady = false
    await this.#leadership.stop()
    await this.#raft.stop()
    this.#link.close()
    for (const wake of this.#waiting.splice(0)) wake()
    for (const end of this.#onOver) end()
    this.#onOver.clear()
  }

  /** Changes of the applied state until the returned function is called, or this runtime stops and says so by `onOver`. */
  watch(run: (changes: ObjectChange[]) => void, onOver: () => void): () => void {
    const unwatch = this.store.watch(run)
    const end = () => onOver()
    this.#onOver.add(end)
    return () => {
      unwatch()
      this.#onOver.delete(end)
    }
  }

  /** Whether this manager leads and its store holds all that was committed before. */
  get isLeader(): boolean {
    return this.#isReady
  }

  /** Whether a node was a manager once, by the applied state, and is none of the members of consensus any more. */
  isDemoted(nodeId: string): boolean {
    if (this.store.view().get('node', nodeId)?.Spec.Role !== 'worker') return false
    return !this.#raft.status().members.has(nodeId)
  }

  /** Whether a list of managers names the node that is newer than this manager's own state, which may lag behind a promotion. */
  #isManagerAgain(nodeId: string): boolean {
    const { managers, asOf } = this.#deps.knownManagers()
    return asOf > this.store.view().index && managers.some((manager) => manager.nodeId === nodeId)
  }

  /** Whether the others go on without this manager; one that was asked back is none. */
  get isRemoved(): boolean {
    return this.#raft.status().removed
  }

  /** Whether this manager has a vote: a new one gets it when it has caught up. */
  get isVoter(): boolean {
    return this.#raft.status().members.get(this.#options.nodeId)?.voter ?? false
  }

  /** What raft knows of itself and the others; only after `start`. */
  raftStatus(): RaftStatus {
    return this.#raft.status()
  }

  /** The state at one index, with everything that was acknowledged before the call. The caller closes it. */
  async openStateView(): Promise<StateView> {
    await this.store.readBarrier()
    return this.#openView()
  }

  /** What this manager's autoscaler saw and did last; undefined while it has not looked at the service. */
  autoscaleReport(serviceId: string): AutoscaleReport | undefined {
    return this.#loops.autoscaler.report(serviceId)
  }

  /** The leader as this manager knows it. */
  leader(): ManagerAddr | undefined {
    const { leaderId } = this.#raft.status()
    if (leaderId === null) return undefined
    const addr = this.#addrOf(leaderId)
    return addr === undefined ? undefined : { nodeId: leaderId, addr }
  }

  /** Resolves as soon as a leader is known, at the latest after `limitMs`. */
  async waitForLeader(limitMs: number): Promise<void> {
    const hasLeader = () => this.#isReady || this.#followsLeader()
    if (hasLeader()) return
    let timedOut = false
    const cancel = this.#deps.clock.schedule(limitMs, () => {
      timedOut = true
      for (const wake of this.#waiting.splice(0)) wake()
    })
    while (!hasLeader() && !timedOut) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    cancel()
  }

  /** Calls a method at the leader, which may be this node itself. */
  async requestLeader(method: string, body: unknown): Promise<unknown> {
    const leader = this.leader()
    if (!leader) throw unavailable('no manager leads at the moment: try again')
    const connection = await this.#deps.pool.get(leader.addr, { expectNodeId: leader.nodeId })
    return connection.request(method, body)
  }

  /** A new certificate for this manager itself. */
  async certifySelf(csrPem: string): Promise<Certified> {
    if (!this.#authority) throw unavailable('this manager does not serve yet: try again')
    return this.#authority.renew(this.#options.nodeId, csrPem)
  }

  /** On the leader: a manager is going to leave; the others go on without it, if there are others. */
  async demote(nodeId: string): Promise<void> {
    await this.store.update((tx) => {
      const node = tx.get('node', nodeId)
      const managers = tx.list('node').filter((other) => other.Spec.Role === 'manager')
      if (!node || node.Spec.Role === 'worker' || managers.length < 2) return
      // Two managers that leave at once could together be the last.
      tx.touchAll('node')
      tx.put('node', { ...node, Spec: { ...node.Spec, Role: 'worker' } })
    })
  }

  /** A manager lost its log: what it was is removed; the membership manager then adds it as a learner. */
  async #rejoin(nodeId: string): Promise<RejoinAnswer> {
    // Who was replaced as the leader and does not know it yet could say of a voter that it is none.
    if (this.#isReady) await this.store.readBarrier()
    if (!this.#isReady) {
      const leader = this.leader()
      if (!leader || leader.nodeId === nodeId) throw unavailable(NO_LEADER)
      return { kind: 'redirect', ...leader }
    }
    const group = raftGroup(this.#raft)
    const members = group.members()
    const member = members.find(({ id }) => id === nodeId)
    if (member?.isVoter && !keepsQuorum(members, member)) throw unavailable(NO_LEADER)
    if (member) await group.remove(nodeId)
    this.#deps.log.warn({ node: nodeId }, 'a manager lost its log and begins anew as a learner')
    return { kind: 'done' }
  }

  #followsLeader(): boolean {
    const { leaderId } = this.#raft.status()
    return leaderId !== null && leaderId !== this.#options.nodeId
  }

  #createRaft(state: StoreState): RaftNode {
    const { nodeId, addr, bootstrap, forcesNewCluster, raft } = this.#options
    const { log, random, onFatal } = this.#deps
    const clock = this.#deps.raftClock ?? raftClock(this.#deps.clock)
    const storage = this.#deps.storage ?? this.#storageOnDisk(clock)
    this.#openView = () => storage.state.openView()
    return new RaftNode(
      {
        ...storage,
        transport: this.#link,
        stateMachine: state,
        clock,
        random,
        log: {
          info: (message, fields) => log.info(fields ?? {}, message),
          warn: (message, fields) => log.warn(fields ?? {}, message),
        },
        onFatal,
        onLeaderChange: (leaderId, isReady) => this.#onLeaderChange(leaderId, isReady),
        onRemoved: () => {
          log.info({}, 'this node is no manager any more')
          for (const wake of this.#waiting.splice(0)) wake()
        },
      },
      {
        id: nodeId,
        keepEntriesMax: LOG_ENTRIES_FOR_SLOW_FOLLOWERS,
        ...raft,
        ...(bootstrap && { initialVoters: [{ id: nodeId, context: encodeAddr(addr) }] }),
        ...(forcesNewCluster && { survivor: { id: nodeId, context: encodeAddr(addr) } }),
      },
    )
  }

  #storageOnDisk(clock: RaftClock): { wal: Wal; state: StateStorage } {
    const { dataDir, dataKey } = this.#options
    const onTrouble = (error: Error) =>
      this.#deps.log.error({ error: error.message }, 'trouble with what this manager stores')
    return raftStorage(dataDir, { clock, dataKey, onTrouble })
  }

  #addrOf(id: string): string | undefined {
    const context = this.#raft.status().members.get(id)?.context
    if (context && context.length > 0) return decodeAddr(context)
    return this.#deps.knownManagers().managers.find((manager) => manager.nodeId === id)?.addr
  }

  #onLeaderChange(leaderId: string | null, isReady: boolean): void {
    this.#deps.log.info({ leader: leaderId, isSelf: isReady }, 'leader')
    if (leaderId !== null) this.#deps.onLeader(leaderId)
    this.#setReady(isReady)
    for (const wake of this.#waiting.splice(0)) wake()
  }

  #setReady(isReady: boolean): void {
    // Requests wait for a bootstrapped store; `isLeader` tells when.
    if (!isReady) this.#isReady = false
    this.#leadership.set(isReady)
  }

  async #lead(): Promise<void> {
    if (this.#isLooping) return
    const { bootstrap, forcesNewCluster, ...self } = this.#options
    if (forcesNewCluster && !this.#isForced) {
      await this.store.update((tx) => forgetOtherManagers(tx, self))
      await this.#deps.onForced?.()
      this.#isForced = true
    }
    if (bootstrap && !this.store.view().cluster()) {
      await this.store.update((tx) => {
        tx.put('cluster', bootstrap.cluster)
        tx.put('node', bootstrap.node)
      })
    }
    this.#isLooping = true
    this.#loops.start()
    this.#isReady = true
    for (const wake of this.#waiting.splice(0)) wake()
  }

  async #follow(): Promise<void> {
    this.#isReady = false
    if (!this.#isLooping) return
    this.#isLooping = false
    await this.#loops.stop()
  }
}
