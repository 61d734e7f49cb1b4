import { rm } from 'node:fs/promises'
import type { Clock } from '../api/clock.ts'
import { toSwarmctlError } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import type { ExternalSigner } from '../manager/ca/external-ca.ts'
import { StorageCorruptError } from '../raft/errors.ts'
import type { RpcHandlers } from '../rpc/handlers.ts'
import type { RpcPool } from '../rpc/pool.ts'
import { sleep } from '../worker/sleep.ts'
import { Autolock } from './autolock.ts'
import {
  askToRejoin,
  hasLogOnDisk,
  onlyManagerError,
  raftDirectory,
  recoveryText,
  setAsideLog,
} from './manager-recovery.ts'
import { ManagerRuntime, type ManagerRuntimeOptions } from './manager-runtime.ts'
import type { NodeRecord } from './node-file.ts'
import type { NodeKeys } from './node-keys.ts'

/** How often a manager that began anew looks whether it has its vote again. */
const VOTER_POLL_MS = 200
/** When its new log could not be begun it is tried again after this time. */
const RUN_RETRY_MS = 1_000

export interface ManagerRoleDeps {
  handlers: RpcHandlers
  pool: RpcPool
  bulkPool: RpcPool
  clock: Clock
  log: Log
  random: () => number
  keys: () => NodeKeys
  record: () => NodeRecord
  /** Resolves when the record is stored. */
  setRecord: (record: NodeRecord) => Promise<void>
  onLeader: (nodeId: string) => void
  /** Signers of certificates outside the cluster. */
  external?: ExternalSigner
  onFatal: (error: Error) => void
}

/** A node's part as a manager: begins it, ends it, and begins it anew when the disk lost what the manager promised. */
export class ManagerRole {
  readonly #deps: ManagerRoleDeps
  readonly #dataDir: string
  #runtime: ManagerRuntime | undefined
  #autolock: Autolock | undefined
  #damage = ''
  /** Aborts what the last start began, as soon as it is to end. */
  #over = new AbortController()
  #recovering: Promise<void> | undefined

  constructor(deps: ManagerRoleDeps, options: { dataDir: string }) {
    this.#deps = deps
    this.#dataDir = options.dataDir
  }

  /** Present while this node takes part in consensus. */
  get runtime(): ManagerRuntime | undefined {
    return this.#runtime
  }

  /** Why this manager does not vote for now; empty otherwise. */
  get damage(): string {
    return this.#damage === '' ? '' : recoveryText(this.#damage)
  }

  get isActive(): boolean {
    return this.#runtime !== undefined || this.#recovering !== undefined
  }

  /** Takes part in consensus, or begins to take the state anew. Rejects when neither can be. */
  async start(bootstrap: ManagerRuntimeOptions['bootstrap']): Promise<void> {
    this.#over = new AbortController()
    const record = this.#deps.record()
    // Whoever promised something and has no log any more must not take part as who it was.
    if (record.hasLog && !bootstrap && !(await hasLogOnDisk(this.#dataDir))) {
      return this.#recover('the log of this manager is gone from its disk')
    }
    // Before anything can be promised.
    if (!record.hasLog) await this.#deps.setRecord({ ...record, hasLog: true })
    try {
      await this.#run(bootstrap)
    } catch (error) {
      if (!(error instanceof StorageCorruptError)) throw error
      return this.#recover(`the disk of this manager is damaged (${error.message})`)
    }
  }

  /** The daemon ends, or the node leaves: what is on disk stays. */
  async stop(): Promise<void> {
    this.#over.abort()
    // First: it may be about to start what is stopped here.
    await this.#recovering
    const unlocking = this.#autolock?.stop()
    await this.#runtime?.stop()
    // After that: it may wait for a read, which ends with the runtime. Whoever comes next writes the same files.
    await unlocking
    this.#runtime = undefined
  }

  /** A demoted manager forgets the cluster's state. */
  async end(): Promise<void> {
    const wasActive = this.isActive
    await this.stop()
    this.#damage = ''
    const { hasLog, ...record } = this.#deps.record()
    if (hasLog) await this.#deps.setRecord(record)
    await rm(raftDirectory(this.#dataDir), { recursive: true, force: true })
    const keys = this.#deps.keys()
    // A crash during the demotion may have left a lock, whose key a worker is never told.
    if (wasActive || keys.isLocked) await keys.renew()
  }

  #others() {
    const { nodeId, managers } = this.#deps.record()
    return managers.filter((manager) => manager.nodeId !== nodeId)
  }

  async #recover(damage: string): Promise<void> {
    if (this.#others().length === 0) throw onlyManagerError(damage)
    // Before anybody is asked: what is left (a state without its log) would be in the way of the new log.
    await this.#setAside(damage)
    this.#damage = damage
    this.#deps.log.error({}, this.damage)
    this.#recovering = this.#beginAnew(this.#over.signal)
      .catch(this.#deps.onFatal)
      .finally(() => {
        this.#recovering = undefined
      })
  }

  async #setAside(damage: string): Promise<void> {
    const aside = await setAsideLog(this.#dataDir)
    if (aside === undefined) return
    this.#deps.log.error({ error: damage, aside }, 'damaged log and state are put aside')
  }

  async #beginAnew(over: AbortSignal): Promise<void> {
    const { pool, clock, log } = this.#deps
    const managers = () => this.#others()
    if (!(await askToRejoin({ pool, clock, log, managers }, over))) return
    await this.#runAnew(over)
    while (!over.aborted && !this.#runtime?.isVoter) await sleep(clock, VOTER_POLL_MS, over)
    if (over.aborted) return
    this.#damage = ''
    log.info({}, 'this manager has the state again and votes')
  }

  /** What its disk refuses for now is tried again: the other managers went on without it anyway. */
  async #runAnew(over: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps
    while (!over.aborted) {
      try {
        return await this.#run(undefined)
      } catch (error) {
        const { message } = toSwarmctlError(error)
        log.warn({ error: message }, 'can not begin anew yet')
        // It was begun after this node was let in and never took part: nobody was promised anything in it.
        if (error instanceof StorageCorruptError) await this.#setAside(message).catch(() => {})
        await sleep(clock, RUN_RETRY_MS, over)
      }
    }
  }

  async #run(bootstrap: ManagerRuntimeOptions['bootstrap']): Promise<void> {
    const { keys, record, clock, log } = this.#deps
    const { nodeId, advertiseAddr, forcesNewCluster } = record()
    const runtime = new ManagerRuntime(
      {
        ...this.#deps,
        knownManagers: () => ({
          managers: record().managers,
          asOf: record().managersAsOf ?? 0,
        }),
        onForced: () => this.#onForced(),
      },
      {
        nodeId,
        addr: advertiseAddr,
        dataDir: this.#dataDir,
        dataKey: keys().dataKey,
        ...(bootstrap && { bootstrap }),
        ...(forcesNewCluster && { forcesNewCluster }),
      },
    )
    try {
      await runtime.start()
    } catch (error) {
      // What it opened and registered would be in the way of the next attempt.
      await runtime.stop().catch(() => {})
      throw error
    }
    this.#runtime = runtime
    this.#autolock = new Autolock({ store: runtime.store, keys: keys(), clock, log })
    this.#autolock.start()
  }

  /** The other managers are forgotten: from now on this is a cluster as any. */
  #onForced(): Promise<void> {
    const { forcesNewCluster: _done, ...record } = this.#deps.record()
    return this.#deps.setRecord(record)
  }
}
