import type { ContainerExtension } from '../../api/container-extension.ts'
import type {
  ContainerSpec,
  Placement,
  PortConfig,
  ResourceRequirements,
  TaskSpec,
} from '../../api/service-spec.ts'
import { ManifestProblem } from '../manifest-error.ts'
import { memoryBytes, nanoCpus } from '../quantity.ts'
import type { Container, PodSpec, PodTemplate } from '../schema/pod.ts'
import { convertEnv, type EnvContext, expandWord } from './env.ts'
import { convertProbes } from './probes.ts'
import { convertVolumes, type VolumeContext } from './volumes.ts'

/** What converting a pod needs. */
export interface PodContext extends Omit<EnvContext & VolumeContext, 'path'> {
  /** The network that the namespace's pods are on. */
  network: string
}

const NS_PER_SECOND = 1e9
const GRACE_SECONDS = 30

/** A pod template as a task's spec, and the ports that it takes of its node. Thrown: ManifestProblem. */
export const convertPod = (
  { metadata, spec: pod }: PodTemplate,
  context: PodContext,
): { task: TaskSpec; hostPorts: PortConfig[]; container: Container } => {
  const [container, second] = pod.containers
  if (container === undefined || second !== undefined) {
    const text = 'a task is one container: give the others a Deployment of their own'
    throw new ManifestProblem([...SPEC, 'containers', 1], text)
  }
  const path = [...SPEC, 'containers', 0]
  return {
    container,
    task: {
      ContainerSpec: {
        ...convertContainer(pod, container, { ...context, path }),
        ...(metadata?.labels && { Labels: metadata.labels }),
      },
      Resources: convertResources(container, path),
      Placement: convertPlacement(pod),
      Networks: [{ Target: pod.hostNetwork === true ? 'host' : context.network }],
      ForceUpdate: 0,
    },
    hostPorts: (container.ports ?? [])
      .filter(({ hostPort }) => hostPort !== undefined && pod.hostNetwork !== true)
      .map(({ containerPort, hostPort, protocol }) => ({
        Protocol: lower(protocol),
        TargetPort: containerPort,
        PublishedPort: hostPort ?? containerPort,
        PublishMode: 'host',
      })),
  }
}

const SPEC = ['spec', 'template', 'spec']

/** `TCP` as the API has it. */
export const lower = (protocol: 'TCP' | 'UDP' | 'SCTP' = 'TCP') =>
  protocol.toLowerCase() as PortConfig['Protocol']

const convertContainer = (
  pod: PodSpec,
  container: Container,
  context: PodContext & { path: (string | number)[] },
): ContainerSpec => {
  const { path, note } = context
  const values = convertEnv(container, context)
  const words = (key: 'command' | 'args') =>
    container[key]?.map((word, index) => expandWord(word, values, [...path, key, index]))
  const { mounts, configs, secrets } = convertVolumes(pod, container, context)
  const Healthcheck = convertProbes(container, path, note)
  if (container.imagePullPolicy === 'Never') note('imagePullPolicy: Never is ignored')
  if (pod.imagePullSecrets) note('imagePullSecrets are ignored: use --with-registry-auth')
  return defined<ContainerSpec>({
    Image: container.image,
    Command: words('command'),
    Args: words('args'),
    Dir: container.workingDir,
    Env: [...values].map(([name, value]) => `${name}=${value}`),
    Hostname: pod.hostname,
    Hosts: pod.hostAliases?.map(({ ip, hostnames }) => `${ip} ${hostnames.join(' ')}`),
    DNSConfig: pod.dnsConfig && {
      ...(pod.dnsConfig.nameservers && { Nameservers: pod.dnsConfig.nameservers }),
      ...(pod.dnsConfig.searches && { Search: pod.dnsConfig.searches }),
      ...(pod.dnsConfig.options && {
        Options: pod.dnsConfig.options.map(({ name, value }) =>
          value ? `${name}:${value}` : name,
        ),
      }),
    },
    Healthcheck,
    Mounts: mounts,
    Configs: configs,
    Secrets: secrets,
    TTY: container.tty,
    OpenStdin: container.stdin,
    StopGracePeriod: (pod.terminationGracePeriodSeconds ?? GRACE_SECONDS) * NS_PER_SECOND,
    ...convertSecurity(pod, container, context),
    Swarmctl: convertExtension(pod, container, path),
  })
}

const defined = <T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T

const convertSecurity = (
  pod: PodSpec,
  { securityContext = {} }: Container,
  { path, note }: PodContext & { path: (string | number)[] },
) => {
  const own = { ...pod.securityContext, ...securityContext }
  if (own.runAsGroup !== undefined && own.runAsUser === undefined) {
    const holder = securityContext.runAsGroup === undefined ? SPEC : path
    const text = "needs runAsUser: an Engine can't give the image's own user another group"
    throw new ManifestProblem([...holder, 'securityContext', 'runAsGroup'], text)
  }
  if (own.runAsNonRoot && own.runAsUser === undefined) {
    note("runAsNonRoot: is not checked: the image's own user is taken; say runAsUser")
  }
  const { fsGroup, supplementalGroups = [], sysctls } = pod.securityContext ?? {}
  const groups = [...(fsGroup === undefined ? [] : [fsGroup]), ...supplementalGroups].map(String)
  const group = own.runAsGroup === undefined ? '' : `:${own.runAsGroup}`
  return defined<Partial<ContainerSpec>>({
    User: own.runAsUser === undefined ? undefined : `${own.runAsUser}${group}`,
    Groups: groups.length === 0 ? undefined : groups,
    ReadOnly: securityContext.readOnlyRootFilesystem,
    Sysctls: sysctls && Object.fromEntries(sysctls.map(({ name, value }) => [name, value])),
    CapabilityAdd: capabilities(securityContext.capabilities?.add),
    CapabilityDrop: capabilities(securityContext.capabilities?.drop),
    Privileges: {
      NoNewPrivileges: securityContext.allowPrivilegeEscalation === false,
      ...(own.seccompProfile?.type === 'Unconfined' && { Seccomp: { Mode: 'unconfined' } }),
    },
  })
}

const capabilities = (names: readonly string[] | undefined): string[] | undefined =>
  names?.map((name) => (name === 'ALL' || name.startsWith('CAP_') ? name : `CAP_${name}`))

/** Vendors' GPUs, as the Engine's device requests. */
const GPU = /^(nvidia|amd)\.com\/gpu$/

const convertExtension = (
  pod: PodSpec,
  { resources, securityContext }: Container,
  path: (string | number)[],
): ContainerExtension | undefined => {
  const requests = Object.entries(resources?.limits ?? {})
    .filter(([name]) => GPU.test(name))
    .map(([name, amount]) => {
      const Count = Number(amount)
      if (!Number.isInteger(Count) || Count < 1) {
        throw new ManifestProblem([...path, 'resources', 'limits', name], 'must be a whole number')
      }
      return { Driver: GPU.exec(name)?.[1] ?? '', Count, Capabilities: [['gpu']] }
    })
  const extension = defined<ContainerExtension>({
    Privileged: securityContext?.privileged || undefined,
    PidMode: pod.hostPID ? 'host' : undefined,
    IpcMode: pod.hostIPC ? 'host' : undefined,
    DeviceRequests: requests.length === 0 ? undefined : requests,
  })
  return Object.keys(extension).length === 0 ? undefined : extension
}

const convertResources = (
  { resources = {} }: Container,
  path: (string | number)[],
): ResourceRequirements => {
  const amounts = (key: 'limits' | 'requests') => {
    const result: { NanoCPUs?: number; MemoryBytes?: number } = {}
    for (const [name, quantity] of Object.entries(resources[key] ?? {})) {
      const place = [...path, 'resources', key, name]
      if (GPU.test(name)) continue
      if (name !== 'cpu' && name !== 'memory') throw new ManifestProblem(place, 'is not supported')
      const amount = name === 'cpu' ? nanoCpus(quantity) : memoryBytes(quantity)
      if (amount === undefined) throw new ManifestProblem(place, `${quantity} is no quantity`)
      result[name === 'cpu' ? 'NanoCPUs' : 'MemoryBytes'] = amount
    }
    return result
  }
  return {
    ...(resources.limits && { Limits: amounts('limits') }),
    ...(resources.requests && { Reservations: amounts('requests') }),
  }
}

/** Well-known labels of nodes that the cluster has under names of its own. */
const NODE_FIELDS: Readonly<Record<string, string>> = {
  'kubernetes.io/hostname': 'node.hostname',
  'kubernetes.io/os': 'node.platform.os',
  'kubernetes.io/arch': 'node.platform.arch',
}

const convertPlacement = (pod: PodSpec): Placement => {
  const constraints = Object.entries(pod.nodeSelector ?? {}).map(
    ([label, value]) => `${NODE_FIELDS[label] ?? `node.labels.${label}`}==${value}`,
  )
  if (pod.nodeName !== undefined) constraints.push(`node.hostname==${pod.nodeName}`)
  // Tasks are spread over hosts in any case.
  const spread = (pod.topologySpreadConstraints ?? [])
    .map(({ topologyKey }) => topologyKey)
    .filter((key) => key !== 'kubernetes.io/hostname')
  return {
    ...(constraints.length > 0 && { Constraints: constraints }),
    ...(spread.length > 0 && {
      Preferences: spread.map((key) => ({ Spread: { SpreadDescriptor: `node.labels.${key}` } })),
    }),
  }
}
