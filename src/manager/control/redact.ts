import { createHash } from 'node:crypto'
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

/** Docker's tasks always have a port status. */
export const redactTask = (task: Task): Task => ({
  ...task,
  Spec: redactTaskSpec(task.Spec),
  Status: { ...task.Status, PortStatus: task.Status.PortStatus ?? {} },
})

/** Stored objects are never changed, so that a digest is worked out once. */
const digests = new WeakMap<Secret, string>()

const digestOf = (secret: Secret, data: string): string => {
  const known = digests.get(secret)
  if (known !== undefined) return known
  const digest = createHash('sha256').update(Buffer.from(data, 'base64')).digest('hex')
  digests.set(secret, digest)
  return digest
}

export const redactSecret = (secret: Secret): Secret => {
  const { Data, ...Spec } = secret.Spec
  return { ...secret, Spec, Swarmctl: { Digest: digestOf(secret, Data ?? '') } }
}

export const redactCluster = (cluster: Cluster): Cluster => {
  const { UnlockKey: _, RootRotation, ...ours } = cluster.Swarmctl
  const rotation = RootRotation && { RootRotation: { ...RootRotation, CAKey: '' } }
  return { ...cluster, Swarmctl: { ...ours, RootCAKey: '', ...rotation } }
}
