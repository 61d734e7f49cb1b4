import { invalid } from '../../api/errors.ts'
import type { Service } from '../../api/service.ts'
import type { ServiceSpec } from '../../api/service-spec.ts'
import type { View } from '../store/view.ts'

/**
 * Refuses a published port that another service has. Two services may share a host-mode port: the scheduler keeps them apart.
 * @throws SwarmctlError INVALID_ARGUMENT
 */
export const requireFreePorts = (view: View, spec: ServiceSpec, serviceId: string): void => {
  const wanted = new Map(
    (spec.EndpointSpec?.Ports ?? [])
      .filter((port) => (port.PublishedPort ?? 0) > 0)
      .map((port) => [`${port.PublishedPort}/${port.Protocol}`, port.PublishMode]),
  )
  if (wanted.size === 0) return
  for (const service of view.list('service')) {
    if (service.ID === serviceId) continue
    for (const port of publishedPorts(service)) {
      const mode = wanted.get(`${port.PublishedPort}/${port.Protocol}`)
      if (mode === undefined || (mode === 'host' && port.PublishMode === 'host')) continue
      const how = port.PublishMode === 'host' ? 'a host-published port' : 'an ingress port'
      throw invalid(
        `port '${port.PublishedPort}' is already in use by service '${service.Spec.Name}' (${service.ID}) as ${how}`,
      )
    }
  }
}

const publishedPorts = (service: Service) =>
  [...(service.Spec.EndpointSpec?.Ports ?? []), ...(service.Endpoint.Ports ?? [])].filter(
    (port) => (port.PublishedPort ?? 0) > 0,
  )
