import type { Service } from '../../api/service.ts'
import type { Task } from '../../api/task.ts'
import { isTerminal, isWanted, type TaskState } from '../../api/task-state.ts'
import { memorySize } from '../sizes.ts'
import { hasFailed } from '../task-trouble.ts'
import { autoscaleSentences } from './autoscale-diagnosis.ts'
import { exitMeaning } from './exit-codes.ts'
import type { HealthCheck, ServiceFacts } from './facts.ts'
import { isTroubled } from './facts.ts'
import { isLastRunWell, scheduleSentences } from './schedule-diagnosis.ts'
import { span } from './span.ts'

/** Why a service or a task is as it is: what `why --format json` prints. */
export interface Diagnosis {
  Kind: 'service' | 'task' | 'node'
  Name: string
  /** `1 of 3 tasks run`. */
  Summary: string
  AsItShouldBe: boolean
  /** The reasons, the most telling first, one sentence each. */
  Reasons: string[]
  Placement: { Node: string; Tasks: number; CPU: string; Memory: string; Verdict: string }[]
  /** Slots whose tasks ended by themselves. */
  Restarts: {
    Task: string
    Count: number
    Causes: string[]
    Last: string
    Node: string
    Next: string
  }[]
  Health: { Task: string; Node: string; Status: string; Checks: string[] }[]
  Logs: { Task: string; Node: string; Lines: string[] }[]
}

/** Milliseconds without an end after which a slot whose tasks kept ending counts as steady. */
const STEADY_MS = 60_000
/** Ends within the history that make a slot restless: one alone is what restarts are for. */
const RESTLESS_ENDS_MIN = 2
/** Slots and checks that are shown. */
const SHOWN_MAX = 10

const hostOf = ({ nodes }: ServiceFacts, task: Task): string =>
  nodes.find(({ ID }) => ID === task.NodeID)?.Description.Hostname ?? task.NodeID

const seatName = (facts: ServiceFacts, task: Task): string =>
  `${facts.service.Spec.Name}.${task.Slot ?? (hostOf(facts, task) || task.ID)}`

const sinceMs = (facts: ServiceFacts, time: string): number => facts.nowMs - Date.parse(time)

/** The newest task of each slot or node that is wanted, in order. */
const present = ({ tasks }: ServiceFacts): Task[] =>
  tasks.filter((task) => isWanted(task.DesiredState) && !isTerminal(task.Status.State))

/** Of these alone: the Engine goes on calling a container unhealthy that has ended. */
const sickOf = (facts: ServiceFacts): Task[] =>
  present(facts).filter((task) => facts.containers.get(task.ID)?.health?.Status === 'unhealthy')

const isJob = ({ Spec }: Service): boolean =>
  Spec.Mode?.ReplicatedJob !== undefined || Spec.Mode?.GlobalJob !== undefined

const goalOf = (facts: ServiceFacts): { wanted: number; done: number; word: string } => {
  const { service, placement, tasks } = facts
  const mode = service.Spec.Mode
  const count = (state: string, from: readonly Task[]) =>
    from.filter(({ Status }) => Status.State === state).length
  if (isJob(service)) {
    const iteration = service.JobStatus?.JobIteration.Index
    const own = tasks.filter(({ JobIteration }) => JobIteration?.Index === iteration)
    const wanted = mode?.ReplicatedJob?.TotalCompletions ?? placement.Nodes.length
    return { wanted, done: count('complete', own), word: 'are complete' }
  }
  const eligible = placement.Nodes.filter(({ Refusals }) =>
    Refusals.every(({ Filter }) => Filter === 'resources' || Filter === 'host port'),
  ).length
  const wanted = mode?.Global ? eligible : (mode?.Replicated?.Replicas ?? 1)
  return { wanted, done: count('running', present(facts)), word: 'run' }
}

/** The same words about several tasks become one sentence. */
const grouped = (
  facts: ServiceFacts,
  tasks: readonly Task[],
  sentenceOf: (task: Task) => string,
): string[] =>
  [...Map.groupBy(tasks, sentenceOf)].map(([sentence, group]) => {
    const names = group.map((task) => seatName(facts, task))
    const [first] = names
    const who = names.length > 3 ? `${first} and ${names.length - 1} more tasks` : names.join(', ')
    return `${who}: ${sentence}`
  })

/** How a task that ended did. */
const causeOf = (facts: ServiceFacts, task: Task): string => {
  const { Err, Message, ContainerStatus, State } = task.Status
  const code = ContainerStatus?.ExitCode ?? 0
  if (code !== 0) {
    return exitMeaning(code, facts.containers.get(task.ID)?.isOutOfMemory === true)
  }
  if (State === 'complete') return 'it ended by itself with exit code 0'
  return Err || Message
}

const waitingSentence = (facts: ServiceFacts, task: Task): string => {
  const { State, Err, Message, Timestamp } = task.Status
  const long = span(sinceMs(facts, Timestamp))
  const host = hostOf(facts, task)
  switch (State) {
    case 'new':
      return `waits for ${long} to get its networks, addresses and ports${Err ? `: ${Err}` : ''}`
    case 'pending':
    case 'allocated':
      return `waits for ${long} for a node${Err ? `: ${Err}` : Message ? ` (${Message})` : ''}`
    case 'assigned':
      return `${host} has not taken it for ${long}${Err ? `: ${Err}` : ''}`
    case 'accepted':
    case 'preparing':
      return `${host} prepares it for ${long} (image, networks, volumes)${Err ? `: ${Err}` : ''}`
    case 'ready':
      return task.DesiredState === 'ready'
        ? `is ready on ${host} and waits for its turn: the delay before a restart, or an update`
        : `is ready on ${host} for ${long}`
    default:
      return startingSentence(facts, task, long, host)
  }
}

const startingSentence = (facts: ServiceFacts, task: Task, long: string, host: string): string => {
  const health = facts.containers.get(task.ID)?.health
  const err = task.Status.Err ? `: ${task.Status.Err}` : ''
  if (health) return `starts on ${host} for ${long}, its health check says ${health.Status}${err}`
  return `is ${task.Status.State} on ${host} for ${long}${err}`
}

const updateSentence = ({ service }: ServiceFacts): string[] => {
  if (isJob(service)) return []
  const { State, Message } = service.UpdateStatus ?? {}
  switch (State) {
    case 'paused':
      return [
        `the update is paused: ${Message}. "swarmctl service update" goes on, "swarmctl service rollback" goes back`,
      ]
    case 'rollback_paused':
      return [`the rollback is paused: ${Message}`]
    case 'updating':
    case 'rollback_started':
      return [`${State === 'updating' ? 'an update' : 'a rollback'} is under way: ${Message}`]
    case 'rollback_completed':
      return [`the last update was rolled back: ${Message}`]
    default:
      return []
  }
}

/** A task that was wanted on a node that can't be seen. */
const lostSentences = (facts: ServiceFacts): string[] =>
  facts.nodes
    .filter(({ Status }) => Status.State !== 'ready')
    .flatMap((node) => {
      const there = present(facts).filter(({ NodeID }) => NodeID === node.ID)
      if (there.length === 0) return []
      const names = there.map((task) => seatName(facts, task)).join(', ')
      return [`node ${node.Description.Hostname} is ${node.Status.State}, and ${names} with it`]
    })

const givenUp = (facts: ServiceFacts): Task[] => {
  const seats = new Set(present(facts).map((task) => seatName(facts, task)))
  const newest = new Map<string, Task>()
  for (const task of facts.tasks) {
    const seat = seatName(facts, task)
    if (!seats.has(seat) && !newest.has(seat)) newest.set(seat, task)
  }
  // One that is wanted still waits out the delay before it is started again; a job's stay wanted when they have ended.
  const isOver = ({ DesiredState }: Task) => isJob(facts.service) || !isWanted(DesiredState)
  return [...newest.values()].filter(
    (task) => isOver(task) && isTerminal(task.Status.State) && task.Status.State !== 'shutdown',
  )
}

const reasonsOf = (facts: ServiceFacts, restarts: Diagnosis['Restarts']): string[] => {
  const { service } = facts
  const wants =
    service.Spec.Mode?.Replicated?.Replicas === 0
      ? ['it wants no tasks: its number of replicas is 0']
      : []
  const waiting = present(facts).filter(({ Status }) => Status.State !== 'running')
  const sick = sickOf(facts)
  const never = service.Spec.TaskTemplate.RestartPolicy?.Condition
  const over = isJob(service)
    ? givenUp(facts).filter(({ Status }) => Status.State !== 'complete')
    : givenUp(facts)
  return [
    ...wants,
    ...autoscaleSentences(facts),
    ...scheduleSentences(facts),
    ...lostSentences(facts),
    ...grouped(facts, waiting, (task) => waitingSentence(facts, task)),
    ...grouped(facts, sick, (task) => `is unhealthy on ${hostOf(facts, task)}`),
    ...grouped(
      facts,
      over,
      (task) =>
        `ended and is not started again (restart condition ${never ?? 'any'}): ${causeOf(facts, task)}`,
    ),
    ...restarts.map(
      ({ Task: name, Count, Causes }) =>
        `${name}: ended ${Count === 1 ? 'once' : `${Count} times`}: ${Causes.join('; ')}`,
    ),
    ...updateSentence(facts),
  ]
}

/** What a node's filters say against a task; a reason that says by itself what it is about needs no head. */
export const refusalText = (refusals: readonly { Filter: string; Reason: string }[]): string =>
  refusals
    .map(({ Filter, Reason }) =>
      ['state', 'engine'].includes(Filter) || Reason.includes(Filter)
        ? Reason
        : `${Filter}: ${Reason}`,
    )
    .join('; ')

const placementOf = ({ placement, nodes }: ServiceFacts): Diagnosis['Placement'] =>
  placement.Nodes.map((row) => ({
    Node: row.Hostname || row.NodeID,
    Tasks: row.Tasks,
    CPU: `${row.ReservedNanoCPUs / 1e9} of ${row.NanoCPUs / 1e9}`,
    Memory: `${memorySize(row.ReservedMemoryBytes)} of ${memorySize(row.MemoryBytes)}`,
    Verdict:
      row.Refusals.length === 0
        ? `takes one more${row.RecentFailures > 0 ? ` (${row.RecentFailures} failed here lately)` : ''}`
        : refusalText(row.Refusals) + noteOf(nodes, row.NodeID),
  }))

const noteOf = (nodes: ServiceFacts['nodes'], id: string): string => {
  const message = nodes.find(({ ID }) => ID === id)?.Status.Message
  return message ? ` (${message})` : ''
}

const counted = (causes: readonly string[]): string[] =>
  [...Map.groupBy(causes, (cause) => cause)]
    .sort(([, a], [, b]) => b.length - a.length)
    .map(([cause, all]) => (all.length === 1 ? cause : `${cause} (${all.length} times)`))

const restartsOf = (facts: ServiceFacts): Diagnosis['Restarts'] =>
  [...Map.groupBy(facts.tasks, (task) => seatName(facts, task))]
    .flatMap(([name, all]) => {
      const ended = all
        .filter(hasFailed)
        .sort((a, b) => b.Status.Timestamp.localeCompare(a.Status.Timestamp))
      const [last] = ended
      if (!last) return []
      const next = all.find(
        ({ DesiredState, Status }) => DesiredState === 'ready' && !isTerminal(Status.State),
      )
      return [
        {
          Task: name,
          Count: ended.length,
          Causes: counted(ended.map((task) => causeOf(facts, task))),
          Last: `${span(sinceMs(facts, last.Status.Timestamp))} ago`,
          Node: hostOf(facts, last),
          Next: next?.Swarmctl.StartAt
            ? `starts again in ${span(Math.max(0, -sinceMs(facts, next.Swarmctl.StartAt)))}`
            : '',
        },
      ]
    })
    .slice(0, SHOWN_MAX)

const checkLine = ({ Start, ExitCode, Output }: HealthCheck): string =>
  `${Start.slice(11, 19)} ${ExitCode === 0 ? 'ok' : `exit code ${ExitCode}`}${Output.trim() === '' ? '' : `: ${Output.trim().split('\n').at(-1)}`}`

const healthOf = (facts: ServiceFacts, tasks: readonly Task[]): Diagnosis['Health'] =>
  tasks.flatMap((task) => {
    const health = facts.containers.get(task.ID)?.health
    if (!health || health.Status === 'none') return []
    const streak = health.FailingStreak > 0 ? `, ${health.FailingStreak} failed in a row` : ''
    return [
      {
        Task: seatName(facts, task),
        Node: hostOf(facts, task),
        Status: `${health.Status}${streak}`,
        Checks: (health.Log ?? []).map(checkLine),
      },
    ]
  })

/** Whether some slot's tasks end again and again: that one of them runs at the moment says little. */
const isRestless = (facts: ServiceFacts): boolean =>
  [...Map.groupBy(facts.tasks.filter(hasFailed), (task) => seatName(facts, task)).values()].some(
    (ended) =>
      ended.length >= RESTLESS_ENDS_MIN &&
      ended.some(({ Status }) => sinceMs(facts, Status.Timestamp) < STEADY_MS),
  )

const isServiceWell = ({ service, tasks }: ServiceFacts, isComplete: boolean): boolean =>
  service.Spec.Swarmctl?.Schedule === undefined
    ? isComplete && !tasks.some((task) => isWanted(task.DesiredState) && isTroubled(task))
    : isLastRunWell(service, tasks)

/** Tells why a service, or some of its tasks, are as they are; `state` is that of the one task that was asked for. Pure. */
export const diagnoseService = (
  facts: ServiceFacts,
  task?: { name: string; state?: TaskState },
): Diagnosis => {
  const { wanted, done, word } = goalOf(facts)
  const isPart = task !== undefined
  const live = present(facts)
  const isThere = isPart
    ? live.length > 0 && live.every(({ Status }) => Status.State === 'running')
    : isServiceWell(facts, done >= wanted)
  const isWell = isThere && (isJob(facts.service) || !isRestless(facts))
  const state = task?.state ?? (live[0] ?? facts.tasks[0])?.Status.State ?? 'gone'
  const restarts = restartsOf(facts)
  const health = healthOf(facts, isPart ? facts.tasks : live)
  return {
    Kind: isPart ? 'task' : 'service',
    Name: task?.name ?? facts.service.Spec.Name,
    Summary: isPart ? `is ${state}` : `${done} of ${wanted} tasks ${word}`,
    AsItShouldBe: isWell && sickOf(facts).length === 0,
    Reasons: reasonsOf(facts, restarts),
    Placement: placementOf(facts),
    Restarts: restarts,
    Health: health,
    Logs: facts.tasks.flatMap((one) => {
      const lines = facts.logs.get(one.ID) ?? []
      if (lines.length === 0) return []
      return [
        { Task: `${seatName(facts, one)}.${one.ID}`, Node: hostOf(facts, one), Lines: [...lines] },
      ]
    }),
  }
}
