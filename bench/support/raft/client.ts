/** The process of the clients: does the jobs that the bench sends, one at a time. */
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { EtcdClient } from './etcd-client.ts'
import { HttpClient } from './http-client.ts'
import type { Answer, Job, Load, LoadResult, Target } from './job.ts'
import { ManagerClient } from './manager-client.ts'
import type { StoreClient } from './store-client.ts'
import { MEMBERS } from './subject.ts'

/** More connections made neither side faster: each is one more write and one more process to wake. */
const CONNECTIONS_MAX = 2
/** Keys that reads are spread over. */
const READ_KEYS = 1_000
const FILL_WORKERS = 256
const PROBE_MS = 5
const FAILOVER_LIMIT_MS = 30_000
/** Linux counts CPU time in these (USER_HZ). */
const CPU_TICK_MS = 10

interface Session {
  readonly target: Target
  readonly client: StoreClient
}

let session: Session | undefined

const current = (): Session => {
  if (session === undefined) throw new Error('no cluster is open')
  return session
}

const leaderOf = async ({ client }: Session): Promise<number> => {
  for (let member = 0; member < MEMBERS; member += 1) {
    const status = await client.status(member).catch(() => undefined)
    if (status?.isLeader) return member
  }
  throw new Error('there is no leader')
}

const cpuMs = (pids: readonly number[]): number => {
  let ticks = 0
  for (const pid of pids) {
    // The follower that is down in the row about memory.
    if (!existsSync(`/proc/${pid}`)) continue
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // After the name in parentheses; user and system time are fields 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    ticks += Number(fields[11]) + Number(fields[12])
  }
  return ticks * CPU_TICK_MS
}

/** CPU time that the whole machine was busy, milliseconds. */
const machineCpuMs = (): number => {
  const [, user, nice, system, , , irq, softirq] = readFileSync('/proc/stat', 'utf8')
    .split('\n', 1)[0]!
    .split(/\s+/)
    .map(Number) as [number, number, number, number, number, number, number, number]
  return (user + nice + system + irq + softirq) * CPU_TICK_MS
}

/** Runs `operation` in so many loops, each waiting for its answer. */
const closedLoop = async (
  load: Load,
  pids: readonly number[],
  operation: (worker: number) => Promise<unknown>,
): Promise<LoadResult> => {
  const { clients, warmUpMs, measureMs, countMax = Number.POSITIVE_INFINITY } = load
  const latencies: number[] = []
  let total = 0
  let isMeasuring = false
  let isOver = false
  let failure: unknown
  const loop = async (worker: number) => {
    while (!isOver && total < countMax) {
      const startMs = performance.now()
      await operation(worker)
      if (isMeasuring) latencies.push(performance.now() - startMs)
      total += 1
    }
  }
  const loops = Promise.all(Array.from({ length: clients }, (_, worker) => loop(worker))).catch(
    (error) => {
      failure = error
    },
  )
  await sleep(warmUpMs)
  isMeasuring = true
  const [startMs, startCpuMs, startOwn] = [performance.now(), cpuMs(pids), process.cpuUsage()]
  const startMachineMs = machineCpuMs()
  await (Number.isFinite(countMax) ? loops : sleep(measureMs))
  isMeasuring = false
  const tookMs = performance.now() - startMs
  const [usedCpuMs, own] = [cpuMs(pids) - startCpuMs, process.cpuUsage(startOwn)]
  const ownMs = (own.user + own.system) / 1000
  const foreignMs = machineCpuMs() - startMachineMs - usedCpuMs - ownMs
  isOver = true
  await loops
  if (failure !== undefined) throw failure
  latencies.sort((a, b) => a - b)
  const count = latencies.length
  const at = (share: number) => latencies[Math.min(count - 1, Math.floor(share * count))] ?? 0
  return {
    perSecond: (count / tookMs) * 1000,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    cpuUs: (usedCpuMs * 1000) / count,
    clientCpuUs: (own.user + own.system) / count,
    totalCount: total,
    foreignCores: Math.max(0, foreignMs / tookMs),
  }
}

const runLoad = async (load: Load): Promise<LoadResult> => {
  const { target, client } = current()
  const leader = await leaderOf(current())
  const { operation, clients } = load
  if (operation === 'http-put') {
    const http = new HttpClient(target)
    await http.open(leader, clients)
    try {
      return await closedLoop(load, target.pids, (worker) => http.put(worker))
    } finally {
      http.close()
    }
  }
  await client.open([leader], Math.min(clients, CONNECTIONS_MAX))
  try {
    return await closedLoop(load, target.pids, await operationOf(load, client, leader))
  } finally {
    client.close()
  }
}

const operationOf = async (
  { operation }: Load,
  client: StoreClient,
  leader: number,
): Promise<(worker: number) => Promise<unknown>> => {
  if (operation === 'put') return (worker) => client.put(leader, worker)
  if (operation === 'churn') {
    const own = new Map<number, string>()
    return async (worker) => {
      const ref = own.get(worker)
      if (ref === undefined) own.set(worker, await client.put(leader, worker))
      else {
        own.delete(worker)
        await client.remove(leader, worker, ref)
      }
    }
  }
  const keys = await Promise.all(
    Array.from({ length: READ_KEYS }, (_, worker) => client.put(leader, worker)),
  )
  let next = 0
  return (worker) => client.get(leader, worker, keys[next++ % READ_KEYS] as string)
}

const fill = async (count: number): Promise<void> => {
  const { client } = current()
  const leader = await leaderOf(current())
  await client.open([leader], CONNECTIONS_MAX)
  let left = count
  const worker = async (index: number) => {
    while (left > 0) {
      left -= 1
      await client.put(leader, index)
    }
  }
  await Promise.all(Array.from({ length: FILL_WORKERS }, (_, index) => worker(index)))
  client.close()
}

const failover = async (leader: number): Promise<number> => {
  const { target, client } = current()
  const survivors = Array.from({ length: MEMBERS }, (_, at) => at).filter((at) => at !== leader)
  await client.open(survivors, 1)
  let acknowledgedMs: number | undefined
  process.kill(target.pids[leader] as number, 'SIGKILL')
  const startMs = performance.now()
  while (acknowledgedMs === undefined && performance.now() - startMs < FAILOVER_LIMIT_MS) {
    for (const member of survivors) {
      client.put(member, 0).then(
        () => {
          acknowledgedMs ??= performance.now()
        },
        // Nobody leads yet.
        () => {},
      )
    }
    await sleep(PROBE_MS)
  }
  client.close()
  if (acknowledgedMs === undefined) throw new Error('no write was acknowledged any more')
  return acknowledgedMs - startMs
}

const run = async (job: Job): Promise<Answer> => {
  switch (job.kind) {
    case 'open': {
      const { target, etcdClient } = job
      const client =
        target.subject === 'etcd' ? new EtcdClient(target, etcdClient) : new ManagerClient(target)
      session = { target, client }
      return { kind: 'done' }
    }
    case 'status': {
      const { client } = current()
      const indexes = Array.from({ length: MEMBERS }, (_, at) => at)
      const members = await Promise.all(
        indexes.map((member) => client.status(member).catch(() => null)),
      )
      return { kind: 'status', members }
    }
    case 'load':
      return { kind: 'load', result: await runLoad(job.load) }
    case 'fill':
      await fill(job.count)
      return { kind: 'done' }
    case 'failover':
      return { kind: 'failover', ms: await failover(job.leader) }
    case 'close':
      session?.client.close()
      session = undefined
      return { kind: 'done' }
    default:
      return job satisfies never
  }
}

process.on('message', (job: Job) => {
  void run(job)
    .catch((error: Error): Answer => ({ kind: 'failed', message: error.message }))
    .then((answer) => process.send?.(answer))
})
process.on('disconnect', () => process.exit(0))
