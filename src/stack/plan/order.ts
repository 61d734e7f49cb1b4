import type { ServiceSpec } from '../../api/service-spec.ts'

/** Services in an order in which each comes after those that it depends on; else, and where they go in circles, by their place. */
export const inDependencyOrder = <T extends { name: string; body: ServiceSpec }>(
  services: readonly T[],
): T[] => {
  const byName = new Map(services.map((service) => [service.name, service]))
  const ordered = new Set<T>()
  const open = new Set<T>()
  const visit = (service: T): void => {
    if (ordered.has(service) || open.has(service)) return
    open.add(service)
    for (const { Service } of service.body.Swarmctl?.DependsOn ?? []) {
      const needed = byName.get(Service)
      if (needed !== undefined) visit(needed)
    }
    open.delete(service)
    ordered.add(service)
  }
  for (const service of services) visit(service)
  return [...ordered]
}
