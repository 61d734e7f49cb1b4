import type { Config, ConfigSpec } from '../../api/config.ts'
import { notFound, SwarmctlError } from '../../api/errors.ts'
import type { NetworkCreate } from '../../api/network.ts'
import { withReplicasOf } from '../../api/replicas.ts'
import type { Secret } from '../../api/secret.ts'
import type { Service } from '../../api/service.ts'
import type { ServiceMode, ServiceSpec } from '../../api/service-spec.ts'
import { IMAGE_LABEL, NAMESPACE_LABEL } from '../../api/stack-labels.ts'
import type { ConvertedStack } from '../convert/bodies.ts'
import { digestText } from './digest.ts'
import { type FieldChange, fieldChanges } from './field-changes.ts'
import type { ServiceOperation, StackOperation } from './operation.ts'
import { inDependencyOrder } from './order.ts'
import { withoutEmpty } from './without-empty.ts'

/** A network as `GET /networks` lists it. */
export interface ExistingNetwork {
  Id: string
  Name: string
  Scope?: string
  Driver?: string
  Internal?: boolean
  Attachable?: boolean
  Labels?: Record<string, string> | null
  Options?: Record<string, string> | null
  IPAM?: { Config?: { Subnet?: string }[] | null } | null
}

/** What the cluster has: everything, or at least everything of the stack and everything that it names. */
export interface ExistingObjects {
  networks: readonly ExistingNetwork[]
  secrets: readonly Pick<Secret, 'ID' | 'Version' | 'Spec' | 'Swarmctl'>[]
  configs: readonly Pick<Config, 'ID' | 'Version' | 'Spec'>[]
  services: readonly (Pick<Service, 'ID' | 'Version' | 'Spec'> &
    Partial<Pick<Service, 'Swarmctl'>>)[]
}

/** When a registry is asked for digests: for every image, for those whose name changed, or for none. */
export type ResolveImage = 'always' | 'changed' | 'never'

/** What `planStack` decides from. */
export interface PlanStackInput {
  namespace: string
  desired: ConvertedStack
  existing: ExistingObjects
  /** Remove services of the stack that its files no longer have. */
  prune?: boolean
  resolveImage?: ResolveImage
}

/** The requests to send, in order, and what the cluster keeps although the files say otherwise. */
export interface StackPlan {
  operations: StackOperation[]
  notes: string[]
}

/**
 * How to get from what exists to what is desired. Pure. Thrown: SwarmctlError NOT_FOUND for a missing external object,
 * FAILED_PRECONDITION for a config whose data changed or an external network that is local to a node.
 */
export const planStack = (input: PlanStackInput): StackPlan => {
  checkExternals(input)
  const { operations: networks, notes } = planNetworks(input)
  return {
    operations: [
      ...(input.prune === true ? planRemovals(input) : []),
      ...networks,
      ...planSecrets(input),
      ...planConfigs(input),
      ...planServices(input),
    ],
    notes,
  }
}

const checkExternals = ({ desired, existing }: PlanStackInput): void => {
  for (const name of desired.externalNetworks) {
    const networks = existing.networks.filter((network) => network.Name === name)
    if (networks.length === 0) {
      throw notFound(
        `network "${name}" is declared as external, but could not be found. ` +
          'You need to create a swarm-scoped network before the stack is deployed',
      )
    }
    if (!networks.some(({ Scope = 'swarm' }) => Scope === 'swarm')) {
      throw new SwarmctlError(
        'FAILED_PRECONDITION',
        `network "${name}" is declared as external, but it is not in the right scope: ` +
          `"${networks[0]?.Scope}" instead of "swarm"`,
      )
    }
  }
  const kinds = [
    ['secret', desired.externalSecrets, existing.secrets],
    ['config', desired.externalConfigs, existing.configs],
  ] as const
  for (const [kind, names, objects] of kinds) {
    const absent = names.find((name) => !objects.some(({ Spec }) => Spec.Name === name))
    if (absent !== undefined) {
      throw notFound(`${kind} "${absent}" is declared as external, but could not be found`)
    }
  }
}

const planRemovals = ({ namespace, desired, existing }: PlanStackInput): StackOperation[] => {
  const names = new Set(desired.services.map(({ Name }) => Name))
  return ownServices(existing, namespace)
    .filter(({ Spec }) => !names.has(Spec.Name))
    .map(({ ID, Spec }) => ({ kind: 'remove-service', name: Spec.Name, id: ID }))
}

const ownServices = (existing: ExistingObjects, namespace: string) =>
  existing.services.filter(({ Spec }) => Spec.Labels[NAMESPACE_LABEL] === namespace)

const planNetworks = ({ desired, existing }: PlanStackInput): StackPlan => {
  const plan: StackPlan = { operations: [], notes: [] }
  for (const body of desired.networks) {
    const network = existing.networks.find(
      ({ Name, Scope = 'swarm' }) => Name === body.Name && Scope === 'swarm',
    )
    if (network === undefined) {
      plan.operations.push({ kind: 'create-network', name: body.Name, body })
      continue
    }
    const differences = networkDifferences(body, network)
    if (differences.length > 0) {
      plan.notes.push(
        `network ${body.Name} exists and stays as it is, although the file differs in ` +
          `${differences.join(', ')}: remove the stack and the network to change it`,
      )
    }
  }
  return plan
}

const networkDifferences = (body: NetworkCreate, network: ExistingNetwork): string[] => {
  const subnets = body.IPAM?.Config?.map(({ Subnet }) => Subnet) ?? []
  const current = network.IPAM?.Config?.map(({ Subnet }) => Subnet) ?? []
  const pairs: readonly (readonly [string, boolean])[] = [
    ['driver', network.Driver !== undefined && network.Driver !== body.Driver],
    ['internal', (network.Internal ?? false) !== body.Internal],
    ['attachable', (network.Attachable ?? false) !== body.Attachable],
    [
      'driver_opts',
      Object.entries(body.Options).some(([key, value]) => network.Options?.[key] !== value),
    ],
    ['ipam', subnets.some((subnet) => !current.includes(subnet))],
  ]
  return pairs.filter(([, differs]) => differs).map(([name]) => name)
}

/** Managers tell a secret's digest. One that doesn't would refuse other data, so that its secret is sent in any case. */
const planSecrets = ({ desired, existing }: PlanStackInput): StackOperation[] =>
  desired.secrets.flatMap((body): StackOperation[] => {
    const secret = existing.secrets.find(({ Spec }) => Spec.Name === body.Name)
    if (secret === undefined) return [{ kind: 'create-secret', name: body.Name, body }]
    const digest = secret.Swarmctl?.Digest
    const isOther = digest !== undefined && `sha256:${digest}` !== digestText(body.Data ?? '')
    if (isOther) throw contentChanged('secret', body.Name)
    const fields = fieldChanges({ Labels: secret.Spec.Labels }, { Labels: body.Labels })
    if (digest !== undefined && fields.length === 0) return []
    const target = { id: secret.ID, version: secret.Version.Index }
    return [{ kind: 'update-secret', name: body.Name, ...target, body, fields }]
  })

const planConfigs = ({ desired, existing }: PlanStackInput): StackOperation[] =>
  desired.configs.flatMap((body): StackOperation[] => {
    const config = existing.configs.find(({ Spec }) => Spec.Name === body.Name)
    if (config === undefined) return [{ kind: 'create-config', name: body.Name, body }]
    const fields = fieldChanges(configContent(config.Spec), configContent(body))
    if (fields.length === 0) return []
    if (fields.some(({ path }) => !path.startsWith('Labels'))) {
      throw contentChanged('config', body.Name)
    }
    const { ID: id, Version } = config
    return [{ kind: 'update-config', name: body.Name, id, version: Version.Index, body, fields }]
  })

const contentChanged = (noun: string, name: string): SwarmctlError =>
  new SwarmctlError(
    'FAILED_PRECONDITION',
    `${noun} ${name}: its content changed, and an existing ${noun}'s can't be: ` +
      'give the new content another name (a name: or another key in the stack file)',
  )

const configContent = ({ Labels, Data, Templating }: ConfigSpec): unknown => ({
  Labels,
  Data,
  Templating: { Name: Templating?.Name },
})

const planServices = (input: PlanStackInput): StackOperation[] => {
  const { namespace, desired, existing, resolveImage = 'always' } = input
  const own = new Map(ownServices(existing, namespace).map((one) => [one.Spec.Name, one]))
  const operations = desired.services.map((body): ServiceOperation => {
    const service = own.get(body.Name)
    const name = body.Name
    if (service === undefined) {
      return { kind: 'create-service', name, body, resolveImage: resolveImage !== 'never' }
    }
    const sameImage = service.Spec.Labels[IMAGE_LABEL] === body.Labels[IMAGE_LABEL]
    const keepImage = sameImage && resolveImage !== 'always'
    const next = keepCurrent(leaveReplicas(body), service.Spec, keepImage)
    const changes = serviceChanges(service.Spec, withReplicasOf(next, service.Spec), {
      existing,
      sameImage,
      isPlatformNamed: hasPlatforms(body),
    })
    return {
      kind: 'update-service',
      name,
      id: service.ID,
      version: service.Version.Index,
      body: next,
      fields: changes,
      resolveImage: resolveImage === 'always' || (resolveImage === 'changed' && !sameImage),
    }
  })
  return inDependencyOrder(operations)
}

/** Of a service that exists the autoscaler chooses the number of tasks: the file's is that of a new one. */
const leaveReplicas = (body: ServiceSpec): ServiceSpec =>
  body.Swarmctl?.Autoscale !== undefined && body.Mode?.Replicated !== undefined
    ? { ...body, Mode: { Replicated: {} } }
    : body

/** Whether the spec says on which platforms its tasks run. */
export const hasPlatforms = ({ TaskTemplate }: ServiceSpec): boolean =>
  (TaskTemplate.Placement?.Platforms?.length ?? 0) > 0

/**
 * A deployment forces no restart. An image that the file still names keeps what a registry told of it: its digest, and, other than with the
 * docker CLI, which forgets them, its platforms: without them its next task may go where it can't run.
 */
const keepCurrent = (body: ServiceSpec, current: ServiceSpec, keepImage: boolean): ServiceSpec => {
  const { ContainerSpec: container, Placement } = body.TaskTemplate
  const { ContainerSpec: { Image } = {}, Placement: { Platforms } = {} } = current.TaskTemplate
  const keepPlatforms = keepImage && hasPlatforms(current) && !hasPlatforms(body)
  return {
    ...body,
    TaskTemplate: {
      ...body.TaskTemplate,
      ForceUpdate: current.TaskTemplate.ForceUpdate ?? 0,
      ...(container &&
        keepImage &&
        Image !== undefined && { ContainerSpec: { ...container, Image } }),
      ...(keepPlatforms && { Placement: { ...Placement, Platforms } }),
    },
  }
}

const serviceChanges = (
  current: ServiceSpec,
  next: ServiceSpec,
  {
    existing,
    sameImage,
    isPlatformNamed,
  }: { existing: ExistingObjects; sameImage: boolean; isPlatformNamed: boolean },
): FieldChange[] => {
  const names = new Map(existing.networks.map(({ Id, Name }) => [Id, Name]))
  // Platforms of which the file has no word are a registry's, like the digest.
  const compared = (spec: ServiceSpec) =>
    comparable(isPlatformNamed ? spec : withoutPlatforms(spec), names)
  const changes = fieldChanges(compared(current), compared(next))
  // The digest alone is no change of the file's.
  return changes.filter(({ path }) => !(sameImage && path === 'TaskTemplate.ContainerSpec.Image'))
}

const withoutPlatforms = (spec: ServiceSpec): ServiceSpec => {
  const { Platforms: _, ...Placement } = spec.TaskTemplate.Placement ?? {}
  return { ...spec, TaskTemplate: { ...spec.TaskTemplate, Placement } }
}

/** A spec without what the manager fills in: ids, defaults, credentials. */
const comparable = (spec: ServiceSpec, networkNames: ReadonlyMap<string, string>): unknown => {
  const { PullOptions: _, ...task } = spec.TaskTemplate
  const container = task.ContainerSpec
  return withoutEmpty({
    ...spec,
    TaskTemplate: {
      ...task,
      ForceUpdate: undefined,
      Networks: task.Networks?.map((attachment) => ({
        ...attachment,
        Target: networkNames.get(attachment.Target) ?? attachment.Target,
      })),
      ContainerSpec: container && {
        ...container,
        Privileges: { ...container.Privileges, CredentialSpec: undefined },
        Secrets: container.Secrets?.map((secret) => ({ ...secret, SecretID: undefined })),
        Configs: container.Configs?.map((config) => ({ ...config, ConfigID: undefined })),
      },
    },
    Mode: withCounts(spec.Mode ?? {}),
    EndpointSpec: {
      Mode: spec.EndpointSpec?.Mode ?? 'vip',
      Ports: spec.EndpointSpec?.Ports?.map((port) => ({
        ...port,
        Protocol: port.Protocol ?? 'tcp',
        PublishMode: port.PublishMode ?? 'ingress',
      })),
    },
  })
}

/** A mode with the numbers that the manager fills in. */
const withCounts = (mode: ServiceMode): ServiceMode => {
  const { Replicated, ReplicatedJob } = mode
  if (ReplicatedJob !== undefined) {
    const MaxConcurrent = ReplicatedJob.MaxConcurrent ?? 1
    const TotalCompletions = ReplicatedJob.TotalCompletions ?? MaxConcurrent
    return { ReplicatedJob: { MaxConcurrent, TotalCompletions } }
  }
  const isReplicated = Replicated !== undefined || Object.keys(mode).length === 0
  return isReplicated ? { Replicated: { Replicas: Replicated?.Replicas ?? 1 } } : mode
}
