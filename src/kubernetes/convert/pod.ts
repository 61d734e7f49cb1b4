import type { ContainerExtension } from '../../api/container-extension.ts'
import { parseImageReference } from '../../api/image-reference.ts'
import type { ContainerSpec, PortConfig, TaskSpec } from '../../api/service-spec.ts'
import { ManifestProblem } from '../manifest-error.ts'
import type { Container, PodSpec, PodTemplate } from '../schema/pod.ts'
import { convertEnv, type EnvContext, expandWord } from './env.ts'
import { convertPlacement } from './placement.ts'
import { convertProbes } from './probes.ts'
import { convertResources, deviceRequests } from './resources.ts'
import { convertVolumes, type VolumeContext } from './volumes.ts'

/** What converting a pod needs. */
export interface PodContext
  extends Omit<EnvContext & VolumeContext, 'path' | 'labels' | 'annotations'> {
  /** The network that the namespace's pods are on. */
  network: string
}

const NS_PER_SECOND = 1e9
const GRACE_SECONDS = 30

/** A pod template as a task's spec, and the ports that it takes of its node. Thrown: ManifestProblem. */
export const convertPod = (
  template: PodTemplate,
  context: PodContext,
): { task: TaskSpec; hostPorts: PortConfig[]; container: Container } => {
  const { metadata, spec: pod } = template
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
        ...convertContainer(template, container, { ...context, path }),
        ...(metadata?.labels && { Labels: metadata.labels }),
      },
      Resources: convertResources(container, path, context.note),
      Placement: convertPlacement(pod, SPEC),
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
  { metadata, spec: pod }: PodTemplate,
  container: Container,
  context: PodContext & { path: (string | number)[] },
): ContainerSpec => {
  const { path, note } = context
  const { labels = {}, annotations = {} } = metadata ?? {}
  requireImage(container.image, path)
  const values = convertEnv(container, { ...context, labels, annotations })
  const words = (key: 'command' | 'args') =>
    container[key]?.map((word, index) => expandWord(word, values, [...path, key, index]))
  const { mounts, configs, secrets } = convertVolumes(pod, container, context)
  const Healthcheck = convertProbes(container, path, note)
  if (container.imagePullPolicy === 'Never') note('imagePullPolicy: Never is ignored')
  if (pod.imagePullSecrets?.length) note('imagePullSecrets are ignored: use --with-registry-auth')
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

const requireImage = (image: string, path: readonly (string | number)[]): void => {
  if (parseImageReference(image) !== undefined) return
  throw new ManifestProblem([...path, 'image'], `"${image}" is no name of an image`)
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
  if (own.runAsNonRoot && own.runAsUser === 0) {
    const holder = securityContext.runAsUser === undefined ? SPEC : path
    const text = 'is root, which runAsNonRoot forbids'
    throw new ManifestProblem([...holder, 'securityContext', 'runAsUser'], text)
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
  names
    ?.map((name) => name.toUpperCase())
    .map((name) => (name === 'ALL' || name.startsWith('CAP_') ? name : `CAP_${name}`))

const convertExtension = (
  pod: PodSpec,
  container: Container,
  path: (string | number)[],
): ContainerExtension | undefined => {
  const extension = defined<ContainerExtension>({
    Privileged: container.securityContext?.privileged || undefined,
    PidMode: pod.hostPID ? 'host' : undefined,
    IpcMode: pod.hostIPC ? 'host' : undefined,
    DeviceRequests: deviceRequests(container, path),
  })
  return Object.keys(extension).length === 0 ? undefined : extension
}
