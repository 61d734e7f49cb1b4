import type { Node } from '../../api/node.ts'
import { ofPlatform } from '../../api/platform.ts'
import type { TaskSpec } from '../../api/service-spec.ts'
import { isTerminal, isWanted } from '../../api/task-state.ts'
import { isDirty, satisfiesPlacement } from './dirty-task.ts'
import type { Operation } from './operation.ts'
import { removal, type ScalePlan } from './replicated.ts'
import type { ServiceState, Slot } from './service-state.ts'
import { planSlot, type SlotPlan } from './slot-plan.ts'

/**
 * A global service: one task on each node that is ready, active, meets the constraints and is of a platform that the image is for. In Swarm a node
 * of another platform gets one that stays pending: it keeps each update from being completed, and `service create` waiting.
 */
export const planGlobal = (state: ServiceState, slots: Map<string, Slot>): ScalePlan => {
  const operations: Operation[] = []
  const plans: SlotPlan[] = []
  const meant = nodesFor(state.service.Spec.TaskTemplate, state.nodes.values())
  const eligible = new Set(meant.map(({ ID }) => ID))
  for (const slot of slots.values()) {
    const node = state.nodes.get(slot.key)
    const use = node === undefined ? 'gone' : useOf(node, state, eligible, slot)
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
    if (slots.has(node.ID) || useOf(node, state, eligible) !== 'run') continue
    plans.push(planSlot({ key: node.ID, seat: { nodeId: node.ID }, tasks: [] }, state))
  }
  return { slots: plans, operations }
}

/** The nodes that a global service is for, whatever state they are in. */
export const nodesFor = (spec: TaskSpec, nodes: Iterable<Node>): readonly Node[] =>
  ofPlatform(
    spec,
    [...nodes].filter((node) => satisfiesPlacement(spec, node)),
  )

/** `keep`: what runs there may go on, but nothing new starts. */
const useOf = (
  node: Node,
  state: ServiceState,
  eligible: ReadonlySet<string>,
  slot?: Slot,
): 'run' | 'keep' | 'never' => {
  if (node.Status.State === 'down') return state.held.has(node.ID) ? 'keep' : 'never'
  if (node.Spec.Availability === 'drain') return 'never'
  if (!eligible.has(node.ID)) {
    const isAllowed = satisfiesPlacement(state.service.Spec.TaskTemplate, node)
    return isAllowed && runsAsWanted(slot, state) ? 'keep' : 'never'
  }
  return node.Spec.Availability === 'active' && node.Status.State === 'ready' ? 'run' : 'keep'
}

/** A registry that is asked later, or tells another platform, ends nothing that runs: so far as an update goes it is the same image. */
const runsAsWanted = (slot: Slot | undefined, state: ServiceState): boolean =>
  slot?.tasks.some(
    (task) =>
      isWanted(task.DesiredState) &&
      task.Status.State === 'running' &&
      !isDirty(task, state, state.nodes.get(task.NodeID)),
  ) === true

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
