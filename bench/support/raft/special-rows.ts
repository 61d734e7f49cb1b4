/** The rows that are more than a load on both sides. */
import { readFileSync } from 'node:fs'
import { BareCluster } from './bare-cluster.ts'
import type { ClientProcess } from './client-process.ts'
import type { MemberStatus } from './job.ts'
import type { ManagerCluster } from './managers.ts'
import type { BenchNetwork } from './network.ts'
import { until } from './server-process.ts'
import type { RaftSubject } from './subject.ts'

const HEALTHY_TIMEOUT_MS = 60_000
const FAILOVER_TRIALS = 12
const START_OBJECTS = 100_000
const MEMORY_CLIENTS = 256
/** The first measurement of memory is at this share of the writes. */
const MEMORY_SHARE = 10
const KIB_PER_MIB = 1024

/** One value of a row that one side alone has. */
export interface Fact {
  readonly label: string
  readonly value: number
  readonly unit: string
  /** What it should at most (or at least) be. */
  readonly limit?: { readonly kind: 'max' | 'min'; readonly value: number }
}

/** Resolves when all members answer, one leads, and none is far behind. */
export const untilHealthy = (client: ClientProcess): Promise<readonly MemberStatus[]> =>
  until('a healthy cluster', HEALTHY_TIMEOUT_MS, async () => {
    const members = await client.status()
    const up = members.filter((member) => member !== null)
    if (up.length < members.length || !up.some(({ isLeader }) => isLeader)) return undefined
    const applied = up.map((member) => member.applied)
    return Math.max(...applied) - Math.min(...applied) < 500 ? up : undefined
  })

/** Milliseconds of each trial: SIGKILL of the leader to the first acknowledged write elsewhere. */
export const measureFailover = async (
  subject: RaftSubject,
  client: ClientProcess,
  say: (text: string) => void,
): Promise<number[]> => {
  const samples: number[] = []
  for (let trial = 1; trial <= FAILOVER_TRIALS; trial += 1) {
    const members = await untilHealthy(client)
    const leader = members.findIndex(({ isLeader }) => isLeader)
    const ms = await client.failover(leader)
    samples.push(ms)
    say(`  ${subject.name} failover ${trial}: ${ms.toFixed(0)} ms`)
    await subject.member(leader).exited()
    await subject.startMember(leader)
    await client.open(subject.target())
  }
  return samples
}

/** A daemon's start until it takes part again, with 100,000 objects in its state. */
export const measureStart = async (
  subject: ManagerCluster,
  client: ClientProcess,
): Promise<Fact[]> => {
  await client.fill(START_OBJECTS)
  const members = await untilHealthy(client)
  const follower = members.findIndex(({ isLeader }) => !isLeader)
  await subject.member(follower).stop()
  const startMs = performance.now()
  await subject.startMember(follower)
  await subject.untilActive(follower)
  const value = (performance.now() - startMs) / 1000
  return [
    { label: 'start to active', value, unit: 's', limit: { kind: 'max', value: 3 } },
    { label: 'memory after it', value: residentMiB(subject.member(follower).pid), unit: 'MiB' },
  ]
}

/** Resident memory of the leader after a tenth of the writes and after all, with a follower down. */
export const measureMemory = async (
  subject: RaftSubject,
  client: ClientProcess,
  writes: number,
  say: (text: string) => void,
): Promise<Fact[]> => {
  const members = await untilHealthy(client)
  const leader = members.findIndex(({ isLeader }) => isLeader)
  const down = subject.member(members.findIndex(({ isLeader }) => !isLeader))
  down.kill('SIGKILL')
  await down.exited()
  const { pid } = subject.member(leader)
  const first = Math.ceil(writes / MEMORY_SHARE)
  const churn = async (countMax: number) => {
    const load = { operation: 'churn', clients: MEMORY_CLIENTS, warmUpMs: 0, measureMs: 0 } as const
    await client.load({ ...load, countMax })
  }
  await churn(first)
  const early = residentMiB(pid)
  say(`  ${subject.name} memory after ${first} writes: ${early.toFixed(0)} MiB`)
  await churn(writes - first)
  const late = residentMiB(pid)
  return [
    { label: `leader after ${first} writes`, value: early, unit: 'MiB' },
    { label: `leader after ${writes} writes`, value: late, unit: 'MiB' },
    { label: 'growth', value: late / early, unit: '×', limit: { kind: 'max', value: 1.2 } },
  ]
}

/** Proposals per second of the core alone. */
export const measureCore = async (network: BenchNetwork, directory: string): Promise<Fact[]> => {
  const cluster = new BareCluster(network, directory, false)
  try {
    const value = await cluster.measureCore()
    return [{ label: 'proposals, 256 at once, in the leader itself', value, unit: '/s' }]
  } finally {
    await cluster.close()
  }
}

/** Pauses of the event loops of the leader and of a new manager while that one gets 100,000 tasks under load. */
export const measureSnapshot = async (
  network: BenchNetwork,
  directory: string,
): Promise<Fact[]> => {
  const cluster = new BareCluster(network, directory, true)
  try {
    const { leader, newcomer, tookMs, writesPerSecond } = await cluster.measureSnapshot()
    const limit = { kind: 'max', value: 50 } as const
    return [
      { label: "pause of the leader's event loop, p99", value: leader.p99Ms, unit: 'ms', limit },
      { label: 'longest pause of the leader', value: leader.maxMs, unit: 'ms' },
      { label: "pause of the new manager's event loop, p99", value: newcomer.p99Ms, unit: 'ms' },
      { label: 'longest pause of the new manager', value: newcomer.maxMs, unit: 'ms' },
      { label: 'until the new manager had everything', value: tookMs / 1000, unit: 's' },
      { label: 'writes meanwhile', value: writesPerSecond, unit: '/s' },
    ]
  } finally {
    await cluster.close()
  }
}

const residentMiB = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / KIB_PER_MIB
