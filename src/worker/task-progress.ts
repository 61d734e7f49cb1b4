import { STOP_GRACE_PERIOD_NS } from '../api/defaults.ts'
import type { Task } from '../api/task.ts'
import { compareTaskStates, isTerminal, isWanted, type TaskState } from '../api/task-state.ts'
import { EXIT_CODE_UNKNOWN, type ObservedContainer } from './executor.ts'

/** What a node knows of one of its tasks. */
export interface Progress {
  /** The state that was reported last; it only moves forward. */
  state: TaskState
  /** Null: there is none. Only meaningful once the Engine was asked. */
  container: ObservedContainer | null
  /** Secrets and configs that the task refers to have arrived. */
  dependenciesHere: boolean
  /** What the managers do not have any more, in one line; empty while all is here or may yet come. */
  dependencyMissing: string
  /** The container has all that its task needs: one that is found before the task was ready may be half made. */
  created: boolean
  /** Files are on the tmpfs and the networks on the node. */
  prepared: boolean
  /** Files and networks are taken back. */
  released: boolean
  /** The container that it replaces, failed and on its way out, has yet to end. */
  predecessorRuns: boolean
  /** It accepts connections to its published ports, or was waited for. */
  listening: boolean
  /** It was RUNNING, so that other nodes may send it connections. */
  served: boolean
  outOfRotation: boolean
  drained: boolean
  /** This node stopped the container, so its exit is no failure. */
  stopped: boolean
  /** The Engine was waited for, and did not say how the container ended. */
  exitCodeLost: boolean
  /** False: the task is not assigned to this node any more; nobody wants its log either. */
  assigned: boolean
}

/** What a task waits for. */
export type WaitReason =
  | 'dependencies'
  | 'desired-running'
  | 'predecessor'
  | 'healthy'
  | 'exit'
  | 'exit-code'
  | 'out-of-rotation'
  | 'removal'

/** The one next thing to do for a task. */
export type Step =
  | { kind: 'report'; state: TaskState; message: string; err?: string }
  | { kind: 'prepare' }
  | { kind: 'create' }
  | { kind: 'start' }
  | { kind: 'listen' }
  | { kind: 'drain' }
  | { kind: 'stop' }
  | { kind: 'release' }
  | { kind: 'remove' }
  | { kind: 'forget' }
  | { kind: 'wait'; reason: WaitReason }

/** Swarm's words (swarmkit `agent/exec/controller.go`, `agent/exec/errors.go`): tools and people search for them. */
const MESSAGES = {
  accepted: 'accepted',
  preparing: 'preparing',
  ready: 'prepared',
  starting: 'starting',
  running: 'started',
  complete: 'finished',
  shutdown: 'shutdown',
  failed: 'started',
  rejected: 'preparing',
} as const

const report = (state: keyof typeof MESSAGES, err?: string): Step => ({
  kind: 'report',
  state,
  message: MESSAGES[state],
  ...(err === undefined ? {} : { err }),
})

const wait = (reason: WaitReason): Step => ({ kind: 'wait', reason })

const isBefore = (state: TaskState, other: TaskState): boolean =>
  compareTaskStates(state, other) < 0

/** Whether the task has addresses on overlays. */
export const hasOverlay = (task: Task): boolean =>
  (task.NetworksAttachments ?? []).some(({ Addresses }) => Addresses.length > 0)

/** The TCP ports of its container that published ports lead to. */
export const servedPorts = (task: Task): number[] => {
  if (!hasOverlay(task)) return []
  const ports = task.Swarmctl.Endpoint?.Ports ?? []
  const served = ports.filter(
    ({ Protocol, PublishMode }) => Protocol === 'tcp' && PublishMode === 'ingress',
  )
  return [...new Set(served.map(({ TargetPort }) => TargetPort))]
}

/** From the stop signal to the kill. */
export const stopGraceMs = (task: Task): number =>
  (task.Spec.ContainerSpec?.StopGracePeriod ?? STOP_GRACE_PERIOD_NS) / 1e6

/**
 * The next step of a task, from what is wanted and what is: the whole life of a task in one place. It is asked again after each step
 * and each event.
 */
export const nextStep = (task: Task, progress: Progress): Step => {
  if (!progress.assigned || !isWanted(task.DesiredState)) return stepToEnd(task, progress)
  if (isTerminal(progress.state)) return stepAfterEnd(progress)
  return stepToRun(task, progress)
}

const stepToRun = (task: Task, progress: Progress): Step => {
  const { state, container } = progress
  if (container === null) {
    // A container that was there and is not: someone removed it behind our back.
    if (!isBefore(state, 'ready')) return report('failed', 'the container was removed')
    return stepToCreate(progress)
  }
  switch (container.status) {
    case 'created':
      if (isBefore(state, 'ready'))
        // The Engine, or this daemon, went away in between: creating it again adds what is missing.
        return progress.created ? report('ready') : stepToCreate(progress)
      if (task.DesiredState === 'ready') return wait('desired-running')
      // After a restart of the daemon the files may be gone (a reboot) although the container is there.
      if (!progress.prepared)
        return progress.dependenciesHere ? { kind: 'prepare' } : stepWithout('failed', progress)
      if (isBefore(state, 'starting')) return report('starting')
      // Swarm says that a task failed only when its container has ended: two would share volumes and host ports.
      return progress.predecessorRuns ? wait('predecessor') : { kind: 'start' }
    case 'running':
      if (container.health === 'unhealthy') return report('failed', 'task: unhealthy container')
      if (container.health === 'starting')
        return isBefore(state, 'starting') ? report('starting') : wait('healthy')
      if (!isBefore(state, 'running')) return wait('exit')
      // Once it runs every node sends it connections, which the kernel refuses while nobody listens. A healthcheck knows better.
      return container.health === 'none' && !progress.listening && servedPorts(task).length > 0
        ? { kind: 'listen' }
        : report('running')
    case 'exited':
      return isExitCodeAwaited(task, progress) ? wait('exit-code') : reportExit(container)
    default:
      return container.status satisfies never
  }
}

const stepToCreate = (progress: Progress): Step => {
  const { state, dependenciesHere, prepared } = progress
  if (isBefore(state, 'accepted')) return report('accepted')
  if (!dependenciesHere) return stepWithout('rejected', progress)
  if (isBefore(state, 'preparing')) return report('preparing')
  return prepared ? { kind: 'create' } : { kind: 'prepare' }
}

/** A secret or config that was removed (a rollback goes back to a spec that named it) never comes. */
const stepWithout = (end: 'failed' | 'rejected', { dependencyMissing }: Progress): Step =>
  dependencyMissing === '' ? wait('dependencies') : report(end, dependencyMissing)

/**
 * How a job's container ended decides whether its work is done: once more would do it twice. The Engine knows it when it is back. Of a service it
 * makes no difference, and its users wait for another task.
 */
const isExitCodeAwaited = (task: Task, { container, exitCodeLost }: Progress): boolean =>
  container?.exitCode === EXIT_CODE_UNKNOWN && task.JobIteration !== undefined && !exitCodeLost

const reportExit = ({ exitCode }: ObservedContainer): Step => {
  if (exitCode === 0) return report('complete')
  return exitCode === EXIT_CODE_UNKNOWN
    ? report('failed', 'task: its process ended while the Docker Engine did not answer')
    : report('failed', `task: non-zero exit (${exitCode})`)
}

/** Ended, but still assigned and wanted: the orchestrator decides on a replacement; the container stays for its log. */
const stepAfterEnd = (progress: Progress): Step => {
  if (progress.container?.status === 'running') return { kind: 'stop' }
  return progress.released ? wait('removal') : { kind: 'release' }
}

const stepToEnd = (task: Task, progress: Progress): Step => {
  const { container, state } = progress
  if (container?.status === 'running') {
    // Design §8: out of every node's rotation, then drained, then the signal. One that never served has nobody to wait for.
    if (progress.served && hasOverlay(task) && !isTerminal(state)) {
      if (!progress.outOfRotation) return wait('out-of-rotation')
      if (!progress.drained) return { kind: 'drain' }
    }
    return { kind: 'stop' }
  }
  if (!isTerminal(state)) {
    return container?.status === 'exited' && !progress.stopped
      ? reportExit(container)
      : report('shutdown')
  }
  if (!progress.released) return { kind: 'release' }
  const isUnwanted = !progress.assigned || task.DesiredState === 'remove'
  if (isUnwanted && container !== null) return { kind: 'remove' }
  return progress.assigned ? wait('removal') : { kind: 'forget' }
}
