import type { LogMessage, LogsRequest } from '../api/assignment.ts'
import type { NodeDescription } from '../api/node.ts'
import type { PortConfig } from '../api/service-spec.ts'
import type { Task } from '../api/task.ts'
import type { TaskWiring } from './overlay-port.ts'
import type { TaskFiles } from './task-files.ts'

/** The exit code of a container that ended while the Engine could not be asked; reported as Docker reports one that it lost, 255. */
export const EXIT_CODE_UNKNOWN = -1
export const EXIT_CODE_LOST = 255

/** Whether the first process of a container lives; `unknown` where the machine can't tell. */
export type ProcessState = 'alive' | 'gone' | 'unknown'

export type ContainerHealth = 'none' | 'starting' | 'healthy' | 'unhealthy'

/** A task's container as the Engine sees it. */
export interface ObservedContainer {
  id: string
  taskId: string
  /** `created`: never started. `running` includes paused. */
  status: 'created' | 'running' | 'exited'
  /** 0 unless running. */
  pid: number
  /** `EXIT_CODE_UNKNOWN`: nobody can tell. */
  exitCode: number
  health: ContainerHealth
  /** Host-mode ports as bound. */
  ports: PortConfig[]
}

/** A container that was made and never ran. */
export const createdContainer = (id: string, taskId: string): ObservedContainer => ({
  id,
  taskId,
  status: 'created',
  pid: 0,
  exitCode: 0,
  health: 'none',
  ports: [],
})

/** What the Engine tells while it runs. */
export type ContainerEvent =
  | { kind: 'started'; taskId: string; containerId: string }
  | { kind: 'died'; taskId: string; containerId: string; exitCode: number }
  | { kind: 'health'; taskId: string; containerId: string; health: ContainerHealth }
  | { kind: 'removed'; taskId: string; containerId: string }
  /** Of any container: it is off a network. */
  | { kind: 'disconnected'; containerId: string }
  /** A container that is no task's began, ended, went, or has another name. */
  | { kind: 'changed'; containerId: string }

/** Of a task's container. */
export type TaskEvent = Exclude<ContainerEvent, { kind: 'disconnected' | 'changed' }>

/** A container of before an event of it, as it is after. */
export const containerAfter = (
  container: ObservedContainer,
  event: TaskEvent,
): ObservedContainer | null => {
  switch (event.kind) {
    case 'started':
      return container.status === 'created' ? { ...container, status: 'running' } : container
    case 'died':
      return { ...container, status: 'exited', exitCode: event.exitCode, pid: 0 }
    case 'health':
      return { ...container, health: event.health }
    case 'removed':
      return null
    default:
      return event satisfies never
  }
}

/** What the Engine knows of the node. */
export type EngineFacts = Pick<NodeDescription, 'Hostname' | 'Platform' | 'Resources' | 'Engine'>

/** All that is needed to create a task's container. */
export interface ContainerPlan {
  task: Task
  wiring: TaskWiring | undefined
  files: TaskFiles
  node: Pick<NodeDescription, 'Hostname' | 'Platform'>
}

/**
 * The container runtime as the agent uses it. Everything rejects with ENGINE_UNAVAILABLE when the Engine does not answer (the agent
 * tries again later), and with another SwarmctlError when the Engine refuses (the task fails with that text). Every operation may be
 * repeated: a container that exists, runs, is stopped or gone already is no error.
 */
export interface Executor {
  facts(): Promise<EngineFacts>
  /** Resolves as soon as the Engine answers at all. */
  ping(): Promise<void>
  /** Of a container that ran when the Engine was last heard of: asks the machine, not the Engine. Never rejects. */
  processState(container: { id: string; pid: number }): Promise<ProcessState>
  /** Every container, running or not, of a node's tasks; also those of a node that this daemon does not know any more. */
  list(nodeId: string): Promise<ObservedContainer[]>
  /** Pulls the task's image with the spec's registry credentials. Rejects with the registry's words. */
  pull(task: Task, signal: AbortSignal): Promise<void>
  /** Creates the container; its id. Rejects with NOT_FOUND and Docker's `No such image: …` when the image is not here. */
  create(plan: ContainerPlan): Promise<string>
  /** Starts the container and says how it is right after. */
  start(containerId: string, taskId: string): Promise<ObservedContainer>
  /** How the container is; undefined when there is none. */
  inspect(containerId: string): Promise<ObservedContainer | undefined>
  /** Stop signal, then after `graceMs` kill; resolves once it has ended. */
  stop(containerId: string, graceMs: number): Promise<void>
  /** Removes the container and its anonymous volumes, running or not. */
  remove(containerId: string): Promise<void>
  /** Calls `onEvent` until the stream ends or breaks, which rejects; `onOpen` once when nothing is missed any more. */
  watch(
    nodeId: string,
    on: { open: () => void; event: (event: ContainerEvent) => void },
    signal: AbortSignal,
  ): Promise<void>
  /** The container's log lines; with `follow` until it has ended. */
  logs(containerId: string, request: LogsRequest, signal: AbortSignal): AsyncIterable<LogMessage>
}
