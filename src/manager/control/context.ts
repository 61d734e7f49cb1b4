import type { Clock } from '../../api/clock.ts'
import { SwarmctlError } from '../../api/errors.ts'
import type { NewId } from '../../api/id.ts'
import type { ExternalSigner } from '../ca/external-ca.ts'
import type { Store } from '../store/store.ts'
import type { View } from '../store/view.ts'

/** What the verbs need. */
export interface ControlDeps {
  store: Store
  clock: Clock
  newId: NewId
  /** A new join token for this root certificate (PEM). */
  newJoinToken(rootCACert: string): string
  /** Signers outside the cluster; absent where there are none: settings that need one are refused. */
  external?: ExternalSigner
  /** A new `SWMKEY-1-…`; absent where managers can't be locked: autolock is refused then. */
  newUnlockKey?: () => string
}

/** How fresh a read must be. */
export interface ReadOptions {
  /** Answer from this manager's applied state without asking the cluster for its latest. */
  stale?: boolean
}

/** A view that holds every write acknowledged before the call, unless it may be stale. Valid until the next `await`. */
export const readView = async (deps: ControlDeps, options: ReadOptions = {}): Promise<View> => {
  if (options.stale !== true) await deps.store.readBarrier()
  return deps.store.view()
}

/**
 * An update names the version of the object that the client saw. It is refused only when a user changed the spec since then: what the
 * cluster itself writes (statuses, allocations) must not make clients fail. `specVersion` is the spec's last change.
 * @throws SwarmctlError OUT_OF_SEQUENCE
 */
export const requireVersion = (seen: number, specVersion: number, current: number): void => {
  if (seen >= specVersion && seen <= current) return
  throw new SwarmctlError(
    'OUT_OF_SEQUENCE',
    'rpc error: code = Unknown desc = update out of sequence',
  )
}
