import type { Service } from '../../api/service.ts'
import type { PortConfig } from '../../api/service-spec.ts'
import type { Column, ListOptions } from '../format/listing.ts'
import { labelFields, printListing, shortId, shortImage } from '../format/listing.ts'
import type { Output } from '../output.ts'

const COLUMNS: readonly Column[] = [
  { head: 'ID', field: 'ID' },
  { head: 'NAME', field: 'Name' },
  { head: 'MODE', field: 'Mode' },
  { head: 'REPLICAS', field: 'Replicas' },
  { head: 'IMAGE', field: 'Image' },
  { head: 'PORTS', field: 'Ports' },
]

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
  const running = `${status.RunningTasks}/${status.DesiredTasks}`
  const { ReplicatedJob, GlobalJob } = service.Spec.Mode ?? {}
  const completed = status.CompletedTasks ?? 0
  if (ReplicatedJob) {
    return `${running} (${completed}/${ReplicatedJob.TotalCompletions ?? 1} completed)`
  }
  if (GlobalJob) return `${running} (${completed}/${status.DesiredTasks + completed} completed)`
  const max = service.Spec.TaskTemplate.Placement?.MaxReplicas
  return max ? `${running} (max ${max} per node)` : running
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
      id: service.ID,
      fields: {
        ID: shortId(service.ID, options),
        Name: service.Spec.Name,
        Mode: modeName(service),
        Replicas: replicas(service),
        Image: shortImage(service.Spec.TaskTemplate.ContainerSpec?.Image ?? '', options),
        Ports: (service.Endpoint.Ports ?? []).map(port).filter(Boolean).join(', '),
        ...labelFields(service.Spec.Labels),
      },
    }))
  printListing(output, options, COLUMNS, rows)
}
