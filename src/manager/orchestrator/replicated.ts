import type { Task } from '../../api/task.ts'
import { isWanted } from '../../api/task-state.ts'
import type { Operation } from './operation.ts'
import type { ServiceState, Slot } from './service-state.ts'
import { isFinished, isLive, planSlot, type SlotPlan } from './slot-plan.ts'

/** The slots that stay, each with its plan, and the operations that bring their number to the wanted one. */
export interface ScalePlan {
  slots: SlotPlan[]
  operations: Operation[]
}

/** A replicated service: as many slots as replicas are wanted. */
export const planReplicated = (state: ServiceState, slots: Map<string, Slot>): ScalePlan => {
  const wanted = state.service.Spec.Mode?.Replicated?.Replicas ?? 1
  const all = [...slots.values()].sort((a, b) => numberOf(a) - numberOf(b))
  const present = all.filter((slot) => isLive(slot) || isFinished(slot, false))
  const dead = all.filter((slot) => !present.includes(slot))
  const surplus = pickSurplus(present, present.length - wanted)
  const reused = dead.slice(0, Math.max(0, wanted - present.length))
  const kept = [...present.filter((slot) => !surplus.includes(slot)), ...reused]
  const operations = [...surplus, ...dead.filter((slot) => !reused.includes(slot))]
    .flatMap((slot) => slot.tasks)
    .map((task) => removal(task, 'scaled down'))
  const fresh = freeNumbers(all, wanted - kept.length).map((number) => emptySlot(number))
  return { slots: [...kept, ...fresh].map((slot) => planSlot(slot, state)), operations }
}

export const removal = (task: Task, reason: string): Operation => ({
  kind: 'set-desired',
  taskId: task.ID,
  desired: 'remove',
  reason,
})

const numberOf = (slot: Slot): number => slot.seat.slot ?? 0

const emptySlot = (number: number): Slot => ({
  key: String(number),
  seat: { slot: number },
  tasks: [],
})

/** The lowest slot numbers that nothing holds. */
const freeNumbers = (slots: readonly Slot[], count: number): number[] => {
  const taken = new Set(slots.map(numberOf))
  const free: number[] = []
  for (let number = 1; free.length < count; number++) if (!taken.has(number)) free.push(number)
  return free
}

/**
 * Which slots a scale-down takes: those where nothing runs first, then from the node with most of the service's tasks; of equals the
 * highest number, so that numbers stay compact.
 */
export const pickSurplus = (slots: readonly Slot[], count: number): Slot[] => {
  const rest = [...slots]
  const surplus: Slot[] = []
  while (surplus.length < count) {
    const perNode = Map.groupBy(rest, nodeOf)
    const load = (slot: Slot): number => perNode.get(nodeOf(slot))?.length ?? 0
    const taken = rest.reduce((worst, slot) => {
      const order =
        Number(isRunning(worst)) - Number(isRunning(slot)) ||
        load(slot) - load(worst) ||
        numberOf(slot) - numberOf(worst)
      return order > 0 ? slot : worst
    })
    rest.splice(rest.indexOf(taken), 1)
    surplus.push(taken)
  }
  return surplus
}

const current = (slot: Slot): Task | undefined =>
  slot.tasks.findLast((task) => isWanted(task.DesiredState))

const nodeOf = (slot: Slot): string => current(slot)?.NodeID ?? ''

const isRunning = (slot: Slot): boolean =>
  slot.tasks.some((t) => isWanted(t.DesiredState) && t.Status.State === 'running')
