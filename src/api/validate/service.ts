import { parseConstraints } from '../constraint.ts'
import { PORTS_MAX } from '../defaults.ts'
import { invalid, SwarmctlError } from '../errors.ts'
import { hostAddressOf, isSameHostAddress } from '../host-port.ts'
import { isJob } from '../service-defaults.ts'
import {
  type EndpointSpec,
  type ResourceRequirements,
  type RestartPolicy,
  type ServiceMode,
  ServiceSpec,
  type TaskSpec,
  type UpdateConfig,
} from '../service-spec.ts'
import { requireAutoscale, withinBounds } from './autoscale.ts'
import { parseBodyKeeping } from './body.ts'
import { requireContainer } from './container.ts'
import { requireContainerExtension, requireFixedAddresses } from './container-extension.ts'
import { ineffectiveFields } from './ineffective-fields.ts'
import { requireDnsName } from './names.ts'
import { requireSchedule } from './schedule.ts'

const NANO_CPUS_MIN = 1_000_000
const MEMORY_BYTES_MIN = 4 * 1024 * 1024
const SWAPPINESS_MAX = 100

/**
 * A service spec as it is stored: parsed, normalised (a mode is set, networks are in the task template, the endpoint has a mode) and checked
 * as far as that is possible without the cluster's state.
 * @throws SwarmctlError INVALID_ARGUMENT or UNIMPLEMENTED with Docker's text
 */
export const parseServiceSpec = (body: unknown): ServiceSpec => parseServiceRequest(body).spec

/** A checked spec, and what of it is kept without having an effect. */
export interface ServiceRequest {
  spec: ServiceSpec
  warnings: string[]
  /** Whether an update leaves the number of tasks to the autoscaler: it has one, and names no number. */
  keepsReplicas: boolean
}

/** As `parseServiceSpec`, with a warning for each field that is not acted on. */
export const parseServiceRequest = (body: unknown): ServiceRequest => {
  const { value, unknown } = parseBodyKeeping(ServiceSpec, body)
  const asked = value.Mode?.Replicated?.Replicas
  const whole = normalise(value)
  requireService(whole)
  const { spec, warnings } = withinBounds(whole, asked)
  return {
    spec,
    warnings: [...ineffectiveFields(spec, unknown), ...warnings],
    keepsReplicas: spec.Swarmctl?.Autoscale !== undefined && asked === undefined,
  }
}

const requireService = (spec: ServiceSpec): void => {
  requireDnsName(spec.Name)
  requireTask(spec.TaskTemplate)
  requireMode(spec)
  requireSchedule(spec)
  if (isJob(spec)) {
    if (spec.UpdateConfig !== undefined) throw invalid('Jobs may not have an update config')
  } else {
    requireUpdate('update', spec.UpdateConfig ?? {})
    requireUpdate('rollback', spec.RollbackConfig ?? {})
  }
  requireEndpoint(spec.EndpointSpec ?? {})
  requireFixedAddresses(spec)
  requireAutoscale(spec)
}

const normalise = (spec: ServiceSpec): ServiceSpec => {
  const { Networks, Mode = {}, EndpointSpec, ...rest } = spec
  // Answers never carry credentials, so a body that has them didn't get them from one; they travel in a header.
  const { PullOptions: _, ...template } = spec.TaskTemplate
  const usesOldNetworks = (template.Networks ?? []).length === 0 && (Networks ?? []).length > 0
  return {
    ...rest,
    TaskTemplate: usesOldNetworks ? { ...template, Networks } : template,
    Mode: withCounts(Mode),
    ...(EndpointSpec && { EndpointSpec: { ...EndpointSpec, Mode: EndpointSpec.Mode ?? 'vip' } }),
  }
}

/** Clients read the numbers of a mode without looking whether they are there (docker CLI). */
const withCounts = (mode: ServiceMode): ServiceMode => {
  const { Replicated, ReplicatedJob } = mode
  if (Replicated !== undefined || modesOf(mode).length === 0) {
    return { ...mode, Replicated: { ...Replicated, Replicas: Replicated?.Replicas ?? 1 } }
  }
  if (ReplicatedJob === undefined) return mode
  const MaxConcurrent = ReplicatedJob.MaxConcurrent ?? 1
  const TotalCompletions = ReplicatedJob.TotalCompletions ?? MaxConcurrent
  return { ...mode, ReplicatedJob: { ...ReplicatedJob, MaxConcurrent, TotalCompletions } }
}

/** What a newer API may have beside them is none that anything here runs. */
const modesOf = ({ Replicated, Global, ReplicatedJob, GlobalJob }: ServiceMode): object[] =>
  [Replicated, Global, ReplicatedJob, GlobalJob].filter((mode) => mode !== undefined)

const requireMode = (spec: ServiceSpec): void => {
  if (modesOf(spec.Mode ?? {}).length > 1) throw invalid('must specify only one service mode')
}

const requireTask = (task: TaskSpec): void => {
  requireResources(task.Resources ?? {})
  requireRestart(task.RestartPolicy ?? {})
  parseConstraints(task.Placement?.Constraints)
  for (const preference of task.Placement?.Preferences ?? []) {
    if (!preference.Spread?.SpreadDescriptor) {
      throw invalid('placement preference: only spread over a label is supported')
    }
  }
  if (task.PluginSpec !== undefined || task.NetworkAttachmentSpec !== undefined) {
    throw new SwarmctlError(
      'UNIMPLEMENTED',
      'RuntimeSpec: unimplemented runtime in service spec: only containers can be run',
    )
  }
  if (task.Runtime && task.Runtime !== 'container') {
    throw invalid(`unsupported Runtime: "${task.Runtime}", only containers can be run`)
  }
  if (task.ContainerSpec === undefined) {
    throw invalid('mismatched Runtime and *Spec fields: the ContainerSpec is missing')
  }
  requireContainer(task.ContainerSpec)
  requireContainerExtension(task.ContainerSpec, task.Resources ?? {})
}

const requireResources = (resources: ResourceRequirements): void => {
  for (const amount of [resources.Limits, resources.Reservations]) {
    const cpus = amount?.NanoCPUs ?? 0
    const memory = amount?.MemoryBytes ?? 0
    if (cpus !== 0 && cpus < NANO_CPUS_MIN) {
      throw invalid(`invalid cpu value ${cpus / 1e9}: Must be at least 0.001`)
    }
    if (memory !== 0 && memory < MEMORY_BYTES_MIN) {
      throw invalid(`invalid memory value ${memory}: Must be at least 4MiB`)
    }
  }
  if ((resources.Limits?.Pids ?? 0) < 0) throw invalid('invalid pids limit: Must not be negative')
  // Swap without limit needs none; Swarm refuses that as well.
  if ((resources.SwapBytes ?? -1) !== -1 && !resources.Limits?.MemoryBytes) {
    throw invalid('memory swap provided, but no memory-limit was set')
  }
  const swappiness = resources.MemorySwappiness ?? -1
  if (swappiness < -1 || swappiness > SWAPPINESS_MAX) {
    throw invalid(`invalid memory swappiness ${swappiness}: Must be from -1 to 100`)
  }
  for (const generic of resources.Reservations?.GenericResources ?? []) {
    const kind = generic.NamedResourceSpec?.Kind ?? generic.DiscreteResourceSpec?.Kind ?? ''
    if (kind === '') throw invalid('invalid generic resource: Kind must be provided')
    if ((generic.DiscreteResourceSpec?.Value ?? 0) < 0) {
      throw invalid(`invalid generic resource ${kind}: Value must not be negative`)
    }
  }
}

const requireRestart = (policy: RestartPolicy): void => {
  if ((policy.Delay ?? 0) < 0) throw invalid('TaskSpec: restart-delay cannot be negative')
  if ((policy.Window ?? 0) < 0) throw invalid('TaskSpec: restart-window cannot be negative')
}

const requireUpdate = (noun: 'update' | 'rollback', config: UpdateConfig): void => {
  if ((config.Delay ?? 0) < 0) throw invalid(`TaskSpec: ${noun}-delay cannot be negative`)
  if ((config.Monitor ?? 0) < 0) throw invalid(`TaskSpec: ${noun}-monitor cannot be negative`)
}

const requireEndpoint = (endpoint: EndpointSpec): void => {
  const { Ports = [] } = endpoint
  if (Ports.length > PORTS_MAX) {
    throw invalid(
      `EndpointSpec.Ports: a service publishes at most ${PORTS_MAX} ports, not ${Ports.length}: for more, use the host's network`,
    )
  }
  const published = new Map<string, string[]>()
  for (const port of Ports) {
    if (endpoint.Mode === 'dnsrr' && port.PublishMode === 'ingress') {
      throw invalid("EndpointSpec: port published with ingress mode can't be used with dnsrr mode")
    }
    if (
      port.Swarmctl?.ProxyProtocol &&
      (port.Protocol !== 'tcp' || port.PublishMode !== 'ingress')
    ) {
      throw invalid('EndpointSpec: the PROXY protocol is for TCP ports in ingress mode')
    }
    if (!port.PublishedPort) continue
    const key = `${port.PublishedPort}/${port.Protocol}`
    const addresses = published.get(key) ?? []
    const address = hostAddressOf(port)
    if (addresses.some((other) => isSameHostAddress(address, other))) {
      throw invalid('EndpointSpec: duplicate published ports provided')
    }
    published.set(key, [...addresses, address])
  }
}
