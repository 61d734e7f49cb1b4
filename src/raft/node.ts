// The loop around the core, and the only one: send, start to persist, apply, tell the core. What the
// core says is done here in that order, and what happens comes back to it through here.

import { abortable } from './abortable.ts'
import { applyEntry } from './apply-entry.ts'
import { assert } from './assert.ts'
import { Conditions } from './conditions.ts'
import { Contacts } from './contacts.ts'
import { RaftCore } from './core.ts'
import { CORE_DEFAULTS } from './core-options.ts'
import type { Entry } from './entry.ts'
import { NotLeaderError, ProposalDroppedError, StoppedError } from './errors.ts'
import { HeldAppends } from './held-appends.ts'
import type { MemberChange, MembershipCommand, RaftNodeId } from './membership.ts'
import { memberIds } from './membership.ts'
import type { Message } from './message.ts'
import { COMPACT_STEP_ENTRIES, NODE_DEFAULTS, type RaftNodeOptions } from './node-options.ts'
import type { RaftNodeDeps } from './node-ports.ts'
import { type Beginning, openStorage, restoreStored } from './node-start.ts'
import { bestSuccessor, hasCaughtUp, type RaftStatus, statusOf } from './node-status.ts'
import { Persister } from './persister.ts'
import { type ProposalResult, Proposals } from './proposals.ts'
import { ReadBarriers } from './read-barriers.ts'
import type { PersistBatch } from './ready.ts'
import { takeOver } from './snapshot-install.ts'
import { SnapshotReceiver, type StagedSnapshot } from './snapshot-receiver.ts'
import { SnapshotSender } from './snapshot-sender.ts'
import { Standing } from './standing.ts'
import type { StateWrite } from './state-port.ts'
import { decodeMessage, encodeMessage, type WireMessage } from './wire.ts'

export class RaftNode {
  readonly #deps: RaftNodeDeps
  readonly #options: Required<Omit<RaftNodeOptions, keyof Beginning>>
  readonly #beginning: Beginning
  readonly #proposals = new Proposals()
  readonly #persister: Persister
  readonly #reads: ReadBarriers
  readonly #conditions = new Conditions()
  readonly #held: HeldAppends
  readonly #sender: SnapshotSender
  readonly #receiver: SnapshotReceiver
  readonly #standing: Standing
  readonly #contacts: Contacts

  #core: RaftCore | undefined
  #state: 'new' | 'running' | 'stopping' | 'stopped' = 'new'
  #tick = 0
  #cancelTick: () => void = () => {}
  #scheduled = false
  #pumping = false
  #staged: StagedSnapshot | undefined
  #failed = false

  constructor(deps: RaftNodeDeps, { initialVoters, survivor, ...options }: RaftNodeOptions) {
    this.#deps = deps
    this.#options = { ...NODE_DEFAULTS, ...options }
    this.#beginning = { initialVoters, survivor }
    const [{ id }, { state, log }] = [options, deps]
    const core = { ...CORE_DEFAULTS, ...options.core }
    this.#contacts = new Contacts(2 * core.electionTicks)
    this.#held = new HeldAppends(deps.clock, (message) => this.#transmit(message, false))
    const firstNumber = () => Math.floor(deps.random() * 2 ** 40)
    this.#reads = new ReadBarriers(core.heartbeatTicks, firstNumber())
    const send = (message: WireMessage) => this.#send(message)
    this.#sender = new SnapshotSender({
      ...{ id, state, log, send, tickMs: this.#options.tickMs, firstStream: firstNumber() },
      onFinished: (to, outcome) => {
        this.#core?.onSnapshotSent(to, outcome)
        this.#schedule()
      },
    })
    this.#standing = new Standing({
      onLeader: (leader, isReady) => this.#onLeader(leader, isReady),
      onRemoved: () => deps.onRemoved?.(),
    })
    this.#persister = new Persister({
      wal: deps.wal,
      installSnapshot: (batch) => this.#installSnapshot(batch),
      onInstalled: () => this.#guard((running) => this.#onInstalled(running)),
      onDurable: (batch) => this.#guard((running) => this.#onPersisted(running, batch)),
      onFailed: (error) => {
        if (!(error instanceof StoppedError)) this.#fatal(error)
      },
    })
    this.#receiver = new SnapshotReceiver({
      ...{ id, state, stateMachine: deps.stateMachine, log, send },
      isUseful: (index) => index > (this.#core?.log.committed ?? 0),
      onComplete: (staged) => this.#onSnapshotReceived(staged),
      onUnreadable: (error) => this.#fatal(error),
    })
  }

  /** Opens log and state, restores the state machine, and takes part. Rejects when storage is damaged. */
  async start(): Promise<void> {
    assert(this.#state === 'new', 'a node starts once')
    const { wal, state, stateMachine, transport, random } = this.#deps
    const known = await openStorage({ wal, state, stateMachine }, this.#beginning)
    await restoreStored(this.#deps, known.applied)
    const isStopped = () => this.#state === 'stopped'
    if (isStopped()) throw new StoppedError()
    this.#core = new RaftCore({ id: this.#options.id, ...known, random }, this.#options.core)
    this.#state = 'running'
    transport.onMessage((from, bytes) => this.#onMessage(from, bytes))
    transport.onPeerClosed?.((id) => this.#onPeerClosed(id))
    this.#pump()
    // Alone nobody else can be elected: no need to wait.
    if (this.#core.membership.voters.length === 1) this.#core.campaign()
    this.#schedule()
    this.#nextTick()
  }

  /** Hands leadership over (for a bounded time), ends all waits with StoppedError, and closes the storage. */
  async stop(): Promise<void> {
    if (this.#state === 'stopping' || this.#state === 'stopped') return
    if (this.#state === 'running' && !this.#failed) {
      this.#state = 'stopping'
      await this.#giveUpLeadership()
    }
    this.#state = 'stopped'
    this.#cancelTick()
    this.#held.stop()
    this.#sender.stop()
    this.#receiver.stop()
    this.#rejectAll(new StoppedError())
    await this.#deps.wal.close()
    await this.#deps.state.close()
  }

  /**
   * Replicates a command. Resolves when it is applied here, with what `apply` returned. Rejects with
   * NotLeaderError, ProposalDroppedError, LogFullError, EntryTooLargeError (no effect, for certain),
   * or with OutcomeUnknownError, StoppedError, WaitAbortedError (it may still take effect).
   */
  propose(data: Uint8Array, options: { signal?: AbortSignal } = {}): Promise<ProposalResult> {
    const refusal = this.#refusal(data)
    if (refusal !== undefined) return Promise.reject(refusal)
    const deadlineTick = this.#deadline(this.#options.proposeTimeoutMs)
    return abortable(options.signal, (settle) => {
      this.#proposals.enqueue(data, { ...settle, deadlineTick })
      this.#schedule()
    })
  }

  /**
   * Resolves when the state here contains everything that was acknowledged anywhere before this call
   * (ReadIndex). Works on every member. Rejects with UnavailableError or StoppedError.
   */
  readBarrier(): Promise<void> {
    if (this.#state !== 'running' || this.#failed) return Promise.reject(new StoppedError())
    return new Promise((resolve, reject) => {
      const deadlineTick = this.#deadline(this.#options.readTimeoutMs)
      this.#reads.add({ resolve, reject, deadlineTick })
      this.#schedule()
    })
  }

  /** A picture of the node now; only after `start`. */
  status(): RaftStatus {
    const [core, { wal }] = [this.#running(), this.#deps]
    return statusOf({ core, isReachable: (id) => this.#isReachable(id), wal })
  }

  /** Adds a member that gets the log but doesn't vote yet; `context` is its address, for all to know. */
  addLearner(id: RaftNodeId, context: Uint8Array): Promise<void> {
    return this.changeMembers([{ kind: 'add-learner', id, context }])
  }

  /** Lets a learner vote, once it has caught up. */
  async promote(id: RaftNodeId): Promise<void> {
    const core = this.#leading()
    const mayVote = () => core.role !== 'leader' || hasCaughtUp(core, id)
    await this.#conditions.wait(mayVote, this.#deadline(this.#options.proposeTimeoutMs))
    await this.changeMembers([{ kind: 'add-voter', id }])
  }

  /**
   * Removes a member; its id comes back only as a learner. A leader that is to remove itself hands
   * leadership over first and rejects with NotLeaderError: ask the new leader.
   */
  async removeNode(id: RaftNodeId): Promise<void> {
    const core = this.#leading()
    if (id === core.id && core.membership.voters.length > 1) {
      await this.#giveUpLeadership()
      this.#leading()
    }
    await this.changeMembers([{ kind: 'remove', id }])
  }

  /** Changes several members in one step, by joint consensus; resolves when the change is complete. */
  async changeMembers(changes: readonly MemberChange[]): Promise<void> {
    await this.#proposeMembership({ kind: 'change', changes })
    const core = this.#running()
    const isSettled = () => core.membership.outgoing.length === 0
    await this.#conditions.wait(isSettled, this.#deadline(this.#options.proposeTimeoutMs))
  }

  /** Hands leadership to a voter; resolves when this node leads no longer. */
  async transferLeadership(to: RaftNodeId): Promise<void> {
    const core = this.#leading()
    if (!core.transferLeadership(to)) throw new ProposalDroppedError(`${to} can't take leadership`)
    this.#schedule()
    const isOver = () => core.role !== 'leader' || core.transferee === null
    await this.#conditions.wait(isOver, this.#deadline(this.#options.stopTransferMs))
    if (core.role === 'leader') throw new ProposalDroppedError(`${to} did not take leadership`)
  }

  // ---- the loop ----

  #schedule(): void {
    if (this.#scheduled || this.#state === 'stopped') return
    this.#scheduled = true
    this.#deps.clock.defer(() => {
      this.#scheduled = false
      this.#pump()
    })
  }

  /** One turn: send, persist, apply. The other members and the disks work while this node applies. */
  #pump(): void {
    if (this.#core === undefined || this.#pumping) return
    this.#guard((core) => {
      this.#pumping = true
      try {
        this.#giveInputs(core)
        const ready = core.ready()
        this.#held.onEntries(ready.persist?.entries ?? [])
        for (const message of ready.messages) this.#send(message)
        if (ready.persist !== null) this.#persister.persist(ready.persist)
        this.#apply(core, ready.committed)
        for (const read of ready.reads) this.#reads.onConfirmed(read.token, read.index)
        for (const to of ready.snapshotsToSend) this.#sender.start(to, core.term)
        // While a snapshot is taken over the core is ahead of the state machine.
        if (!this.#persister.isInstalling) this.#reads.onApplied(core.log.applied)
        this.#standing.update(core)
        this.#conditions.check(this.#tick)
        // What was applied may have led to more: an end of a joint change, or entries beyond one turn's share.
        if (core.hasReady || this.#reads.hasQueued) this.#schedule()
      } finally {
        this.#pumping = false
      }
    })
  }

  #giveInputs(core: RaftCore): void {
    this.#proposals.proposeQueued((commands) => core.propose(commands))
    const token = this.#reads.nextToken(this.#tick)
    if (token !== undefined) core.readIndex(token)
  }

  /** After something happened: another turn, unless nobody would see a difference. */
  #scheduleIfNews(core: RaftCore): void {
    if (core.hasReady || this.#conditions.isWaiting || this.#standing.differsFrom(core))
      this.#schedule()
  }

  #onPersisted(core: RaftCore, batch: PersistBatch): void {
    core.onAppended(batch.ioId)
    for (const message of batch.responses) {
      if (message.to === core.id) core.step(message)
      else this.#send(message)
    }
    // Within a turn of the loop, the next one follows; otherwise there is no reason to wait.
    if (core.hasReady && !this.#pumping) this.#pump()
    else this.#scheduleIfNews(core)
  }

  async #installSnapshot(batch: PersistBatch): Promise<void> {
    const staged = this.#staged
    assert(staged !== undefined && staged.meta === batch.snapshot, 'a snapshot that never came')
    const { clock, log } = this.#deps
    const isStopped = () => this.#state === 'stopped' || this.#failed
    await takeOver(staged, { clock, log, isStopped })
  }

  #onInstalled(core: RaftCore): void {
    const staged = this.#staged
    assert(staged !== undefined, 'a snapshot that never came')
    this.#staged = undefined
    this.#deps.log.info('took over a snapshot', { index: staged.meta.index })
    this.#proposals.onSnapshot(staged.meta.index)
    core.onSnapshotInstalled()
    this.#deps.onMembersChange?.()
    this.#schedule()
  }

  #apply(core: RaftCore, entries: readonly Entry[]): void {
    const last = entries.at(-1)
    if (last === undefined) return
    const writes: StateWrite[] = []
    const results: unknown[] = []
    for (const entry of entries) {
      const applied = applyEntry(this.#deps.stateMachine, entry)
      if (applied !== undefined) writes.push(...applied.writes)
      results.push(applied?.result)
    }
    core.onApplied(last.index)
    const { index, term } = last
    this.#deps.state.write({ index, term, membership: core.membership }, writes)
    entries.forEach((entry, at) => {
      this.#proposals.onApplied(entry, results[at])
    })
    if (last.kind !== 'membership') return
    this.#sender.keepOnly(memberIds(core.membership))
    this.#deps.onMembersChange?.()
  }

  #send(message: Message | WireMessage): void {
    assert(message.kind !== 'snapshot', 'a snapshot travels in chunks')
    const bulk = message.kind === 'snapshot-chunk'
    if (bulk) this.#transmit(message, true)
    else this.#held.pass(message)
  }

  #transmit(message: WireMessage, bulk: boolean): void {
    this.#deps.transport.send(message.to, encodeMessage(message), { bulk })
  }

  #onLeader(leader: RaftNodeId | null, isReady: boolean): void {
    const core = this.#running()
    if (core.role !== 'leader') this.#sender.stop()
    if (leader !== null) this.#receiver.onLeader(leader)
    this.#deps.log.info('leader', { leader, term: core.term, isReady })
    this.#deps.onLeaderChange?.(leader, isReady)
  }

  // ---- what happens ----

  #onMessage(from: RaftNodeId, bytes: Uint8Array): void {
    if (this.#state === 'new' || this.#state === 'stopped') return
    let message: WireMessage
    try {
      message = decodeMessage(bytes)
    } catch (cause) {
      this.#deps.log.warn('dropped a message', { from, cause: String(cause) })
      return
    }
    if (message.from !== from || message.to !== this.#options.id) {
      this.#deps.log.warn('dropped a message with a wrong sender or receiver', { from })
      return
    }
    this.#contacts.onHeard(from, this.#tick)
    this.#guard((core) => {
      this.#take(core, message)
      this.#scheduleIfNews(core)
    })
  }

  #take(core: RaftCore, message: WireMessage): void {
    switch (message.kind) {
      case 'snapshot-chunk':
        // Only of the leader that the core knows, one snapshot after the other; what is dropped comes again.
        if (this.#persister.isInstalling) return
        if (message.term === core.term && message.from === core.leader)
          this.#receiver.onChunk(message)
        return
      case 'snapshot-ack':
        this.#sender.onAck(message)
        return
      case 'append':
        // Without room for them entries are dropped as if lost; the leader comes back to them.
        if (message.entries.length > 0 && this.#deps.wal.roomError !== undefined) return
        if (this.#persister.isFull) return
        core.step(message)
        return
      default:
        core.step(message)
    }
  }

  #onSnapshotReceived(staged: StagedSnapshot): void {
    this.#guard((core) => {
      if (this.#state !== 'running' || this.#persister.isInstalling) return
      this.#staged = staged
      const { from, term, meta } = staged
      core.step({ kind: 'snapshot', from, to: core.id, term, meta })
      this.#pump()
      // Not taken: the log had caught up meanwhile, or another term began.
      if (!this.#persister.isInstalling) {
        this.#staged = undefined
        staged.install.abort().catch(() => {})
      }
    })
  }

  #onPeerClosed(id: RaftNodeId): void {
    if (this.#state !== 'running') return
    this.#contacts.onClosed(id)
    this.#guard((core) => core.onPeerClosed(id))
    this.#schedule()
  }

  #nextTick(): void {
    if (this.#state === 'stopped' || this.#failed) return
    this.#cancelTick = this.#deps.clock.after(this.#options.tickMs, () => {
      this.#tick += 1
      this.#guard((core) => {
        core.tick()
        this.#sender.tick()
        this.#proposals.expire(this.#tick)
        this.#reads.expire(this.#tick)
        this.#compact(core)
      })
      this.#pump()
      this.#nextTick()
    })
  }

  #compact(core: RaftCore): void {
    const { keepEntriesMax, keepBytesMax } = this.#options
    const heldTo = this.#sender.lowestIndex((id) => core.progress.get(id)?.match ?? 0)
    const to = Math.min(this.#deps.state.flushedIndex, core.log.applied)
    if (to - core.log.base.index < Math.min(COMPACT_STEP_ENTRIES, keepEntriesMax)) return
    const before = core.log.base.index
    const after = core.compact({ to, heldTo, keepEntriesMax, keepBytesMax })
    if (after === before) return
    this.#deps.wal.compactTo(after).catch((cause) => {
      this.#deps.log.warn('old log segments could not be freed', { cause: String(cause) })
    })
  }

  // ---- proposals and members ----

  #refusal(data: Uint8Array): Error | undefined {
    if (this.#state !== 'running' || this.#failed) return new StoppedError()
    const [core, { roomError }] = [this.#running(), this.#deps.wal]
    return this.#proposals.refusalOf(data, { core, roomError })
  }

  async #proposeMembership(command: MembershipCommand): Promise<void> {
    const refusal = this.#refusal(new Uint8Array(0))
    if (refusal !== undefined) throw refusal
    const deadlineTick = this.#deadline(this.#options.proposeTimeoutMs)
    await new Promise<ProposalResult>((resolve, reject) => {
      const outcome = this.#running().proposeMembership(command)
      this.#proposals.onProposed(outcome, [{ resolve, reject, deadlineTick }])
      this.#schedule()
    })
  }

  async #giveUpLeadership(): Promise<void> {
    const core = this.#running()
    const successor = bestSuccessor(core, (id) => this.#isReachable(id))
    if (core.role !== 'leader' || successor === undefined) return
    await this.transferLeadership(successor).catch((cause) => {
      this.#deps.log.warn('leadership was not handed over', { cause: String(cause) })
    })
  }

  #isReachable(id: RaftNodeId): boolean {
    return this.#contacts.isReachable(id, this.#tick)
  }

  #leading(): RaftCore {
    const isUp = this.#state === 'running' || this.#state === 'stopping'
    if (!isUp || this.#failed) throw new StoppedError()
    const core = this.#running()
    if (core.role !== 'leader') throw new NotLeaderError(core.leader)
    return core
  }

  #running(): RaftCore {
    assert(this.#core !== undefined, 'the node was not started')
    return this.#core
  }

  #deadline(ms: number): number {
    return this.#tick + Math.ceil(ms / this.#options.tickMs)
  }

  // ---- failures ----

  /** Runs what may find a broken invariant; then nothing else runs, and the process is told to end. */
  #guard(action: (core: RaftCore) => void): void {
    if (this.#core === undefined || this.#failed || this.#state === 'stopped') return
    try {
      action(this.#core)
    } catch (error) {
      this.#fatal(error)
    }
  }

  #fatal(error: unknown): void {
    if (this.#failed) return
    this.#failed = true
    this.#cancelTick()
    this.#rejectAll(new StoppedError())
    this.#deps.onFatal(error instanceof Error ? error : new Error(String(error)))
  }

  #rejectAll(error: Error): void {
    this.#proposals.rejectAll(error)
    this.#reads.rejectAll(error)
    this.#conditions.rejectAll(error)
  }
}
