// A machine with one manager: its disk, which survives, and the process that runs on it now.

import type { ManagersList } from '../../../src/api/assignment.ts'
import type { Log } from '../../../src/api/log.ts'
import type { Node } from '../../../src/api/node.ts'
import { ManagerRuntime } from '../../../src/daemon/manager-runtime.ts'
import { RaftError } from '../../../src/raft/errors.ts'
import { MemoryStateDisk, MemoryStateStorage } from '../../../src/raft/memory-state-storage.ts'
import { FileWal } from '../../../src/raft/wal.ts'
import { RpcHandlers } from '../../../src/rpc/handlers.ts'
import { sampleCluster, sampleNode } from '../objects.ts'
import { TICK_MS, ticksOf } from '../raft/raft-faults.ts'
import type { VirtualClock } from '../raft/virtual-clock.ts'
import { ApiHop } from './api-hop.ts'
import type { ManagerChecker } from './manager-checker.ts'
import type { ManagerFaults } from './manager-faults.ts'
import { ObservedState } from './observed-state.ts'
import { LogRecord, ObservedWal } from './observed-wal.ts'
import { Process } from './process.ts'
import { isDiskFault, SimulatedDisk } from './simulated-disk.ts'
import type { Endpoint, SimulatedNetwork } from './simulated-network.ts'
import { SimulatedPool } from './simulated-pool.ts'
import type { Trace } from './trace.ts'

/** How long what is applied waits until it is stored, milliseconds. Less than with LevelStateStorage, so that each seed stays what it was. */
const FLUSH_DELAY_MS = 75
const DISK_FULL_RETRY_MS = 1_000
/** How late a node's agent hears of another list of managers, milliseconds. */
const AGENT_MS = 200
/** So many whole snapshots find a full disk when they are to come into use: the moment is a short one. */
const REFUSED_SNAPSHOTS = 0.1
const DATA_KEY = new Uint8Array(32).fill(7)

/** What all hosts share. */
export interface World {
  clock: VirtualClock
  random: () => number
  trace: Trace
  network: SimulatedNetwork
  checker: ManagerChecker
  faults: ManagerFaults
  /** Faults happen; false in the quiet end. */
  isFaulty: () => boolean
  newId: () => string
  /** The managers as a leader tells them to a node's agent; undefined while none reaches it. */
  managersToldTo: (host: Host) => ManagersList | undefined
  /** A manager ended itself, or did not start. */
  onCrash: (host: Host) => void
  /** A process died in the middle of a call. */
  onKilled: (host: Host) => void
  onTouched: (host: Host) => void
}

/** A process with a manager in it. */
export interface Life {
  readonly process: Process
  readonly runtime: ManagerRuntime
  readonly hop: ApiHop
  started: boolean
}

/** What became of a host. */
export type HostState =
  /** A manager runs here, or will again. */
  | 'manager'
  /** Its log is damaged or gone: it waits for its removal. */
  | 'lost'
  /** It was demoted and forgot the state. */
  | 'worker'

export class Host {
  readonly id: string
  readonly addr: string
  readonly number: number
  readonly disk: SimulatedDisk
  readonly record = new LogRecord()
  state: HostState = 'manager'
  life: Life | undefined
  /** It stays down whatever would start it. */
  isFrozen = false
  readonly #world: World
  #stateDisk = new MemoryStateDisk()
  /** The first start of the first host makes the cluster. */
  #mayBegin: boolean
  #rate = 1
  #offsetMs = 0
  /** What the node's agent was told last; it outlives the process. */
  #managers: ManagersList = { managers: [], asOf: 0 }

  constructor(world: World, number: number) {
    this.#world = world
    this.number = number
    this.#mayBegin = number === 1
    this.id = `m${number}`
    this.addr = `192.168.0.${number}:2377`
    const { random, trace, faults } = world
    this.disk = new SimulatedDisk(this.id, {
      ...{ random, trace },
      latencyMs: () => random() * faults.diskMs,
      ioError: () => (world.isFaulty() ? faults.ioError : 0),
    })
    this.#rate = 1 + (random() * 2 - 1) * faults.skew
    this.#offsetMs = (random() * 2 - 1) * 10_000
  }

  /** The node's object, as its admission to the cluster writes it. */
  node(): Node {
    const node = sampleNode(this.id, this.number)
    return {
      ...node,
      Spec: { ...node.Spec, Role: 'manager' },
      Swarmctl: { ...node.Swarmctl, ObservedRole: 'manager', Addr: this.addr },
    }
  }

  /** Starts the process, unless one runs. */
  boot(): void {
    if (this.life !== undefined || this.isFrozen || this.state !== 'manager') return
    const { clock, random, trace, network, faults, checker } = this.#world
    trace.note(`${this.id} boots`)
    const process = new Process(
      {
        ...{ clock, random },
        onTouched: () => this.#world.onTouched(this),
        onKilled: () => this.#world.onKilled(this),
      },
      {
        ...{ id: this.id, rate: this.#rate, offsetMs: this.#offsetMs },
        killAtCall: () => (this.#world.isFaulty() ? faults.killAtCall : 0),
      },
    )
    const endpoint: Endpoint = {
      ...{ id: this.id, addr: this.addr, process, handlers: new RpcHandlers() },
    }
    checker.onStart(this.id)
    const hop = new ApiHop({
      self: endpoint,
      network,
      runtime: () => (this.life?.started ? this.life.runtime : undefined),
    })
    const runtime = this.#createRuntime(endpoint, hop)
    this.life = { process, runtime, hop, started: false }
    this.#mayBegin = false
    network.attach(endpoint)
    hop.serve()
    this.#listen(process)
    this.#start(this.life)
  }

  /** The process ends now; what was not stored is lost. */
  crash(): void {
    const { life } = this
    if (life === undefined) return
    this.life = undefined
    life.process.kill()
    this.disk.crash()
    this.#world.network.detach(life.process)
  }

  /** The disk is empty from now on. */
  wipe(): void {
    this.disk.wipe()
    this.record.wipe()
    this.#stateDisk = new MemoryStateDisk()
  }

  /** Somebody sets the clock. */
  setClock(offsetMs: number): void {
    this.#offsetMs = offsetMs
    if (this.life) this.life.process.offsetMs = offsetMs
  }

  /** The node's agent, as far as managers need it: it knows who they are. */
  #listen(process: Process): void {
    this.#managers = this.#world.managersToldTo(this) ?? this.#managers
    process.enter(AGENT_MS, () => this.#listen(process))
  }

  #start(life: Life): void {
    const { checker, trace } = this.#world
    life.runtime.start().then(
      () => {
        if (!life.process.alive) return
        life.started = true
        // What turned was nothing that anybody reads.
        this.disk.rottenBits = 0
        trace.note(`${this.id} started`)
        this.#world.onTouched(this)
      },
      (error: Error) => {
        if (!life.process.alive) return
        trace.note(`${this.id} did not start: ${error.message}`)
        const isCorrupt = error instanceof RaftError && error.code === 'RAFT_STORAGE_CORRUPT'
        if (isCorrupt && this.disk.rottenBits > 0) this.state = 'lost'
        else if (!isDiskFault(error)) checker.fail(`${this.id} did not start: ${error.stack}`)
        this.#world.onCrash(this)
      },
    )
  }

  #createRuntime(self: Endpoint, hop: ApiHop): ManagerRuntime {
    const { network, random, newId, faults, checker, trace } = this.#world
    const { keepEntriesMax, electionTicks, appendBytesMax } = faults
    const { process, handlers } = self
    return new ManagerRuntime(
      {
        ...{ handlers, random, newId, clock: process.clock, raftClock: process.raftClock },
        pool: new SimulatedPool(network, self),
        bulkPool: new SimulatedPool(network, self),
        log: quietLog(this.id, trace),
        knownManagers: () => this.#managers,
        onLeader: (nodeId) => hop.onLeader(nodeId),
        onFatal: (error) => {
          if (!process.alive) return
          trace.note(`${this.id} ends itself: ${error.message}`)
          if (!isDiskFault(error)) checker.fail(`${this.id} ended itself: ${error.stack}`)
          this.#world.onCrash(this)
        },
        storage: this.#storage(process),
      },
      {
        ...{ nodeId: this.id, addr: this.addr, dataDir: '/nowhere', dataKey: DATA_KEY },
        raft: {
          ...{ tickMs: TICK_MS, keepEntriesMax },
          core: { ...ticksOf(electionTicks), appendBytesMax },
        },
        ...(this.#mayBegin && { bootstrap: { cluster: sampleCluster(), node: this.node() } }),
      },
    )
  }

  #storage(process: Process) {
    const { checker, faults, random, isFaulty } = this.#world
    const { record, disk } = this
    const files = disk.filesOf(process)
    const { segmentBytes, diskMs } = faults
    const wal = new FileWal(
      { files, clock: process.raftClock, dataKey: DATA_KEY },
      { segmentBytes },
    )
    // LevelDB refuses a flush while the disk is full; it is tried again.
    const after = (delayMs: number, run: () => void): (() => void) =>
      process.raftClock.after(delayMs, () => {
        if (disk.isFull) after(DISK_FULL_RETRY_MS, run)
        else run()
      })
    const inner = new MemoryStateStorage({
      ...{ disk: this.#stateDisk, flushDelayMs: FLUSH_DELAY_MS },
      clock: { after, defer: process.raftClock.defer },
    })
    return {
      wal: new ObservedWal(wal, {
        ...{ id: this.id, record, checker, isAlive: () => process.alive },
      }),
      state: new ObservedState({
        ...{ inner, process, checker, record, latencyMs: () => random() * diskMs },
        isFull: () => disk.isFull,
        refusesSnapshot: () => disk.isFull || (isFaulty() && random() < REFUSED_SNAPSHOTS),
      }),
    }
  }
}

function quietLog(id: string, trace: Trace): Log {
  const log: Log = {
    debug: () => {},
    info: (fields, message) => trace.note(`${id} says ${message} ${JSON.stringify(fields)}`),
    warn: (fields, message) => trace.note(`${id} warns ${message} ${JSON.stringify(fields)}`),
    error: (fields, message) => trace.note(`${id} errs ${message} ${JSON.stringify(fields)}`),
    child: () => log,
  }
  return log
}
