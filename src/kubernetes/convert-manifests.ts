import type { ConfigSpec } from '../api/config.ts'
import type { NetworkCreate } from '../api/network.ts'
import type { SecretSpec } from '../api/secret.ts'
import type { PortConfig, ServiceSpec } from '../api/service-spec.ts'
import { NAMESPACE_LABEL } from '../api/stack-labels.ts'
import { parseServiceSpec } from '../api/validate/service.ts'
import { convertAutoscaler } from './convert/autoscaler.ts'
import { DataObjects } from './convert/data.ts'
import { withEndpoint } from './convert/endpoint.ts'
import { annotationsNote } from './convert/ignored-metadata.ts'
import type { PodContext } from './convert/pod.ts'
import { PublishedPorts } from './convert/published-ports.ts'
import {
  convertWorkload,
  WORKLOAD_KINDS,
  type Workload,
  type WorkloadKind,
} from './convert/workload.ts'
import { type Kind, requireKind } from './kinds.ts'
import { inManifest, type Manifest, objectText } from './manifest.ts'
import { asProblem, ManifestProblem } from './manifest-error.ts'
import { parseQuantity } from './quantity.ts'
import { checked } from './schema/check.ts'
import {
  ConfigMap,
  KubernetesSecret,
  KubernetesService,
  Namespace,
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

/** Objects of Kubernetes as requests of the cluster, by namespace. Pure. Thrown: SwarmctlError, naming file, line, object and field. */
export const convertManifests = (manifests: readonly Manifest[]): ConvertedNamespace[] => {
  for (const manifest of manifests) inManifest(manifest, () => requireKind(manifest))
  requireUnique(manifests)
  const byNamespace = Map.groupBy(manifests, ({ kind, name, namespace }) =>
    kind === 'Namespace' ? name : namespace,
  )
  const published = new PublishedPorts()
  return [...byNamespace]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([namespace, own]) => convertNamespace(namespace, own, published))
}

const requireUnique = (manifests: readonly Manifest[]): void => {
  const seen = new Map<string, Manifest>()
  for (const manifest of manifests) {
    const { kind, namespace, name } = manifest
    const key = `${kind} ${namespace}/${name}`
    inManifest(manifest, () => {
      const first = seen.get(key)
      if (first === undefined) return
      const place = `${first.file}:${first.lineOf(['metadata', 'name'])}`
      throw new ManifestProblem(['metadata', 'name'], `is there twice, also at ${place}`)
    })
    seen.set(key, manifest)
  }
}

const convertNamespace = (
  namespace: string,
  manifests: readonly Manifest[],
  published: PublishedPorts,
): ConvertedNamespace => {
  const data = new DataObjects(namespace)
  const notes: string[] = []
  const noteOf = (one: Manifest) => (text: string) => void notes.push(`${objectText(one)}: ${text}`)
  for (const one of manifests) {
    const text = annotationsNote(one.tree)
    if (text !== undefined) noteOf(one)(text)
  }
  const ofKind = (kind: Kind) => manifests.filter((one) => one.kind === kind)
  for (const one of ofKind('ConfigMap')) {
    inManifest(one, () => data.addConfigMap(one.name, checked(ConfigMap, one.tree)))
  }
  for (const one of ofKind('Secret')) {
    inManifest(one, () => data.addSecret(one.name, checked(KubernetesSecret, one.tree)))
  }
  for (const one of ofKind('PersistentVolumeClaim')) inManifest(one, () => requireClaim(one.tree))
  for (const one of ofKind('Namespace')) {
    inManifest(one, () => checked(Namespace, one.tree))
    if (manifests.length === 1) noteOf(one)('has no objects in these files and becomes nothing')
  }
  const claims = new Set(ofKind('PersistentVolumeClaim').map(({ name }) => name))
  const context = { data, namespace, claims, network: `${namespace}_pods` }
  const workloads = convertWorkloads(manifests, { ...context, published }, noteOf)
  for (const one of ofKind('Service')) {
    inManifest(one, () => addEndpoint(one, workloads, { published, note: noteOf(one) }))
  }
  for (const one of ofKind('HorizontalPodAutoscaler')) {
    inManifest(one, () => addAutoscaler(one, workloads))
  }
  for (const { manifest, spec } of workloads.values()) {
    inManifest(manifest, () => asProblem([], () => parseServiceSpec(spec)))
  }
  const services = [...workloads.values()].map(({ spec }) => spec)
  for (const one of manifests) {
    if (!isUsed(one, data, services))
      noteOf(one)('no workload of these files uses it: it becomes nothing')
  }
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

/** A workload with the object that it comes from. */
type OwnedWorkload = Workload & { manifest: Manifest }
type NoteOf = (manifest: Manifest) => (text: string) => void

const convertWorkloads = (
  manifests: readonly Manifest[],
  { published, ...context }: Omit<PodContext, 'note'> & { published: PublishedPorts },
  noteOf: NoteOf,
): Map<string, OwnedWorkload> => {
  const workloads = new Map<string, OwnedWorkload>()
  for (const manifest of manifests) {
    const { kind, name, tree } = manifest
    if (!isWorkload(kind)) continue
    inManifest(manifest, () => {
      if (workloads.has(name)) {
        throw new ManifestProblem(['metadata', 'name'], 'is the name of another workload, too')
      }
      const workload = convertWorkload(kind, name, tree, { ...context, note: noteOf(manifest) })
      takePorts(published, workload.spec.EndpointSpec?.Ports ?? [], manifest)
      workloads.set(name, { ...workload, manifest })
    })
  }
  return workloads
}

const takePorts = (
  published: PublishedPorts,
  ports: readonly PortConfig[],
  manifest: Manifest,
): void => {
  const taken = published.take(ports, objectText(manifest))
  if (taken === undefined) return
  const { port, takenBy } = taken
  const path = manifest.kind === 'Service' ? ['spec', 'ports'] : ['spec', 'template', 'spec']
  const text = `would take port ${port.PublishedPort} of the nodes, which ${takenBy} has`
  throw new ManifestProblem(path, text)
}

const isWorkload = (kind: string): kind is WorkloadKind =>
  (WORKLOAD_KINDS as readonly string[]).includes(kind)

const addEndpoint = (
  manifest: Manifest,
  workloads: Map<string, OwnedWorkload>,
  { published, note }: { published: PublishedPorts; note: (text: string) => void },
): void => {
  const { name, namespace, tree } = manifest
  const service = checked(KubernetesService, tree)
  const selected = [...workloads].filter(([, { podLabels }]) =>
    Object.entries(service.spec.selector).every(([key, value]) => podLabels[key] === value),
  )
  const [first, second] = selected
  if (first === undefined || second !== undefined) {
    const which = first === undefined ? 'nothing' : selected.map(([key]) => key).join(' and ')
    const text = `must select one workload of these files, but selects ${which}`
    throw new ManifestProblem(['spec', 'selector'], text)
  }
  const [key, workload] = first
  requireOwnName(name, workload, workloads)
  const before = workload.spec.EndpointSpec?.Ports?.length ?? 0
  const made = withEndpoint(workload, service, { name, namespace, note })
  takePorts(published, made.spec.EndpointSpec?.Ports?.slice(before) ?? [], manifest)
  workloads.set(key, { ...workload, ...made })
}

/** A service of the cluster answers to its own name as well. */
const requireOwnName = (
  name: string,
  { spec }: OwnedWorkload,
  workloads: ReadonlyMap<string, OwnedWorkload>,
): void => {
  const other = [...workloads.values()].find((one) => one.spec.Name === name)
  if (other === undefined || other.spec.Name === spec.Name) return
  const text = `is also that of ${objectText(other.manifest)}, which it does not select: the name would lead to both`
  throw new ManifestProblem(['metadata', 'name'], text)
}

const requireClaim = (tree: unknown): void => {
  const storage = checked(PersistentVolumeClaim, tree).spec.resources?.requests.storage
  if (storage === undefined || parseQuantity(storage) !== undefined) return
  const path = ['spec', 'resources', 'requests', 'storage']
  throw new ManifestProblem(path, `${storage} is no quantity`)
}

/** Whether an object that is made only for those who use it has a user. */
const isUsed = (
  { kind, name, namespace }: Manifest,
  data: DataObjects,
  services: readonly ServiceSpec[],
): boolean => {
  if (kind === 'ConfigMap' || kind === 'Secret') return data.isUsed(kind, name)
  if (kind !== 'PersistentVolumeClaim') return true
  return services.some(({ TaskTemplate }) =>
    TaskTemplate.ContainerSpec?.Mounts?.some(({ Source }) => Source === `${namespace}_${name}`),
  )
}

const addAutoscaler = (
  { apiVersion, tree }: Manifest,
  workloads: Map<string, OwnedWorkload>,
): void => {
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
