import { isDeepStrictEqual } from 'node:util'
import type { ObjectChange } from '../../api/object.ts'
import type { OverlayChange, OverlayView } from '../../api/overlay-view.ts'
import type { View } from '../store/view.ts'
import { emptyOverlayChange, isEmptyOverlayChange } from './overlay-change.ts'
import {
  emptyOverlayView,
  overlayEndpoint,
  overlayNetwork,
  overlayNode,
  overlayService,
  overlayView,
} from './overlay-view.ts'

/**
 * Keeps the overlay view up with the store at the cost of what changed, not of what exists. Always equal to `overlayView` of the
 * state of the last `take` (a test compares them).
 */
export class OverlayTracker {
  #current: OverlayView = emptyOverlayView()
  readonly #dirty = {
    nodes: new Set<string>(),
    networks: new Set<string>(),
    services: new Set<string>(),
    endpoints: new Set<string>(),
  }

  /** The view as of the last `reset` or `take`. */
  get current(): OverlayView {
    return this.#current
  }

  reset(view: View): void {
    this.#current = overlayView(view)
    for (const ids of Object.values(this.#dirty)) ids.clear()
  }

  /** Notes what a committed change may touch. */
  note(change: ObjectChange, view: View): void {
    const id = (change.object ?? change.old).ID
    switch (change.kind) {
      case 'node':
        this.#dirty.nodes.add(id)
        // A node's state decides on its tasks' endpoints, its description on their hostnames.
        if (
          change.object?.Status.State !== change.old?.Status.State ||
          change.object?.Description.Hostname !== change.old?.Description.Hostname
        )
          for (const task of view.tasksByNode(id)) this.#dirty.endpoints.add(task.ID)
        break
      case 'network':
        this.#dirty.networks.add(id)
        break
      case 'service':
        this.#dirty.services.add(id)
        break
      case 'task':
        this.#dirty.endpoints.add(id)
        break
      case 'cluster':
      case 'secret':
      case 'config':
        break
      default:
        change satisfies never
    }
  }

  /** Brings the view up to date; what differs from before, or undefined when nothing does. */
  take(view: View): OverlayChange | undefined {
    const change = emptyOverlayChange()
    const refresh = <K extends keyof OverlayView>(
      kind: K,
      compute: (
        id: string,
      ) => (OverlayView[K] extends Map<string, infer V> ? V : never) | undefined,
    ): void => {
      const values = this.#current[kind] as Map<string, unknown>
      const part = change[kind] as { put: unknown[]; remove: string[] }
      for (const id of this.#dirty[kind]) {
        const value = compute(id)
        if (value === undefined) {
          if (values.delete(id)) part.remove.push(id)
        } else if (!isDeepStrictEqual(values.get(id), value)) {
          values.set(id, value)
          part.put.push(value)
        }
      }
      this.#dirty[kind].clear()
    }
    refresh('nodes', (id) => mapped(view.get('node', id), overlayNode))
    refresh('networks', (id) => mapped(view.get('network', id), overlayNetwork))
    refresh('services', (id) => mapped(view.get('service', id), overlayService))
    refresh('endpoints', (id) =>
      mapped(view.get('task', id), (task) => overlayEndpoint(task, view.get('node', task.NodeID))),
    )
    return isEmptyOverlayChange(change) ? undefined : change
  }
}

const mapped = <A, B>(value: A | undefined, map: (value: A) => B | undefined): B | undefined =>
  value === undefined ? undefined : map(value)
