import type { Secret } from '../../api/secret.ts'
import type { Service } from '../../api/service.ts'
import type { ServiceSpec, TaskSpec } from '../../api/service-spec.ts'
import type { Cluster } from '../../api/swarm.ts'
import type { Task } from '../../api/task.ts'

/** Copies of objects as they may leave the managers. */

const redactTaskSpec = ({ PullOptions: _, ...spec }: TaskSpec): TaskSpec => spec

const redactSpec = (spec: ServiceSpec): ServiceSpec => ({
  ...spec,
  TaskTemplate: redactTaskSpec(spec.TaskTemplate),
})

export const redactService = (service: Service): Service => ({
  ...service,
  Spec: redactSpec(service.Spec),
  ...(service.PreviousSpec && { PreviousSpec: redactSpec(service.PreviousSpec) }),
})

export const redactTask = (task: Task): Task => ({ ...task, Spec: redactTaskSpec(task.Spec) })

export const redactSecret = (secret: Secret): Secret => {
  const { Data: _, ...Spec } = secret.Spec
  return { ...secret, Spec }
}

export const redactCluster = (cluster: Cluster): Cluster => {
  const { UnlockKey: _, ...ours } = cluster.Swarmctl
  return { ...cluster, Swarmctl: { ...ours, RootCAKey: '' } }
}
