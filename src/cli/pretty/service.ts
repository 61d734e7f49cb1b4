import type { Autoscale } from '../../api/autoscale.ts'
import { AUTOSCALE_MIN, SCALE_DOWN_WINDOW_NS } from '../../api/defaults.ts'
import { GoDuration } from '../../api/go-template/go-values.ts'
import { SCHEDULE_DEFAULTS } from '../../api/schedule.ts'
import type { Service } from '../../api/service.ts'
import type { ContainerSpec, Mount, ServiceSpec, UpdateConfig } from '../../api/service-spec.ts'
import { ago } from '../relative-time.ts'
import { nextRunText } from '../schedule-text.ts'
import { memorySize } from '../sizes.ts'
import { block, line } from './lines.ts'

const NANO_CPUS = 1e9

const duration = (ns: number | undefined): string | undefined =>
  ns === undefined ? undefined : String(new GoDuration(ns))

const list = (values: readonly unknown[] | undefined): string | undefined =>
  values && values.length > 0 ? `[${values.join(' ')}]` : undefined

const modeLines = ({ Spec, JobStatus }: Service): string[] => {
  const { Global, GlobalJob, Replicated, ReplicatedJob } = Spec.Mode ?? {}
  if (Global) return line('Service Mode', 'Global')
  const job = line('Last Execution', JobStatus?.LastExecution, 1)
  if (GlobalJob) return [...line('Service Mode', 'GlobalJob'), ...job]
  if (ReplicatedJob) {
    return [
      ...line('Service Mode', 'ReplicatedJob'),
      ...line('Max Concurrent', ReplicatedJob.MaxConcurrent, 1),
      ...line('Total Completions', ReplicatedJob.TotalCompletions, 1),
      ...job,
    ]
  }
  return [...line('Service Mode', 'Replicated'), ...line('Replicas', Replicated?.Replicas, 1)]
}

const scheduleLines = (service: Service, nowMs: number): string[] => {
  const schedule = service.Spec.Swarmctl?.Schedule
  if (schedule === undefined) return []
  const { timeZone, concurrencyPolicy } = SCHEDULE_DEFAULTS
  return [
    ...line('Cron', schedule.Cron, 1),
    ...line('Time Zone', schedule.TimeZone ?? timeZone, 1),
    ...line('Concurrency', schedule.ConcurrencyPolicy ?? concurrencyPolicy, 1),
    ...line('Starting Deadline', duration(schedule.StartingDeadline), 1),
    ...line('Last Run', service.JobStatus?.LastExecution ?? 'none yet', 1),
    ...line('Next Run', nextRunText(service, nowMs), 1),
  ]
}

const autoscaleLines = ({ Spec, Swarmctl }: Service, nowMs: number): string[] => {
  const autoscale = Spec.Swarmctl?.Autoscale
  if (autoscale === undefined) return []
  const { Min = AUTOSCALE_MIN, Max, ScaleDownWindow = SCALE_DOWN_WINDOW_NS } = autoscale
  const last = Swarmctl.Autoscaled
  return [
    ...line('Replicas', `${Min} to ${Max}`, 1),
    ...line('Targets', targetTexts(autoscale).join(', '), 1),
    ...line('Scale-down window', duration(ScaleDownWindow), 1),
    ...line(
      'Last change',
      last && `${last.From} → ${last.To}, ${ago(last.At, nowMs)}: ${last.Reason}`,
      1,
    ),
  ]
}

const targetTexts = ({ CpuPercent, MemoryPercent, NanoCpus, MemoryBytes }: Autoscale): string[] => [
  ...(CpuPercent === undefined ? [] : [`cpu ${CpuPercent}%`]),
  ...(NanoCpus === undefined ? [] : [`cpu ${NanoCpus / NANO_CPUS}`]),
  ...(MemoryPercent === undefined ? [] : [`memory ${MemoryPercent}%`]),
  ...(MemoryBytes === undefined ? [] : [`memory ${memorySize(MemoryBytes)}`]),
]

const updateStatusLines = ({ UpdateStatus }: Service, nowMs: number): string[] =>
  UpdateStatus
    ? [
        ...line('State', UpdateStatus.State, 1),
        ...(UpdateStatus.StartedAt ? line('Started', ago(UpdateStatus.StartedAt, nowMs), 1) : []),
        ...(UpdateStatus.CompletedAt
          ? line('Completed', ago(UpdateStatus.CompletedAt, nowMs), 1)
          : []),
        ...line('Message', UpdateStatus.Message, 1),
      ]
    : []

const placementLines = ({ TaskTemplate: { Placement } }: ServiceSpec): string[] => [
  ...line('Constraints', list(Placement?.Constraints), 1),
  ...line(
    'Preferences',
    list(Placement?.Preferences?.map(({ Spread }) => `spread=${Spread?.SpreadDescriptor}`)),
    1,
  ),
  ...line('Max Replicas Per Node', Placement?.MaxReplicas || undefined, 1),
]

const changeLines = (config: UpdateConfig | undefined, word: 'Update' | 'Rollback'): string[] =>
  config
    ? [
        ...line('Parallelism', config.Parallelism, 1),
        ...line('Delay', config.Delay ? duration(config.Delay) : undefined, 1),
        ...line('On failure', config.FailureAction, 1),
        ...line('Monitoring Period', duration(config.Monitor), 1),
        ...line('Max failure ratio', config.MaxFailureRatio, 1),
        ...line(`${word} order`, config.Order, 1),
      ]
    : []

const containerLines = (container: ContainerSpec | undefined): string[] =>
  container
    ? [
        ...line('Image', container.Image, 1),
        ...line('Command', container.Command?.join(' '), 1),
        ...line('Args', container.Args?.join(' '), 1),
        ...line('Env', container.Env?.join(' '), 1),
        ...line('Dir', container.Dir, 1),
        ...line('User', container.User, 1),
        ...line('Init', container.Init, 1),
        ...line(
          'Sysctls',
          list(Object.entries(container.Sysctls ?? {}).map((pair) => pair.join('='))),
          1,
        ),
        ...line('Capabilities added', list(container.CapabilityAdd), 1),
        ...line('Capabilities dropped', list(container.CapabilityDrop), 1),
      ]
    : []

const mountLines = (mount: Mount): string[] => [
  ...line('Target', mount.Target, 1),
  ...line('Source', mount.Source, 2),
  ...line('ReadOnly', mount.ReadOnly === true, 2),
  ...line('Type', mount.Type, 2),
]

const resourceLines = ({ TaskTemplate: { Resources } }: ServiceSpec): string[] => {
  const of = (name: 'Reservations' | 'Limits'): string[] => {
    const wanted = Resources?.[name]
    return block(` ${name}`, [
      ...line('CPU', wanted?.NanoCPUs ? wanted.NanoCPUs / NANO_CPUS : undefined, 2),
      ...line('Memory', wanted?.MemoryBytes ? memorySize(wanted.MemoryBytes) : undefined, 2),
    ])
  }
  return [...of('Reservations'), ...of('Limits')]
}

const healthLines = ({ Healthcheck }: ContainerSpec): string[] =>
  Healthcheck
    ? [
        ...line('Test', Healthcheck.Test?.join(' '), 1),
        ...line('Interval', duration(Healthcheck.Interval), 1),
        ...line('Retries', Healthcheck.Retries, 1),
        ...line('Start Interval', duration(Healthcheck.StartInterval), 1),
        ...line('Start Period', duration(Healthcheck.StartPeriod), 1),
        ...line('Timeout', duration(Healthcheck.Timeout), 1),
      ]
    : []

const portLines = ({ Endpoint }: Service): string[] =>
  (Endpoint.Ports ?? []).flatMap((port) => [
    ` PublishedPort = ${port.PublishedPort}`,
    `  Protocol = ${port.Protocol}`,
    `  TargetPort = ${port.TargetPort}`,
    `  PublishMode = ${port.PublishMode}`,
  ])

const fileLines = (
  files: readonly { File?: { Name?: string } | undefined; name: string }[],
): string[] =>
  files.flatMap(({ File, name }) => [...line('Target', File?.Name, 1), ...line('Source', name, 2)])

/** `service inspect --pretty`. `networks` are the names of those that the spec names by id. */
export const prettyService = (
  service: Service,
  networks: ReadonlyMap<string, string>,
  nowMs: number,
): string => {
  const { Spec } = service
  const container = Spec.TaskTemplate.ContainerSpec
  const labels = Object.entries(Spec.Labels ?? {}).map(([key, value]) => ` ${key}=${value}`)
  const attached = (Spec.TaskTemplate.Networks ?? Spec.Networks ?? []).map(
    ({ Target }) => networks.get(Target ?? '') ?? Target,
  )
  return [
    '',
    ...line('ID', service.ID),
    ...line('Name', Spec.Name),
    ...block('Labels', labels.sort()),
    ...modeLines(service),
    ...block('Autoscale', autoscaleLines(service, nowMs)),
    ...block('Schedule', scheduleLines(service, nowMs)),
    ...block('UpdateStatus', updateStatusLines(service, nowMs)),
    ...block('Placement', placementLines(Spec)),
    ...block('UpdateConfig', changeLines(Spec.UpdateConfig, 'Update')),
    ...block('RollbackConfig', changeLines(Spec.RollbackConfig, 'Rollback')),
    ...block('ContainerSpec', containerLines(container)),
    ...block('Mounts', (container?.Mounts ?? []).flatMap(mountLines)),
    ...block(
      'Configs',
      fileLines(
        (container?.Configs ?? []).map((ref) => ({ File: ref.File, name: ref.ConfigName })),
      ),
    ),
    ...block(
      'Secrets',
      fileLines(
        (container?.Secrets ?? []).map((ref) => ({ File: ref.File, name: ref.SecretName })),
      ),
    ),
    ...block('Resources', resourceLines(Spec)),
    ...line('Networks', attached.join(' ')),
    ...line('Endpoint Mode', Spec.EndpointSpec?.Mode),
    ...block('Ports', portLines(service)),
    ...block('Healthcheck', container ? healthLines(container) : []),
  ].join('\n')
}
