import { STOP_GRACE_PERIOD_NS } from '../../api/defaults.ts'
import { invalid } from '../../api/errors.ts'
import type { ContainerSpec, PortConfig, TaskSpec } from '../../api/service-spec.ts'
import type { Task } from '../../api/task.ts'
import { taskName } from '../../api/task-name.ts'
import {
  expandEnv,
  expandTemplate,
  type TemplateContext,
  templateContext,
} from '../../api/task-template.ts'
import type { ContainerPlan } from '../executor.ts'
import type { TaskWiring } from '../overlay-port.ts'
import { mountBody } from './mount-body.ts'
import { securityOptions } from './security-options.ts'

/** Labels that other tools know Swarm's containers by (moby `executor/container/container.go`); also how they are adopted. */
export const TASK_ID_LABEL = 'com.docker.swarm.task.id'
export const NODE_ID_LABEL = 'com.docker.swarm.node.id'

const systemLabels = (task: Task): Record<string, string> => ({
  'com.docker.swarm.task': '',
  [TASK_ID_LABEL]: task.ID,
  'com.docker.swarm.task.name': taskName(task),
  [NODE_ID_LABEL]: task.NodeID,
  'com.docker.swarm.service.id': task.ServiceID,
  'com.docker.swarm.service.name': task.Swarmctl.ServiceName,
})

/** An object without its undefined fields: absent means the Engine's default. */
const defined = <T extends object>(object: T): Partial<T> =>
  Object.fromEntries(
    Object.entries(object).filter(([, value]) => value !== undefined),
  ) as Partial<T>

const nonEmpty = <T>(list: T[]): T[] | undefined => (list.length === 0 ? undefined : list)

/** The least that the Engine takes as a reservation (moby `linuxMinMemory`). */
const MEMORY_RESERVATION_BYTES_MIN = 6 * 2 ** 20

/** Scheduling goes by any reservation; the Engine refuses one that is tiny or beyond the limit, where Swarm tells it of none. */
const memoryReservation = (reserved: number, limit: number): number | undefined => {
  const bytes = limit > 0 ? Math.min(reserved, limit) : reserved
  return bytes < MEMORY_RESERVATION_BYTES_MIN ? undefined : bytes
}

/** Host-mode ports as the create request has them. */
const hostPorts = (ports: readonly PortConfig[]) => {
  const bindings: Record<string, { HostIp?: string; HostPort: string }[]> = {}
  for (const { Protocol, TargetPort, PublishedPort, PublishMode, Swarmctl } of ports) {
    if (PublishMode !== 'host') continue
    const key = `${TargetPort}/${Protocol}`
    bindings[key] = [
      ...(bindings[key] ?? []),
      {
        ...(Swarmctl?.HostIP && { HostIp: Swarmctl.HostIP }),
        HostPort: PublishedPort ? String(PublishedPort) : '',
      },
    ]
  }
  return Object.keys(bindings).length === 0
    ? {}
    : {
        PortBindings: bindings,
        ExposedPorts: Object.fromEntries(Object.keys(bindings).map((key) => [key, {}])),
      }
}

/** `IP canonical-name [alias…]` as the Engine's `name:IP`. */
const extraHosts = (lines: readonly string[]): string[] =>
  lines.flatMap((line) => {
    const [address, ...names] = line.split(/\s+/).filter((word) => word !== '')
    return names.map((name) => `${name}:${address}`)
  })

const resources = ({ Resources }: TaskSpec) => {
  const limits = Resources?.Limits ?? {}
  const swap = Resources?.SwapBytes
  return {
    NanoCpus: limits.NanoCPUs,
    Memory: limits.MemoryBytes,
    PidsLimit: limits.Pids,
    MemoryReservation: memoryReservation(
      Resources?.Reservations?.MemoryBytes ?? 0,
      limits.MemoryBytes ?? 0,
    ),
    // The Engine counts memory and swap together; -1 is without limit in both.
    MemorySwap: swap !== undefined && swap >= 0 ? (limits.MemoryBytes ?? 0) + swap : swap,
    MemorySwappiness: Resources?.MemorySwappiness,
  }
}

/** The Engine network that is the container's first: one that the node made, or one of the predefined that the spec names. */
const networkMode = (task: Task, wiring: TaskWiring | undefined): string | undefined => {
  const made = wiring?.networks[0]?.dockerNetwork
  if (made !== undefined) return made
  for (const { Network, Addresses } of task.NetworksAttachments ?? []) {
    if (Addresses.length > 0) continue
    const driver = Network.Spec.DriverConfiguration.Name
    const name = driver === 'null' ? 'none' : driver
    if (name === 'host' || name === 'none' || name === 'bridge') return name
  }
  return undefined
}

/** The endpoint settings of one network. */
export const endpointSettings = ({
  ipv4Address,
  ipv6Address,
  aliases,
  driverOpts,
}: TaskWiring['networks'][number]): object => ({
  ...(ipv4Address && {
    IPAMConfig: { IPv4Address: ipv4Address, ...(ipv6Address && { IPv6Address: ipv6Address }) },
  }),
  ...(aliases.length === 0 ? {} : { Aliases: aliases }),
  ...(driverOpts && { DriverOpts: driverOpts }),
})

const logConfig = (Type = '', Config: Record<string, string> = {}): object | undefined =>
  Type === '' && Object.keys(Config).length === 0 ? undefined : { Type, Config }

/** What of the spec only the Engine knows; its names are the Engine's. */
const hostExtension = ({ Swarmctl = {} }: ContainerSpec): object => {
  const { Domainname: _, SecurityOpt: __, ...host } = Swarmctl
  return host
}

const hostConfig = (plan: ContainerPlan, spec: ContainerSpec, context: TemplateContext): object => {
  const { task, wiring, files } = plan
  const dns = spec.DNSConfig ?? {}
  const log = task.Spec.LogDriver
  const { PortBindings } = hostPorts(task.Swarmctl.Endpoint.Ports ?? [])
  return {
    ...defined({
      ...hostExtension(spec),
      ...resources(task.Spec),
      Init: spec.Init,
      Isolation: spec.Isolation,
      OomScoreAdj: spec.OomScoreAdj,
      ReadonlyRootfs: spec.ReadOnly,
      GroupAdd: spec.Groups,
      Sysctls: spec.Sysctls,
      CapAdd: spec.CapabilityAdd,
      CapDrop: spec.CapabilityDrop,
      Ulimits: spec.Ulimits,
      ExtraHosts: nonEmpty(extraHosts(spec.Hosts ?? [])),
      SecurityOpt: nonEmpty(securityOptions(spec)),
      // On overlays the wiring has it all: the overlay's own server, then what the spec asks for.
      Dns: nonEmpty(wiring?.dns ?? dns.Nameservers ?? []),
      DnsSearch: nonEmpty(wiring?.dnsSearch ?? dns.Search ?? []),
      DnsOptions: nonEmpty(wiring?.dnsOptions ?? dns.Options ?? []),
      // Without a name the options are for the Engine's own driver (swarmkit `manager/scheduler/filter.go`).
      LogConfig: logConfig(log?.Name, log?.Options),
      NetworkMode: networkMode(task, wiring),
      PortBindings,
    }),
    Mounts: [
      ...(spec.Mounts ?? []).map((mount) => mountBody(mount, context)),
      ...files.mounts.map(({ source, target }) => ({
        Type: 'bind',
        Source: source,
        Target: target,
        ReadOnly: true,
      })),
    ],
    RestartPolicy: { Name: '' },
    ...wiring?.hostConfig,
  }
}

/** What is said of a spec that can't be filled in; the task is rejected with it. */
const expanding = <T>(what: string, expand: () => T): T => {
  try {
    return expand()
  } catch (error) {
    throw invalid(`expanding ${what} failed: ${(error as Error).message}`)
  }
}

/** The spec's variables, then one for each kind of generic resource that the task was given, as Swarm's: `DOCKER_RESOURCE_GPU=uuid1,uuid2`. */
const environment = ({ Spec, GenericResources }: Task, context: TemplateContext) => {
  const lines = Spec.ContainerSpec?.Env?.map((line) => expandEnv(line, context))
  if (!GenericResources?.length) return lines
  const given = Map.groupBy(
    GenericResources.flatMap((one) => one.NamedResourceSpec ?? one.DiscreteResourceSpec ?? []),
    ({ Kind }) => `DOCKER_RESOURCE_${Kind}`.toUpperCase(),
  )
  const own = [...given].map(([name, list]) => `${name}=${list.map(({ Value }) => Value).join()}`)
  return [...(lines ?? []), ...own]
}

/**
 * The body of `POST /containers/create` for a task: its whole ContainerSpec and TaskSpec.
 * @throws SwarmctlError INVALID_ARGUMENT for a placeholder that can't be filled in
 */
export const containerBody = (plan: ContainerPlan): object => {
  const { task, wiring } = plan
  const spec = task.Spec.ContainerSpec
  if (spec === undefined) throw invalid('the task has no container spec')
  const context = templateContext(task, plan.node)
  const first = wiring?.networks[0]
  const { ExposedPorts } = hostPorts(task.Swarmctl.Endpoint.Ports ?? [])
  return {
    ...defined({
      Image: spec.Image,
      // An empty list would take the image's entrypoint away.
      Entrypoint: nonEmpty(spec.Command ?? []),
      Cmd: spec.Args,
      Env: expanding('env', () => environment(task, context)),
      Hostname:
        expanding('hostname', () => expandTemplate(spec.Hostname ?? '', context)) || undefined,
      Domainname: spec.Swarmctl?.Domainname,
      User: spec.User,
      WorkingDir: spec.Dir,
      Tty: spec.TTY,
      OpenStdin: spec.OpenStdin,
      StopSignal: spec.StopSignal || undefined,
      Healthcheck: spec.Healthcheck,
      ExposedPorts,
    }),
    StopTimeout: Math.ceil((spec.StopGracePeriod ?? STOP_GRACE_PERIOD_NS) / 1e9),
    Labels: { ...spec.Labels, ...systemLabels(task) },
    HostConfig: expanding('mounts', () => hostConfig(plan, spec, context)),
    ...(first === undefined
      ? {}
      : {
          NetworkingConfig: { EndpointsConfig: { [first.dockerNetwork]: endpointSettings(first) } },
        }),
  }
}
