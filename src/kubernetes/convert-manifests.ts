import type { ConfigSpec } from '../api/config.ts'
import type { NetworkCreate } from '../api/network.ts'
import type { SecretSpec } from '../api/secret.ts'
import type { ServiceSpec } from '../api/service-spec.ts'
import { NAMESPACE_LABEL } from '../api/stack-labels.ts'
import { convertAutoscaler } from './convert/autoscaler.ts'
import { DataObjects } from './convert/data.ts'
import { withEndpoint } from './convert/endpoint.ts'
import type { PodContext } from './convert/pod.ts'
import {
  convertWorkload,
  WORKLOAD_KINDS,
  type Workload,
  type WorkloadKind,
} from './convert/workload.ts'
import { inManifest, type Manifest, objectText } from './manifest.ts'
import { ManifestProblem } from './manifest-error.ts'
import { checked } from './schema/check.ts'
import {
  ConfigMap,
  KubernetesSecret,
  KubernetesService,
  PersistentVolumeClaim,
} from './schema/objects.ts'

/** What the manifests of one namespace become: the same lists as a stack's. */
export interface ConvertedNamespace {
  /** Also the name of the stack. */
  namespace: string
  networks: NetworkCreate[]
  secrets: SecretSpec[]
  configs: ConfigSpec[]
  services: ServiceSpec[]
  externalNetworks: string[]
  externalSecrets: string[]
  externalConfigs: string[]
  /** Each begins with the object that it is about. */
  notes: string[]
}

/** Kinds that become something, with the API that they are of. */
const API_VERSIONS = {
  ConfigMap: 'v1',
  Secret: 'v1',
  PersistentVolumeClaim: 'v1',
  Deployment: 'apps/v1',
  DaemonSet: 'apps/v1',
  Job: 'batch/v1',
  CronJob: 'batch/v1',
  Service: 'v1',
  HorizontalPodAutoscaler: ['autoscaling/v2', 'autoscaling/v1'],
} as const

type Kind = keyof typeof API_VERSIONS

/** Kinds that one would expect, and why they are not taken. */
const REFUSALS: Readonly<Record<string, string>> = {
  Ingress:
    'publish the Service with type: LoadBalancer, or run a proxy such as Traefik as a service',
  Namespace: 'a namespace exists as soon as an object names it',
  Pod: 'make it a Deployment or a Job',
  ReplicaSet: 'make it a Deployment',
  StatefulSet: 'make it a Deployment of one replica for each member',
}

/** Objects of Kubernetes as requests of the cluster, by namespace. Pure. Thrown: SwarmctlError, naming file, line, object and field. */
export const convertManifests = (manifests: readonly Manifest[]): ConvertedNamespace[] => {
  for (const manifest of manifests) inManifest(manifest, () => requireKind(manifest))
  requireUnique(manifests)
  const byNamespace = Map.groupBy(manifests, ({ namespace }) => namespace)
  return [...byNamespace]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([namespace, own]) => convertNamespace(namespace, own))
}

const requireKind = ({ kind, apiVersion }: Manifest): void => {
  const known = Object.hasOwn(API_VERSIONS, kind) ? API_VERSIONS[kind as Kind] : undefined
  if (known === undefined) {
    const why = REFUSALS[kind] ?? `known are ${Object.keys(API_VERSIONS).join(', ')}`
    throw new ManifestProblem(['kind'], `${kind} is not supported: ${why}`)
  }
  const versions: readonly string[] = [known].flat()
  if (!versions.includes(apiVersion)) {
    throw new ManifestProblem(['apiVersion'], `must be ${versions.join(' or ')}, not ${apiVersion}`)
  }
}

const requireUnique = (manifests: readonly Manifest[]): void => {
  const seen = new Set<string>()
  for (const manifest of manifests) {
    const { kind, namespace, name } = manifest
    const key = `${kind} ${namespace}/${name}`
    inManifest(manifest, () => {
      if (seen.has(key)) throw new ManifestProblem(['metadata', 'name'], 'is there twice')
    })
    seen.add(key)
  }
}

const convertNamespace = (
  namespace: string,
  manifests: readonly Manifest[],
): ConvertedNamespace => {
  const data = new DataObjects(namespace)
  const notes: string[] = []
  const ofKind = (kind: Kind) => manifests.filter((one) => one.kind === kind)
  for (const one of ofKind('ConfigMap')) {
    inManifest(one, () => data.addConfigMap(one.name, checked(ConfigMap, one.tree)))
  }
  for (const one of ofKind('Secret')) {
    inManifest(one, () => data.addSecret(one.name, checked(KubernetesSecret, one.tree)))
  }
  for (const one of ofKind('PersistentVolumeClaim')) {
    inManifest(one, () => checked(PersistentVolumeClaim, one.tree))
  }
  const claims = new Set(ofKind('PersistentVolumeClaim').map(({ name }) => name))
  const context = { data, namespace, claims, network: `${namespace}_pods` }
  const workloads = convertWorkloads(manifests, context, notes)
  for (const one of ofKind('Service')) {
    inManifest(one, () => addEndpoint(one, workloads, notes))
  }
  for (const one of ofKind('HorizontalPodAutoscaler')) {
    inManifest(one, () => addAutoscaler(one, workloads))
  }
  const services = [...workloads.values()].map(({ spec }) => spec)
  return {
    namespace,
    networks: usesNetwork(services, context.network)
      ? [networkBody(context.network, namespace)]
      : [],
    secrets: data.secrets,
    configs: data.configs,
    services: services.sort((a, b) => (a.Name < b.Name ? -1 : 1)),
    externalNetworks: [],
    externalSecrets: [],
    externalConfigs: [],
    notes: [...new Set(notes)],
  }
}

const convertWorkloads = (
  manifests: readonly Manifest[],
  context: Omit<PodContext, 'note'>,
  notes: string[],
): Map<string, Workload> => {
  const workloads = new Map<string, Workload>()
  for (const one of manifests) {
    const { kind, name, tree } = one
    if (!isWorkload(kind)) continue
    const note = (text: string): void => void notes.push(`${objectText(one)}: ${text}`)
    inManifest(one, () => {
      if (workloads.has(name)) {
        throw new ManifestProblem(['metadata', 'name'], 'is the name of another workload, too')
      }
      workloads.set(name, convertWorkload(kind, name, tree, { ...context, note }))
    })
  }
  return workloads
}

const isWorkload = (kind: string): kind is WorkloadKind =>
  (WORKLOAD_KINDS as readonly string[]).includes(kind)

const addEndpoint = (
  manifest: Manifest,
  workloads: Map<string, Workload>,
  notes: string[],
): void => {
  const { name, namespace, tree } = manifest
  const service = checked(KubernetesService, tree)
  const { selector } = service.spec
  const selected = [...workloads].filter(([, { podLabels }]) =>
    Object.entries(selector).every(([key, value]) => podLabels[key] === value),
  )
  const [first, second] = selected
  if (first === undefined || second !== undefined) {
    const which = first === undefined ? 'nothing' : selected.map(([key]) => key).join(' and ')
    const text = `must select one workload of these files, but selects ${which}`
    throw new ManifestProblem(['spec', 'selector'], text)
  }
  const [key, workload] = first
  const note = (text: string): void => void notes.push(`${objectText(manifest)}: ${text}`)
  const spec = withEndpoint(workload, name, namespace, service, note)
  workloads.set(key, { ...workload, spec })
}

const addAutoscaler = ({ apiVersion, tree }: Manifest, workloads: Map<string, Workload>): void => {
  const { name, scale } = convertAutoscaler(apiVersion, tree)
  const workload = workloads.get(name)
  const path = ['spec', 'scaleTargetRef', 'name']
  if (workload?.spec.Mode?.Replicated === undefined) {
    throw new ManifestProblem(path, `must be a Deployment of these files, but there is no ${name}`)
  }
  if (workload.spec.Swarmctl?.Autoscale !== undefined) {
    throw new ManifestProblem(path, `${name} is scaled by another one, too`)
  }
  workloads.set(name, { ...workload, spec: scale(workload.spec) })
}

const usesNetwork = (services: readonly ServiceSpec[], network: string): boolean =>
  services.some(({ TaskTemplate }) =>
    TaskTemplate.Networks?.some(({ Target }) => Target === network),
  )

const networkBody = (name: string, namespace: string): NetworkCreate => ({
  Name: name,
  Driver: 'overlay',
  Scope: '',
  Internal: false,
  Attachable: true,
  Ingress: false,
  Options: {},
  Labels: { [NAMESPACE_LABEL]: namespace },
})
