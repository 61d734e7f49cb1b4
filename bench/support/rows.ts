import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '../../test/support/lab/eventually.ts'
import type { LabHost } from '../../test/support/lab/host.ts'
import { countRunning, untilNoContainers } from './engine-containers.ts'
import { EngineWatch } from './engine-watch.ts'
import { demand, leaderOf, MANAGERS, type Subject, untilWhole } from './subject.ts'
import { serviceBody } from './workload.ts'

/** How long one measurement may take; beyond it, it has failed. */
const LIMIT_MS = 180_000
/** One write attempt of a client; then it asks again. */
const WRITE_TIMEOUT_MS = 2000
const WRITE_PAUSE_MS = 20
/** Two of them on each host. */
const REPLICAS_IN_FAULTS = 8
/** After a service runs: what its start has left to do is not part of what comes. */
const CALM_MS = 1500

/** A row of the table: one event measured on one subject, milliseconds. */
export interface Row {
  readonly name: string
  /** Completes a line of the table. */
  readonly title: string
  /** What the project asks of itself: the ratio of the medians, at most. */
  readonly ratioMax: number
  /** The ratio to the floor, where there is one. */
  readonly floorRatioMax?: number
  /** Replicas of the floor's measurement. */
  readonly floorCount?: number
  readonly measure: (subject: Subject, hosts: readonly LabHost[]) => Promise<number>
}

/** Runs `body` while a service runs, and removes the service whatever happens. */
const withService = async <T>(
  subject: Subject,
  hosts: readonly LabHost[],
  service: { name: string; replicas: number; restartDelayNs?: number },
  body: (watch: EngineWatch) => Promise<T>,
): Promise<T> => {
  const watch = await EngineWatch.open(hosts, service.name)
  try {
    const { name, replicas, restartDelayNs } = service
    await post(subject, hosts[0] as LabHost, serviceBody(name, replicas, restartDelayNs))
    await watch.until(name, (running) => running.length === replicas, LIMIT_MS)
    await sleep(CALM_MS)
    return await body(watch)
  } finally {
    watch.close()
    await removeService(subject, hosts, service.name)
  }
}

const post = (subject: Subject, host: LabHost, body: object) =>
  demand(subject, host, '/services/create', { body, timeoutMs: LIMIT_MS })

const removeService = async (
  subject: Subject,
  hosts: readonly LabHost[],
  name: string,
): Promise<void> => {
  await eventually(
    async () => {
      const manager = hosts.slice(0, MANAGERS).find((host) => host.isOn) as LabHost
      const answer = await subject.api(manager, `/services/${name}`, { method: 'DELETE' })
      return answer.status < 300 || answer.status === 404
    },
    { what: `${name} is removed`, timeoutMs: LIMIT_MS },
  )
  await untilNoContainers(hosts.filter((host) => host.isOn))
}

/** From the request to the last replica's start. The request goes to a manager of the first host. */
const measureCreate =
  (replicas: number) =>
  async (subject: Subject, hosts: readonly LabHost[]): Promise<number> => {
    const name = `create-${replicas}`
    const watch = await EngineWatch.open(hosts, name)
    try {
      const beganMs = Date.now()
      await post(subject, hosts[0] as LabHost, serviceBody(name, replicas))
      const endedMs = await watch.until(name, (seen) => seen.length === replicas, LIMIT_MS)
      const counted = await countRunning(hosts, name)
      if (counted !== replicas)
        throw new Error(`${counted} of ${replicas} run after the last start`)
      return endedMs - beganMs
    } finally {
      watch.close()
      await removeService(subject, hosts, name)
    }
  }

const measureRestart = (subject: Subject, hosts: readonly LabHost[]): Promise<number> => {
  const service = { name: 'restart', replicas: REPLICAS_IN_FAULTS, restartDelayNs: 0 }
  return withService(subject, hosts, service, async (watch) => {
    const worker = hosts.at(-1)
    const killed = watch.running.find(({ host }) => host === worker)
    if (killed === undefined) throw new Error(`nothing runs on ${worker?.name}`)
    const beganMs = Date.now()
    const path = `/containers/${killed.id}/kill`
    const answer = await killed.host.engineRequest(path, { method: 'POST' })
    if (answer.status !== 204) throw new Error(answer.text)
    const endedMs = await watch.until(
      'replacement',
      (seen) => seen.length === service.replicas && seen.every(({ id }) => id !== killed.id),
      LIMIT_MS,
    )
    return endedMs - beganMs
  })
}

const measureDeath =
  (name: string, victimOf: (subject: Subject, hosts: readonly LabHost[]) => Promise<LabHost>) =>
  (subject: Subject, hosts: readonly LabHost[]): Promise<number> =>
    withService(subject, hosts, { name, replicas: REPLICAS_IN_FAULTS }, async (watch) => {
      const victim = await victimOf(subject, hosts)
      if (watch.running.every(({ host }) => host !== victim))
        throw new Error(`nothing runs on ${victim.name}`)
      const living = hosts.filter((host) => host !== victim)
      const beganMs = Date.now()
      try {
        // The cable first: a host without power says goodbye to nobody.
        await victim.cutLink()
        watch.drop(victim)
        victim.die()
        const endedMs = await watch.until(
          'tasks run elsewhere',
          (seen) => seen.length === REPLICAS_IN_FAULTS,
          LIMIT_MS,
        )
        const counted = await countRunning(living, name)
        if (counted !== REPLICAS_IN_FAULTS) throw new Error(`${counted} run after the last start`)
        return endedMs - beganMs
      } finally {
        await subject.reboot(victim)
        await untilWhole(subject, hosts)
      }
    })

/** From the kill to the first write that a manager has acknowledged. Clients ask the other managers again and again. */
const measureLeaderKill = async (subject: Subject, hosts: readonly LabHost[]): Promise<number> => {
  const managers = hosts.slice(0, MANAGERS)
  const leader = await leaderOf(subject, hosts, hosts[0] as LabHost)
  const others = managers.filter((host) => host !== leader)
  let isOver = false
  try {
    const beganMs = Date.now()
    await subject.killManager(leader)
    const write = async (host: LabHost): Promise<number> => {
      for (let attempt = 0; !isOver; attempt += 1) {
        if (Date.now() - beganMs > LIMIT_MS) break
        const body = { Name: `write-${host.name}-${beganMs}-${attempt}`, Labels: {}, Data: 'eA==' }
        const options = { body, timeoutMs: WRITE_TIMEOUT_MS }
        const answer = await subject.api(host, '/configs/create', options).catch(() => undefined)
        if (answer?.status === 201) return Date.now()
        await sleep(WRITE_PAUSE_MS)
      }
      throw new Error(`no write within ${LIMIT_MS / 1000} s`)
    }
    return (await Promise.any(others.map(write))) - beganMs
  } finally {
    isOver = true
    await subject.startManager(leader)
    await untilWhole(subject, hosts)
  }
}

/** Every row, in the order in which a round runs them: the gentle ones first. */
export const ROWS: readonly Row[] = [
  {
    name: 'create-10',
    title: 'create request → 10 replicas running',
    ratioMax: 1,
    floorRatioMax: 1.2,
    floorCount: 10,
    measure: measureCreate(10),
  },
  {
    name: 'create-30',
    title: 'create request → 30 replicas running',
    ratioMax: 1,
    floorRatioMax: 1.2,
    floorCount: 30,
    measure: measureCreate(30),
  },
  {
    name: 'restart',
    title: 'container killed → its replacement runs (restart delay 0)',
    ratioMax: 1,
    measure: measureRestart,
  },
  {
    name: 'worker-death',
    title: 'a worker host dies → its tasks run elsewhere',
    ratioMax: 0.35,
    measure: measureDeath('worker-death', async (_, hosts) => hosts.at(-1) as LabHost),
  },
  {
    name: 'leader-death',
    title: "the leader's host dies → its tasks run elsewhere",
    ratioMax: 0.25,
    measure: measureDeath('leader-death', (subject, hosts) =>
      leaderOf(subject, hosts, hosts[0] as LabHost),
    ),
  },
  {
    name: 'leader-kill',
    title: 'leader daemon killed → next acknowledged write',
    ratioMax: 0.25,
    measure: measureLeaderKill,
  },
]
