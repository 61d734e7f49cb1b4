import type { Service } from '../../../src/api/service.ts'
import type { Task } from '../../../src/api/task.ts'
import { isTerminal, isWanted, TASK_STATE_ORDER } from '../../../src/api/task-state.ts'
import { restartRulesOf } from '../../../src/manager/orchestrator/restart.ts'
import type { World } from './world.ts'

const slotKey = (task: Task): string => `${task.ServiceID} ${task.Slot ?? task.NodeID}`

/** Far more log entries than any one event needs. */
const APPLIED_AT_ONCE_MAX = 500

/** Checks after every applied change what must hold at all times. */
export class InvariantChecker {
  readonly #world: World
  readonly violations: string[] = []
  #appliedAtMs = 0
  #appliedCount = 0
  /** Tasks that ended by themselves, by slot and spec version: counted even when their history is gone. */
  readonly #ended = new Map<string, Set<string>>()
  readonly #rollbacks = new Map<string, number>()
  /** Services that were start-first at some time. */
  readonly #startFirst = new Set<string>()

  constructor(world: World) {
    this.#world = world
    world.store.watch((changes) => {
      this.#checkProgress()
      for (const change of changes) {
        if (change.kind === 'service' && change.object) this.#noteService(change.object, change.old)
        if (change.kind === 'task' && change.object) this.#checkAttempts(change.object)
      }
      this.#checkStopFirst()
      this.#checkReservations()
    })
  }

  /** Loops that answer each other without end leave no time for anything else. */
  #checkProgress(): void {
    const nowMs = this.#world.clock.nowMs()
    this.#appliedCount = nowMs === this.#appliedAtMs ? this.#appliedCount + 1 : 0
    this.#appliedAtMs = nowMs
    if (this.#appliedCount < APPLIED_AT_ONCE_MAX) return
    this.#report('the loops answer each other without end')
    throw new Error('the loops answer each other without end')
  }

  #report(violation: string): void {
    if (!this.violations.includes(violation)) this.violations.push(violation)
  }

  #noteService(service: Service, old: Service | undefined): void {
    const state = service.UpdateStatus?.State
    if (state === 'rollback_started' && old?.UpdateStatus?.State !== state) {
      this.#rollbacks.set(service.ID, (this.#rollbacks.get(service.ID) ?? 0) + 1)
    }
    const { UpdateConfig, RollbackConfig } = service.Spec
    if (UpdateConfig?.Order === 'start-first' || RollbackConfig?.Order === 'start-first') {
      this.#startFirst.add(service.ID)
    }
  }

  /** One container per slot, unless its service was ever start-first or the task was scaled away. */
  #checkStopFirst(): void {
    const tasks = this.#world
      .containers()
      .filter((task) => task.DesiredState !== 'remove' && !this.#startFirst.has(task.ServiceID))
    for (const [key, group] of Map.groupBy(tasks, slotKey)) {
      if (group.length > 1) {
        this.#report(`slot ${key} runs ${group.map((task) => task.ID).join(' and ')} at once`)
      }
    }
  }

  #checkReservations(): void {
    const view = this.#world.store.view()
    for (const node of view.list('node')) {
      const reserved = view
        .tasksByNode(node.ID)
        .filter(
          ({ Status }) =>
            !isTerminal(Status.State) &&
            TASK_STATE_ORDER[Status.State] >= TASK_STATE_ORDER.assigned,
        )
        .reduce((sum, task) => sum + (task.Spec.Resources?.Reservations?.MemoryBytes ?? 0), 0)
      if (reserved > node.Description.Resources.MemoryBytes) {
        this.#report(`${node.ID} has ${reserved} bytes reserved`)
      }
    }
  }

  #checkAttempts(task: Task): void {
    const { State } = task.Status
    if (State !== 'failed' && State !== 'complete' && State !== 'rejected') return
    const { maxAttempts } = restartRulesOf(task.Spec)
    if (maxAttempts === 0) return
    // A rollback makes a version current again, with its attempts (and one by the updater's own hand).
    const rollbacks = this.#rollbacks.get(task.ServiceID) ?? 0
    const key = `${slotKey(task)} ${task.Swarmctl.SpecVersion} ${rollbacks}`
    const ended = this.#ended.get(key) ?? new Set()
    this.#ended.set(key, ended.add(task.ID))
    if (ended.size > maxAttempts + 1 + Math.min(rollbacks, 1)) {
      this.#report(`slot ${key} was restarted ${ended.size - 1} times of ${maxAttempts}`)
    }
  }
}

/** What a cluster at rest does not fulfil. */
export const unmetGoals = (world: World, historyLimit: number): string[] => {
  const view = world.store.view()
  const services = view.list('service')
  const ids = new Set(services.map((service) => service.ID))
  const problems = services.flatMap((service) => unmetGoalsOf(world, service, historyLimit))
  for (const task of view.list('task')) {
    if (!ids.has(task.ServiceID)) problems.push(`${task.ID} of a removed service is left`)
    if (task.DesiredState === 'remove') problems.push(`${task.ID} was not removed`)
  }
  return problems
}

const unmetGoalsOf = (world: World, service: Service, historyLimit: number): string[] => {
  const problems: string[] = []
  const tasks = world.tasks(service.ID)
  for (const [key, slot] of Map.groupBy(tasks, slotKey)) {
    const attempts = Math.max(...slot.map((task) => restartRulesOf(task.Spec).maxAttempts))
    if (slot.length > Math.max(historyLimit, attempts + 1) + 2) {
      problems.push(`slot ${key} keeps ${slot.length} tasks`)
    }
    if (slot.filter((task) => isWanted(task.DesiredState)).length > 2) {
      problems.push(`slot ${key} wants more than two tasks`)
    }
  }
  const state = service.UpdateStatus?.State
  // Tasks that find no node or keep failing hold an update up for ever, as Docker's.
  const waits = tasks.some((task) => isWanted(task.DesiredState) && task.Status.State !== 'running')
  if ((state === 'updating' || state === 'rollback_started') && !waits && !mayFail(service)) {
    problems.push(`${service.ID} is still ${state}`)
  }
  if (mayFail(service) || waitsForRoom(world, service)) return problems
  const running = world.running(service.ID).length
  const wanted = wantedCount(world, service)
  if (running !== wanted) problems.push(`${service.ID} runs ${running} of ${wanted}`)
  if (state === undefined || state === 'completed' || state === 'rollback_completed') {
    const images = new Set(world.running(service.ID).map((t) => t.Spec.ContainerSpec?.Image))
    if (images.size > 1) problems.push(`${service.ID} runs ${[...images].join(' and ')}`)
  }
  return problems
}

/** Whether its tasks may end for good: by themselves, or with their node when nothing is to be restarted. */
const mayFail = (service: Service): boolean =>
  [service.Spec, service.PreviousSpec].some(
    (spec) =>
      spec !== undefined &&
      (spec.TaskTemplate.RestartPolicy?.Condition === 'none' ||
        !(spec.TaskTemplate.ContainerSpec?.Image ?? '').startsWith('ok')),
  )

/** Whether a task of it waits because no node has room, and truly none has. */
const waitsForRoom = (world: World, service: Service): boolean =>
  world
    .wanted(service.ID)
    .some((task) => task.Status.State === 'pending' && task.Status.Err !== undefined)

const wantedCount = (world: World, service: Service): number => {
  const mode = service.Spec.Mode
  if (mode?.Global === undefined) return mode?.Replicated?.Replicas ?? 0
  const isZoned = (service.Spec.TaskTemplate.Placement?.Constraints ?? []).length > 0
  return world.store
    .view()
    .list('node')
    .filter((node) => !isZoned || node.Spec.Labels.zone !== 'b').length
}
