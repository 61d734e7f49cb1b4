import { isDeepStrictEqual } from 'node:util'
import type { OverlayChange, OverlayView } from '../../api/overlay-view.ts'

/** Differences between overlay views, as sent to the nodes. */

interface Part<V> {
  put: V[]
  remove: string[]
}

export const emptyOverlayChange = (): OverlayChange => ({
  nodes: { put: [], remove: [] },
  networks: { put: [], remove: [] },
  services: { put: [], remove: [] },
  endpoints: { put: [], remove: [] },
})

export const isEmptyOverlayChange = (change: OverlayChange): boolean =>
  [change.nodes, change.networks, change.services, change.endpoints].every(
    ({ put, remove }) => put.length === 0 && remove.length === 0,
  )

const diffPart = <V>(old: ReadonlyMap<string, V>, wanted: ReadonlyMap<string, V>): Part<V> => ({
  put: [...wanted]
    .filter(([id, value]) => old.get(id) !== value && !isDeepStrictEqual(old.get(id), value))
    .map(([, value]) => value),
  remove: [...old.keys()].filter((id) => !wanted.has(id)),
})

/** What makes `wanted` of `old`; from an empty view it is a complete change. */
export const diffOverlayView = (old: OverlayView, wanted: OverlayView): OverlayChange => ({
  nodes: diffPart(old.nodes, wanted.nodes),
  networks: diffPart(old.networks, wanted.networks),
  services: diffPart(old.services, wanted.services),
  endpoints: diffPart(old.endpoints, wanted.endpoints),
})

const mergePart = <V>(first: Part<V>, then: Part<V>, idOf: (value: V) => string): Part<V> => {
  const put = new Map(first.put.map((value) => [idOf(value), value]))
  const remove = new Set(first.remove)
  for (const id of then.remove) {
    put.delete(id)
    remove.add(id)
  }
  for (const value of then.put) {
    put.set(idOf(value), value)
    remove.delete(idOf(value))
  }
  return { put: [...put.values()], remove: [...remove] }
}

/** One change with the effect of two after each other: for a node that did not keep up. */
export const mergeOverlayChanges = (first: OverlayChange, then: OverlayChange): OverlayChange => ({
  nodes: mergePart(first.nodes, then.nodes, ({ id }) => id),
  networks: mergePart(first.networks, then.networks, ({ id }) => id),
  services: mergePart(first.services, then.services, ({ id }) => id),
  endpoints: mergePart(first.endpoints, then.endpoints, ({ taskId }) => taskId),
})
