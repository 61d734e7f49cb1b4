import type { Task } from '../../api/task.ts'
import { isWanted } from '../../api/task-state.ts'
import { hasFailed, isAwaited } from '../task-trouble.ts'
import type { NodeFacts } from './facts.ts'
import { type Diagnosis, refusalText } from './service-diagnosis.ts'
import { span } from './span.ts'

/** Failures that are told of. */
const RECENT_MS = 60 * 60_000

const nameOf = (task: Task): string =>
  `${task.Swarmctl.ServiceName}${task.Slot === undefined ? '' : `.${task.Slot}`}`

const stateReasons = ({ node }: NodeFacts): string[] => {
  const { Description, Spec, Status, ManagerStatus } = node
  const ours = Description.Swarmctl
  return [
    Status.State === 'ready'
      ? ''
      : `it is ${Status.State}${Status.Message ? `: ${Status.Message}` : ''}; its tasks run elsewhere where they can`,
    Spec.Availability === 'active'
      ? ''
      : `its availability is ${Spec.Availability}: ${Spec.Availability === 'drain' ? 'it keeps no tasks' : 'it gets no new tasks'}. "swarmctl node update --availability active ${Description.Hostname}" changes that`,
    ours?.EngineError ? `its Docker Engine: ${ours.EngineError}` : '',
    ours?.DataPlaneNote ? `its data plane: ${ours.DataPlaneNote}` : '',
    ManagerStatus && ManagerStatus.Reachability !== 'reachable'
      ? `as a manager it is ${ManagerStatus.Reachability}`
      : '',
    ours?.DataPlane && Spec.Role !== node.Swarmctl?.ObservedRole && node.Swarmctl
      ? `it is to become a ${Spec.Role} and is a ${node.Swarmctl.ObservedRole} still`
      : '',
  ].filter((reason) => reason !== '')
}

const taskReasons = ({ tasks, nowMs }: NodeFacts): string[] => {
  const failed = tasks.filter(
    (task) => hasFailed(task) && nowMs - Date.parse(task.Status.Timestamp) < RECENT_MS,
  )
  return [
    ...tasks
      .filter(isAwaited)
      .map(
        (task) =>
          `${nameOf(task)}: ${task.Status.State} for ${span(nowMs - Date.parse(task.Status.Timestamp))}${task.Status.Err ? `: ${task.Status.Err}` : ''}`,
      ),
    ...[
      ...Map.groupBy(
        failed,
        (task) => `${nameOf(task)}: ${task.Status.Err || task.Status.Message}`,
      ),
    ].map(([sentence, all]) => (all.length === 1 ? sentence : `${sentence} (${all.length} times)`)),
  ]
}

/** Tells why a node runs what it runs and nothing else. Pure. */
export const diagnoseNode = (facts: NodeFacts): Diagnosis => {
  const { node, tasks, services } = facts
  const reasons = stateReasons(facts)
  const running = tasks.filter(
    ({ DesiredState, Status }) => isWanted(DesiredState) && Status.State === 'running',
  ).length
  return {
    Kind: 'node',
    Name: node.Description.Hostname || node.ID,
    Summary: `${node.Status.State}, ${node.Spec.Availability}, ${running} tasks run`,
    AsItShouldBe: reasons.length === 0,
    Reasons: [...reasons, ...taskReasons(facts)],
    Placement: services.map(({ name, refusals, tasks: count }) => ({
      Node: name,
      Tasks: count,
      CPU: '',
      Memory: '',
      Verdict: refusals.length === 0 ? 'takes one more' : refusalText(refusals),
    })),
    Restarts: [],
    Health: [],
    Logs: [],
  }
}
