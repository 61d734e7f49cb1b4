import type { ServiceMode, ServiceSpec, UpdateConfig } from '../../api/service-spec.ts'
import { IMAGE_LABEL, NAMESPACE_LABEL } from '../../api/stack-labels.ts'
import { requireDnsName } from '../../api/validate/names.ts'
import { asProblem, ManifestProblem, within } from '../manifest-error.ts'
import { checked } from '../schema/check.ts'
import { CronJob, DaemonSet, Deployment, Job } from '../schema/objects.ts'
import type { Container, PodTemplate } from '../schema/pod.ts'
import { clusterName } from './cluster-name.ts'
import { convertSchedule, JOB_TEMPLATE } from './cron-job.ts'
import { convertPod, type PodContext } from './pod.ts'

/** A Deployment, DaemonSet, Job or CronJob as the service that it becomes, before a Service of Kubernetes adds names and ports. */
export interface Workload {
  /** Labels of its pods, which Services select by. */
  podLabels: Readonly<Record<string, string>>
  container: Container
  spec: ServiceSpec
  /** Whether the Services in front of it are headless; undefined without any. */
  isHeadless?: boolean
}

/** What makes one kind of workload differ from another. */
interface Shape {
  template: PodTemplate
  /** What stands around the template's `spec`. */
  place?: readonly string[]
  mode: ServiceMode
  update?: UpdateConfig
  /** Of the Deployment; labels of a Job are its own affair. */
  selector?: Readonly<Record<string, string>>
  ours?: ServiceSpec['Swarmctl']
  restart: NonNullable<ServiceSpec['TaskTemplate']['RestartPolicy']>
  metadata: { labels?: Record<string, string> | undefined }
}

const NS_PER_SECOND = 1e9
/** Kubernetes' own default. */
const BACKOFF_LIMIT = 6
const SHARE = 0.25

/** Kinds that run something. */
export const WORKLOAD_KINDS = ['Deployment', 'DaemonSet', 'Job', 'CronJob'] as const
export type WorkloadKind = (typeof WORKLOAD_KINDS)[number]

/** Thrown: ManifestProblem. */
export const convertWorkload = (
  kind: WorkloadKind,
  name: string,
  tree: unknown,
  context: PodContext,
): Workload => {
  const shape = shapeOf(kind, tree, context)
  const podLabels = shape.template.metadata?.labels ?? {}
  for (const [key, value] of Object.entries(shape.selector ?? {})) {
    if (podLabels[key] === value) continue
    throw new ManifestProblem(
      ['spec', 'selector', 'matchLabels', key],
      `selects ${key}=${value}, which the template's labels don't have`,
    )
  }
  const { task, hostPorts, container } = within(shape.place ?? [], () =>
    convertPod(shape.template, context),
  )
  return {
    podLabels,
    container,
    spec: {
      Name: serviceName(context.namespace, name),
      Labels: {
        ...shape.metadata.labels,
        [NAMESPACE_LABEL]: context.namespace,
        [IMAGE_LABEL]: container.image,
      },
      TaskTemplate: { ...task, RestartPolicy: shape.restart },
      Mode: shape.mode,
      ...(shape.update && { UpdateConfig: inPlace(shape.update, hostPorts.length > 0) }),
      EndpointSpec: { Mode: 'vip', ...(hostPorts.length > 0 && { Ports: hostPorts }) },
      ...(shape.ours && { Swarmctl: shape.ours }),
    },
  }
}

const serviceName = (namespace: string, name: string): string => {
  const whole = clusterName(namespace, name)
  asProblem(['metadata', 'name'], () => requireDnsName(whole), `as the service ${whole}: `)
  return whole
}

/** A port of the node is free only when the old task has ended. */
const inPlace = (update: UpdateConfig, hasHostPorts: boolean): UpdateConfig =>
  hasHostPorts && update.Order === 'start-first' ? { ...update, Order: 'stop-first' } : update

const shapeOf = (kind: WorkloadKind, tree: unknown, { note }: PodContext): Shape => {
  switch (kind) {
    case 'Deployment':
      return deploymentShape(checked(Deployment, tree), note)
    case 'DaemonSet':
      return daemonSetShape(checked(DaemonSet, tree), note)
    case 'Job':
      return jobShape(checked(Job, tree))
    case 'CronJob':
      return cronJobShape(checked(CronJob, tree))
    default:
      return kind satisfies never
  }
}

const daemonSetShape = ({ spec, metadata }: DaemonSet, note: (text: string) => void): Shape => {
  noteRollout(spec, note)
  requireRestart(spec.template, ['Always'])
  const { maxUnavailable = 1, maxSurge = 0 } = spec.updateStrategy?.rollingUpdate ?? {}
  if (amount(maxSurge, 100, Math.ceil) > 0) {
    const path = ['spec', 'updateStrategy', 'rollingUpdate', 'maxSurge']
    throw new ManifestProblem(path, 'is not supported: a node runs one task of a global service')
  }
  const isCount = typeof maxUnavailable === 'number'
  if (!isCount) note(`maxUnavailable: ${maxUnavailable} of the nodes is taken as one at a time`)
  const Parallelism = isCount ? Math.max(1, maxUnavailable) : 1
  return {
    metadata,
    template: spec.template,
    selector: spec.selector.matchLabels,
    mode: { Global: {} },
    restart: { Condition: 'any' },
    update: { Parallelism, Order: 'stop-first', ...monitor(spec.minReadySeconds) },
  }
}

const cronJobShape = (cron: CronJob): Shape => {
  const { jobTemplate } = cron.spec
  const labels = { ...cron.metadata.labels, ...jobTemplate.metadata?.labels }
  const own = { ...cron, metadata: { ...cron.metadata, labels }, spec: jobTemplate.spec }
  const job = within(JOB_TEMPLATE, () => jobShape(own))
  return { ...job, place: JOB_TEMPLATE, ours: { Schedule: convertSchedule(cron) } }
}

const jobShape = ({ spec, metadata }: Job): Shape => {
  requireRestart(spec.template, ['Never', 'OnFailure'])
  const { completions, parallelism = 1, backoffLimit = BACKOFF_LIMIT } = spec
  if (parallelism === 0) {
    throw new ManifestProblem(['spec', 'parallelism'], 'must not be 0: a Job is not paused here')
  }
  if (parallelism > 1 && completions === undefined) {
    const text = 'needs completions: tasks that share one queue of work are not known here'
    throw new ManifestProblem(['spec', 'parallelism'], text)
  }
  const TotalCompletions = completions ?? 1
  const MaxConcurrent = Math.min(parallelism, TotalCompletions)
  return {
    metadata,
    template: spec.template,
    mode: { ReplicatedJob: { TotalCompletions, MaxConcurrent } },
    // 0 attempts would be any number of them in the API.
    restart:
      backoffLimit === 0
        ? { Condition: 'none' }
        : { Condition: 'on-failure', MaxAttempts: backoffLimit },
  }
}

const deploymentShape = ({ spec, metadata }: Deployment, note: (text: string) => void): Shape => {
  noteRollout(spec, note)
  requireRestart(spec.template, ['Always'])
  const replicas = spec.replicas ?? 1
  return {
    metadata,
    template: spec.template,
    selector: spec.selector.matchLabels,
    mode: { Replicated: { Replicas: replicas } },
    restart: { Condition: 'any' },
    update: { ...rollout(spec.strategy, replicas), ...monitor(spec.minReadySeconds) },
  }
}

/** Kubernetes' own defaults, which objects that were read back name. */
const REVISIONS = 10
const PROGRESS_SECONDS = 600

const noteRollout = (
  spec: { revisionHistoryLimit?: number | undefined; progressDeadlineSeconds?: number | undefined },
  note: (text: string) => void,
): void => {
  if ((spec.revisionHistoryLimit ?? REVISIONS) !== REVISIONS) {
    note('revisionHistoryLimit is not taken: one former version is kept, for a rollback')
  }
  if ((spec.progressDeadlineSeconds ?? PROGRESS_SECONDS) !== PROGRESS_SECONDS) {
    note('progressDeadlineSeconds is not taken: say --wait-limit')
  }
}

const monitor = (minReadySeconds: number | undefined): UpdateConfig =>
  minReadySeconds ? { Monitor: minReadySeconds * NS_PER_SECOND } : {}

/** New tasks beside the old ones where the strategy lets there be more, else in their place. */
const rollout = (strategy: Deployment['spec']['strategy'], replicas: number): UpdateConfig => {
  if (strategy?.type === 'Recreate') {
    if (strategy.rollingUpdate === undefined) return { Parallelism: 0, Order: 'stop-first' }
    throw new ManifestProblem(
      ['spec', 'strategy', 'rollingUpdate'],
      'must not stand beside type: Recreate',
    )
  }
  const { maxSurge = '25%', maxUnavailable = '25%' } = strategy?.rollingUpdate ?? {}
  const surge = amount(maxSurge, replicas, Math.ceil)
  if (surge > 0) return { Parallelism: surge, Order: 'start-first' }
  if (isNone(maxUnavailable) && isNone(maxSurge)) {
    const path = ['spec', 'strategy', 'rollingUpdate', 'maxUnavailable']
    throw new ManifestProblem(path, 'must not be 0 where maxSurge is 0: nothing could be replaced')
  }
  return {
    Parallelism: Math.max(1, amount(maxUnavailable, replicas, Math.floor)),
    Order: 'stop-first',
  }
}

const isNone = (value: number | string): boolean => Number.parseInt(String(value), 10) === 0

const amount = (
  value: number | string,
  replicas: number,
  round: (share: number) => number,
): number => {
  if (typeof value === 'number') return value
  const share = Number.parseInt(value, 10) / 100
  return round((Number.isNaN(share) ? SHARE : share) * replicas)
}

const requireRestart = ({ spec }: PodTemplate, allowed: readonly string[]): void => {
  const policy = spec.restartPolicy ?? 'Always'
  if (allowed.includes(policy)) return
  const path = ['spec', 'template', 'spec', 'restartPolicy']
  throw new ManifestProblem(path, `must be ${allowed.join(' or ')}, not ${policy}`)
}
