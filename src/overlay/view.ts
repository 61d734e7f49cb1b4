import type { OverlayChange, OverlayView } from '../api/overlay-view.ts'

/** A view of nothing. */
export const emptyView = (): OverlayView => ({
  nodes: new Map(),
  networks: new Map(),
  services: new Map(),
  endpoints: new Map(),
})

interface Difference<T> {
  put: T[]
  remove: string[]
}

const changed = <T>(
  current: Map<string, T>,
  difference: Difference<T>,
  idOf: (object: T) => string,
  complete: boolean,
): Map<string, T> => {
  if (!complete && difference.put.length === 0 && difference.remove.length === 0) return current
  const next = complete ? new Map<string, T>() : new Map(current)
  for (const id of difference.remove) next.delete(id)
  for (const object of difference.put) next.set(idOf(object), object)
  return next
}

/** The view after a change; `complete` makes the change replace everything. The given view stays as it is. */
export const changeView = (
  view: OverlayView,
  change: OverlayChange,
  complete: boolean,
): OverlayView => ({
  nodes: changed(view.nodes, change.nodes, (node) => node.id, complete),
  networks: changed(view.networks, change.networks, (network) => network.id, complete),
  services: changed(view.services, change.services, (service) => service.id, complete),
  endpoints: changed(view.endpoints, change.endpoints, (endpoint) => endpoint.taskId, complete),
})
