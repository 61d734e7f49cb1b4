import type { PortConfig, ServiceSpec } from '../../api/service-spec.ts'
import { ManifestProblem } from '../manifest-error.ts'
import type { KubernetesService } from '../schema/objects.ts'
import { lower } from './pod.ts'
import { portOf } from './probes.ts'
import type { Workload } from './workload.ts'

/**
 * A workload's service with the names and published ports that a Service of Kubernetes gives it. A virtual address has the containers' own
 * ports, so that inside the cluster `port` must be `targetPort`. Thrown: ManifestProblem.
 */
export const withEndpoint = (
  { spec, container }: Workload,
  name: string,
  namespace: string,
  { spec: service }: KubernetesService,
  note: (text: string) => void,
): ServiceSpec => {
  const { type = 'ClusterIP', ports = [], clusterIP } = service
  const published: PortConfig[] = []
  for (const [index, port] of ports.entries()) {
    const path = ['spec', 'ports', index]
    const target = portOf(port.targetPort ?? port.port, container, [...path, 'targetPort'])
    if (type === 'ClusterIP') {
      requireSamePort(port.port, target, [...path, 'port'])
      continue
    }
    if (port.port !== target) {
      note(
        `inside the cluster port ${port.port} is ${target}: the containers' own ports count there`,
      )
    }
    published.push({
      Protocol: lower(port.protocol),
      TargetPort: target,
      ...publishedPort(type, port),
      PublishMode: 'ingress',
    })
  }
  const isHeadless = clusterIP === 'None'
  return {
    ...spec,
    TaskTemplate: {
      ...spec.TaskTemplate,
      Networks: (spec.TaskTemplate.Networks ?? []).map((attachment) =>
        attachment.Target === 'host'
          ? attachment
          : {
              ...attachment,
              Aliases: [...(attachment.Aliases ?? []), ...namesOf(name, namespace)],
            },
      ),
    },
    EndpointSpec: {
      Mode: isHeadless && published.length === 0 ? 'dnsrr' : 'vip',
      Ports: [...(spec.EndpointSpec?.Ports ?? []), ...published],
    },
  }
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

/** A load balancer listens at `port` of every node, a node port at its own; 0: the cluster chooses. */
const publishedPort = (
  type: 'NodePort' | 'LoadBalancer',
  { port, nodePort }: NonNullable<KubernetesService['spec']['ports']>[number],
): { PublishedPort?: number } => {
  if (type === 'LoadBalancer') return { PublishedPort: port }
  return nodePort === undefined ? {} : { PublishedPort: nodePort }
}
