import { z } from 'zod'
import type { ManagersList } from '../../api/assignment.ts'
import type { Clock } from '../../api/clock.ts'
import { managersList } from '../dispatcher/managers-list.ts'
import type { Store } from '../store/store.ts'

/** Rpc notify that tells a node where the managers are. */
export const MANAGERS_METHOD = 'cluster.managers'
/** How often nodes that are away are told: they may look for managers at addresses that are no more. */
const TELL_MS = 2_000
/** A cluster has far fewer managers. */
const MANAGERS_MAX = 64

const ManagersBody = z.object({
  managers: z.array(z.object({ nodeId: z.string(), addr: z.string() })).max(MANAGERS_MAX),
  asOf: z.number().int().nonnegative(),
})

/** Reads the body of `cluster.managers`; undefined for what is none. */
export const readManagers = (body: unknown): ManagersList | undefined =>
  ManagersBody.safeParse(body).data

export interface WayBackDeps {
  store: Store
  clock: Clock
  /** Sends to a node over an authenticated connection; best effort. */
  notify: (node: { nodeId: string; addr: string }, method: string, body: unknown) => void
}

/**
 * On the leader: nodes that are not registered are told where the managers are now. After a manager moved, or was restored on another
 * machine, they would otherwise look for it where it was.
 */
export class WayBack {
  readonly #deps: WayBackDeps
  readonly #selfId: string
  #cancel: () => void = () => {}

  constructor(deps: WayBackDeps, options: { selfId: string }) {
    this.#deps = deps
    this.#selfId = options.selfId
  }

  start(): void {
    const { clock } = this.#deps
    this.#cancel = clock.schedule(TELL_MS, () => {
      this.start()
      this.#tell()
    })
  }

  stop(): void {
    this.#cancel()
  }

  #tell(): void {
    const view = this.#deps.store.view()
    const list = managersList(view)
    for (const node of view.list('node')) {
      const addr = node.Swarmctl.Addr
      if (node.ID === this.#selfId || node.Status.State === 'ready' || addr === '') continue
      this.#deps.notify({ nodeId: node.ID, addr }, MANAGERS_METHOD, list)
    }
  }
}
