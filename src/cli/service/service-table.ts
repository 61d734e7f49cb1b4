import type { Service } from '../../api/service.ts'
import type { PortConfig } from '../../api/service-spec.ts'
import type { ListOptions, Output } from '../output.ts'
import { printList } from '../output.ts'

const HEADS = ['ID', 'NAME', 'MODE', 'REPLICAS', 'IMAGE', 'PORTS']

const modeName = (service: Service): string => {
  const mode = service.Spec.Mode ?? {}
  if (mode.Global) return 'global'
  if (mode.ReplicatedJob) return 'replicated job'
  if (mode.GlobalJob) return 'global job'
  return 'replicated'
}

const replicas = (service: Service): string => {
  const status = service.ServiceStatus
  if (!status) return ''
  const max = service.Spec.TaskTemplate.Placement?.MaxReplicas
  return `${status.RunningTasks}/${status.DesiredTasks}${max ? ` (max ${max} per node)` : ''}`
}

const port = ({ PublishMode, PublishedPort, TargetPort, Protocol }: PortConfig): string =>
  PublishMode === 'ingress' ? `*:${PublishedPort}->${TargetPort}/${Protocol}` : ''

/** Prints services as `service ls` and `stack services` do. */
export const printServices = (
  output: Output,
  options: ListOptions,
  services: readonly Service[],
): void => {
  const rows = [...services]
    .sort((a, b) => a.Spec.Name.localeCompare(b.Spec.Name, 'en', { numeric: true }))
    .map((service) => ({
      ID: options.quiet ? service.ID : service.ID.slice(0, 12),
      NAME: service.Spec.Name,
      MODE: modeName(service),
      REPLICAS: replicas(service),
      IMAGE: (service.Spec.TaskTemplate.ContainerSpec?.Image ?? '').replace(/@sha256:.*/, ''),
      PORTS: (service.Endpoint.Ports ?? []).map(port).filter(Boolean).join(', '),
    }))
  printList(output, options, HEADS, rows)
}
