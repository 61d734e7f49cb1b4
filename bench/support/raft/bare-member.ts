/**
 * A member without a daemon: consensus, its disk and its network, with nothing or the store on top. For what can't be asked of a
 * daemon: the core's own speed, and how long its event loop stands still while it sends a snapshot.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { newId } from '../../../src/api/id.ts'
import type { ObjectByKind } from '../../../src/api/object.ts'
import { encodeAddr } from '../../../src/daemon/raft-group.ts'
import { RaftLink } from '../../../src/daemon/raft-link.ts'
import { RaftProposer } from '../../../src/daemon/raft-proposer.ts'
import { newMeta } from '../../../src/manager/store/new-meta.ts'
import { StoreState } from '../../../src/manager/store/state.ts'
import { Store } from '../../../src/manager/store/store.ts'
import { type Credentials, readCredentials } from '../../../src/pki/credentials.ts'
import { RaftNode } from '../../../src/raft/node.ts'
import type { StateMachine } from '../../../src/raft/node-ports.ts'
import { LevelStateStorage } from '../../../src/raft/state-storage.ts'
import { FileWal } from '../../../src/raft/wal.ts'
import { NodeWalFiles } from '../../../src/raft/wal-files.ts'
import { RpcHandlers } from '../../../src/rpc/handlers.ts'
import { RpcPool } from '../../../src/rpc/pool.ts'
import { RpcServer } from '../../../src/rpc/server.ts'
import { noLog, realClock } from '../../../test/support/rpc/cluster-fixture.ts'
import type { BareAnswer, BareJob, BareStart, Pauses } from './bare-job.ts'
import { benchTask } from './task-object.ts'

const COMMAND_BYTES = 24 + 256
const PAUSE_RESOLUTION_MS = 1
const NS_PER_MS = 1e6

interface Running {
  readonly node: RaftNode
  readonly store: Store
}

let running: Running | undefined
const pauses = monitorEventLoopDelay({ resolution: PAUSE_RESOLUTION_MS })

const current = (): Running => {
  if (running === undefined) throw new Error('the member was not started')
  return running
}

/** Applies a command by taking note of it: what is left is consensus. */
const nothing: StateMachine = {
  check: () => {},
  apply: () => ({ result: undefined, writes: [] }),
  beginRestore: () => ({ add: () => {}, commit: async () => {} }),
}

const start = async (options: BareStart): Promise<void> => {
  const { id, addrs, voters, directory, hasStore } = options
  const credentials: Credentials = readCredentials(options.credentials)
  const handlers = new RpcHandlers()
  const deps = { handlers, log: noLog, clock: realClock }
  const pool = () => new RpcPool({ ...deps, random: Math.random }, { credentials })
  const server = new RpcServer(deps, { listenAddr: addrs[id] as string, credentials })
  await server.start()
  const link = new RaftLink({
    ...{ handlers, pool: pool(), bulkPool: pool(), addrOf: (to) => addrs[to] },
    senderOf: () => ({ isDemoted: false, isManagerAgain: true }),
  })
  const clock = {
    after: realClock.schedule,
    defer: (callback: () => void) => void setImmediate(callback),
  }
  mkdirSync(directory, { recursive: true })
  const dataKey = new Uint8Array(32).fill(7)
  const state = new StoreState()
  const node = new RaftNode(
    {
      wal: new FileWal({ files: new NodeWalFiles(join(directory, 'wal')), clock, dataKey }),
      state: new LevelStateStorage(join(directory, 'state'), {
        ...{ clock, dataKey, onTrouble: (error: Error) => fail(error) },
      }),
      transport: link,
      stateMachine: hasStore ? state : nothing,
      clock,
      random: Math.random,
      log: { info: () => {}, warn: () => {} },
      onFatal: (error) => fail(error),
    },
    {
      id,
      keepEntriesMax: 1000,
      ...(voters.includes(id) && {
        initialVoters: voters.map((of) => ({ id: of, context: encodeAddr(addrs[of] as string) })),
      }),
    },
  )
  const proposer = new RaftProposer(() => node)
  running = { node, store: new Store({ state, proposer, clock: realClock }) }
  await node.start()
}

/** Closed loops in this process for a time; how many proposals were applied in it. */
const propose = async (clients: number, ms: number): Promise<number> => {
  const { node } = current()
  const command = new Uint8Array(COMMAND_BYTES).fill(1)
  const endMs = performance.now() + ms
  let count = 0
  const loop = async () => {
    while (performance.now() < endMs) {
      await node.propose(command)
      count += 1
    }
  }
  await Promise.all(Array.from({ length: clients }, loop))
  return count
}

const seed = (count: number): Promise<void> =>
  current().store.batch(
    (function* () {
      for (let at = 0; at < count; at += 1) {
        const task = benchTask(at)
        yield (tx) => tx.put('task', task)
      }
    })(),
  )

/** Writes with so many clients, adds a member, and measures this process's pauses until that one has everything. */
const addMember = async (id: string, addr: string, clients: number): Promise<BareAnswer> => {
  const { node, store } = current()
  let isOver = false
  let writes = 0
  const loop = async () => {
    while (!isOver) {
      const config = { ...newMeta(newId()), Spec: { Name: newId(), Labels: {}, Data: 'YQ==' } }
      await store.update((tx) => tx.put('config', config as ObjectByKind['config']))
      writes += 1
    }
  }
  const loops = Promise.all(Array.from({ length: clients }, loop))
  pauses.enable()
  const startMs = performance.now()
  await node.addLearner(id, encodeAddr(addr))
  const target = node.status().committed
  while ((node.status().peers.get(id)?.matched ?? 0) < target) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_RESOLUTION_MS * 10))
  }
  const tookMs = performance.now() - startMs
  const measured = endPauses()
  isOver = true
  await loops
  return { kind: 'added', pauses: measured, tookMs, writesPerSecond: (writes / tookMs) * 1000 }
}

const endPauses = (): Pauses => {
  pauses.disable()
  return { p99Ms: pauses.percentile(99) / NS_PER_MS, maxMs: pauses.max / NS_PER_MS }
}

const run = async (job: BareJob): Promise<BareAnswer> => {
  switch (job.kind) {
    case 'start':
      await start(job.start)
      return { kind: 'done' }
    case 'role':
      return { kind: 'role', isLeader: current().node.status().role === 'leader' }
    case 'propose':
      return { kind: 'count', count: await propose(job.clients, job.ms) }
    case 'seed':
      await seed(job.count)
      return { kind: 'done' }
    case 'add-member':
      return addMember(job.id, job.addr, job.clients)
    case 'watch-pauses':
      pauses.enable()
      return { kind: 'done' }
    case 'pauses':
      return { kind: 'pauses', pauses: endPauses() }
    default:
      return job satisfies never
  }
}

const fail = (error: Error): void => {
  process.send?.({ kind: 'failed', message: error.message } satisfies BareAnswer)
}

process.on('message', (job: BareJob) => {
  void run(job)
    .catch((error: Error): BareAnswer => ({ kind: 'failed', message: error.message }))
    .then((answer) => process.send?.(answer))
})
process.on('disconnect', () => process.exit(0))
