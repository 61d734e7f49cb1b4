import type { PortConfig } from '../../api/service-spec.ts'
import { ManifestProblem } from '../manifest-error.ts'
import type { KubernetesService } from '../schema/objects.ts'
import { lower } from './pod.ts'
import { portOf } from './probes.ts'
import type { Workload } from './workload.ts'

/** What a Service of Kubernetes is called, and where its notes go. */
export interface EndpointContext {
  name: string
  namespace: string
  note(text: string): void
}

/**
 * A workload with the names and published ports that a Service of Kubernetes gives its service. A virtual address has the containers' own ports, so that
 * inside the cluster `port` must be `targetPort`. Thrown: ManifestProblem.
 */
export const withEndpoint = (
  workload: Workload,
  { spec: service }: KubernetesService,
  { name, namespace, note }: EndpointContext,
): Workload => {
  const { spec } = workload
  const { clusterIP } = service
  const isHeadless = clusterIP === 'None'
  requireOneKind(workload, isHeadless)
  if (clusterIP && !isHeadless) note('clusterIP is not taken: the cluster chooses the address')
  const attachments = spec.TaskTemplate.Networks ?? []
  if (attachments.some(({ Target }) => Target === 'host')) {
    const text = `selects ${spec.Name}, which is on its nodes' own network and has no address of the cluster`
    throw new ManifestProblem(['spec', 'selector'], text)
  }
  const published = publishedPorts(workload, service, note)
  return {
    ...workload,
    isHeadless,
    spec: {
      ...spec,
      TaskTemplate: {
        ...spec.TaskTemplate,
        Networks: attachments.map((attachment) => ({
          ...attachment,
          Aliases: [...(attachment.Aliases ?? []), ...namesOf(name, namespace)],
        })),
      },
      EndpointSpec: {
        Mode: isHeadless ? 'dnsrr' : 'vip',
        Ports: [...(spec.EndpointSpec?.Ports ?? []), ...published],
      },
    },
  }
}

const requireOneKind = ({ isHeadless, spec }: Workload, isWanted: boolean): void => {
  if (isHeadless === undefined || isHeadless === isWanted) return
  const text = `must be None for all Services of ${spec.Name} or for none: their names lead to its tasks or to its address`
  throw new ManifestProblem(['spec', 'clusterIP'], text)
}

const publishedPorts = (
  { container }: Workload,
  service: KubernetesService['spec'],
  note: (text: string) => void,
): PortConfig[] => {
  const { type = 'ClusterIP', ports = [], clusterIP } = service
  return ports.flatMap((port, index) => {
    const path = ['spec', 'ports', index]
    // Who resolves the name of a headless one asks the tasks themselves, at their own ports.
    if (clusterIP === 'None' && type === 'ClusterIP') return []
    const target = portOf(port.targetPort || port.port, container, [...path, 'targetPort'])
    if (type === 'ClusterIP') {
      requireSamePort(port.port, target, [...path, 'port'])
      return []
    }
    if (port.port !== target) {
      note(
        `inside the cluster port ${port.port} is ${target}: the containers' own ports count there`,
      )
    }
    return listeningPorts(type, port).map((PublishedPort) => ({
      Protocol: lower(port.protocol),
      TargetPort: target,
      ...(PublishedPort !== undefined && { PublishedPort }),
      PublishMode: 'ingress' as const,
    }))
  })
}

/** What clients in other pods may call it. */
const namesOf = (name: string, namespace: string): string[] => [
  name,
  `${name}.${namespace}`,
  `${name}.${namespace}.svc`,
  `${name}.${namespace}.svc.cluster.local`,
]

const requireSamePort = (port: number, target: number, path: (string | number)[]): void => {
  if (port === target) return
  throw new ManifestProblem(
    path,
    `leads to port ${target} of the containers, whose own ports a service has in this cluster: say ${target}, or publish it with type: LoadBalancer`,
  )
}

/** A load balancer listens at `port` of every node, a node port at its own; undefined: at one that the cluster chooses. */
const listeningPorts = (
  type: 'NodePort' | 'LoadBalancer',
  { port, nodePort }: NonNullable<KubernetesService['spec']['ports']>[number],
): (number | undefined)[] => {
  if (type === 'NodePort') return [nodePort]
  return nodePort === undefined || nodePort === port ? [port] : [port, nodePort]
}
