import type { Task } from '../../api/task.ts'
import { compareTaskStates, isWanted } from '../../api/task-state.ts'
import type { Operation } from './operation.ts'
import type { ServiceState, Slot } from './service-state.ts'
import { isFinished, isLive, planSlot, type SlotPlan } from './slot-plan.ts'

/**
 * New slots in one plan: their tasks' creation is what the next plan comes by. More tasks than a cluster can hold, asked for by mistake, must not
 * end the leader before they can be taken back.
 */
export const NEW_SLOTS_MAX = 1000

/**
 * Of one service, slots whose tasks are on their way: more come as these run. Every plan looks at all of a service's tasks, and a leader that
 * does so with some tens of thousands misses its heartbeats.
 */
export const WAITING_SLOTS_MAX = 5000

/** How many slots may come in this plan, beside those that are there. */
export const newSlotsMax = (slots: readonly Slot[]): number =>
  Math.max(0, Math.min(NEW_SLOTS_MAX, WAITING_SLOTS_MAX - slots.filter(isWaiting).length))

const isWaiting = ({ tasks }: Slot): boolean =>
  tasks.some(
    ({ DesiredState, Status }) =>
      isWanted(DesiredState) && compareTaskStates(Status.State, 'running') < 0,
  )

/** The slots that stay, each with its plan, and the operations that bring their number to the wanted one. */
export interface ScalePlan {
  slots: SlotPlan[]
  operations: Operation[]
}

/** A replicated service: as many slots as replicas are wanted. */
export const planReplicated = (state: ServiceState, slots: Map<string, Slot>): ScalePlan => {
  const wanted = state.service.Spec.Mode?.Replicated?.Replicas ?? 1
  const all = [...slots.values()].sort((a, b) => numberOf(a) - numberOf(b))
  const present: Slot[] = []
  const dead: Slot[] = []
  for (const slot of all) (isLive(slot) || isFinished(slot, false) ? present : dead).push(slot)
  const surplus = new Set(pickSurplus(present, present.length - wanted))
  const reusedCount = Math.max(0, wanted - present.length)
  const kept = [...present.filter((slot) => !surplus.has(slot)), ...dead.slice(0, reusedCount)]
  const operations = [...surplus, ...dead.slice(reusedCount)]
    .flatMap((slot) => slot.tasks)
    .map((task) => removal(task, 'scaled down'))
  const missing = Math.min(wanted - kept.length, newSlotsMax(kept))
  const fresh = freeNumbers(all, missing).map((number) => emptySlot(number))
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
  const nodes = [...Map.groupBy(slots, nodeOf).values()].map((own) => own.sort(lastTakenFirst))
  const surplus: Slot[] = []
  for (let picks = Math.min(count, slots.length); picks > 0; picks--) {
    const from = nodes.reduce((worst, node) => (compareNextTaken(worst, node) > 0 ? node : worst))
    const taken = from.pop()
    if (taken !== undefined) surplus.push(taken)
  }
  return surplus
}

/** Of one node, so that the next to be taken is the last. */
const lastTakenFirst = (a: Slot, b: Slot): number =>
  Number(isRunning(b)) - Number(isRunning(a)) || numberOf(a) - numberOf(b)

/** Above 0 when the next slot is taken from `b`: each is a node with what it still has. */
const compareNextTaken = (a: readonly Slot[], b: readonly Slot[]): number => {
  const [next, other] = [a.at(-1), b.at(-1)]
  if (next === undefined || other === undefined) return a.length === 0 ? 1 : -1
  return (
    Number(isRunning(next)) - Number(isRunning(other)) ||
    b.length - a.length ||
    numberOf(other) - numberOf(next)
  )
}

const current = (slot: Slot): Task | undefined =>
  slot.tasks.findLast((task) => isWanted(task.DesiredState))

const nodeOf = (slot: Slot): string => current(slot)?.NodeID ?? ''

const isRunning = (slot: Slot): boolean =>
  slot.tasks.some((t) => isWanted(t.DesiredState) && t.Status.State === 'running')
