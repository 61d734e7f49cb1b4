import type { Manifest } from './manifest.ts'
import { ManifestProblem } from './manifest-error.ts'

/** Kinds that are taken, with the versions of the API that they are of. */
const API_VERSIONS = {
  ConfigMap: ['v1'],
  Secret: ['v1'],
  PersistentVolumeClaim: ['v1'],
  Deployment: ['apps/v1'],
  DaemonSet: ['apps/v1'],
  Job: ['batch/v1'],
  CronJob: ['batch/v1'],
  Service: ['v1'],
  HorizontalPodAutoscaler: ['autoscaling/v2', 'autoscaling/v1'],
  Namespace: ['v1'],
} as const

export type Kind = keyof typeof API_VERSIONS

const NO_RIGHTS = 'there is no API of Kubernetes that a container could have rights for'
const NO_VOLUMES = 'volumes are folders of the nodes: a PersistentVolumeClaim makes one'

/** Kinds that one would expect, and why they are not taken. */
const REFUSALS: ReadonlyMap<string, string> = new Map([
  [
    'Ingress',
    'publish the Service with type: LoadBalancer, or run a proxy such as Traefik as a service',
  ],
  ['NetworkPolicy', 'a namespace is a network of its own, in which all may talk to each other'],
  ['PodDisruptionBudget', 'say maxUnavailable and maxSurge'],
  ['Pod', 'make it a Deployment or a Job'],
  ['ReplicaSet', 'make it a Deployment'],
  ['ReplicationController', 'make it a Deployment'],
  ['StatefulSet', 'make it a Deployment of one replica for each member'],
  ['ServiceAccount', NO_RIGHTS],
  ['Role', NO_RIGHTS],
  ['RoleBinding', NO_RIGHTS],
  ['ClusterRole', NO_RIGHTS],
  ['ClusterRoleBinding', NO_RIGHTS],
  ['PersistentVolume', NO_VOLUMES],
  ['StorageClass', NO_VOLUMES],
])

/** Thrown: ManifestProblem, for an object that becomes nothing. */
export const requireKind = ({ kind, apiVersion }: Manifest): void => {
  if (!isKind(kind)) {
    const why = REFUSALS.get(kind) ?? `known are ${Object.keys(API_VERSIONS).join(', ')}`
    throw new ManifestProblem(['kind'], `${kind} is not supported: ${why}`)
  }
  const versions: readonly string[] = API_VERSIONS[kind]
  if (!versions.includes(apiVersion)) {
    throw new ManifestProblem(['apiVersion'], `must be ${versions.join(' or ')}, not ${apiVersion}`)
  }
}

const isKind = (kind: string): kind is Kind => Object.hasOwn(API_VERSIONS, kind)
