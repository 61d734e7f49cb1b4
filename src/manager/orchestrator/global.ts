import type { Node } from '../../api/node.ts'
import { isTerminal, isWanted } from '../../api/task-state.ts'
import { satisfiesPlacement } from './dirty-task.ts'
import type { Operation } from './operation.ts'
import { removal, type ScalePlan } from './replicated.ts'
import type { ServiceState, Slot } from './service-state.ts'
import { planSlot, type SlotPlan } from './slot-plan.ts'

/** A global service: one task on each node that is ready, active and meets the constraints. */
export const planGlobal = (state: ServiceState, slots: Map<string, Slot>): ScalePlan => {
  const operations: Operation[] = []
  const plans: SlotPlan[] = []
  for (const slot of slots.values()) {
    const node = state.nodes.get(slot.key)
    const use = node === undefined ? 'gone' : useOf(node, state)
    switch (use) {
      case 'gone':
        operations.push(...slot.tasks.map((task) => removal(task, 'its node was removed')))
        break
      case 'never':
        operations.push(...slot.tasks.flatMap((task) => shutdownOf(task, 'its node is out of use')))
        break
      case 'keep':
        operations.push(...planPaused(slot))
        break
      case 'run':
        plans.push(planSlot(slot, state))
        break
      default:
        use satisfies never
    }
  }
  for (const node of state.nodes.values()) {
    if (slots.has(node.ID) || useOf(node, state) !== 'run') continue
    plans.push(planSlot({ key: node.ID, seat: { nodeId: node.ID }, tasks: [] }, state))
  }
  return { slots: plans, operations }
}

/** `keep`: what runs there may go on, but nothing new starts. */
const useOf = (node: Node, state: ServiceState): 'run' | 'keep' | 'never' => {
  if (node.Status.State === 'down') return state.held.has(node.ID) ? 'keep' : 'never'
  if (node.Spec.Availability === 'drain') return 'never'
  if (!satisfiesPlacement(state.service.Spec.TaskTemplate, node)) return 'never'
  return node.Spec.Availability === 'active' && node.Status.State === 'ready' ? 'run' : 'keep'
}

/** A job's task that has completed stays so: nothing of it is left to stop. */
const shutdownOf = (task: Slot['tasks'][number], reason: string): Operation[] =>
  isWanted(task.DesiredState) && !hasCompleted(task)
    ? [{ kind: 'set-desired', taskId: task.ID, desired: 'shutdown', reason }]
    : []

const hasCompleted = ({ DesiredState, Status }: Slot['tasks'][number]): boolean =>
  DesiredState === 'complete' && Status.State === 'complete'

/** On a paused node tasks that ended are given up and not replaced; others may start. */
const planPaused = (slot: Slot): Operation[] =>
  slot.tasks.flatMap((task) =>
    isTerminal(task.Status.State) ? shutdownOf(task, `ended: ${task.Status.State}`) : [],
  )
