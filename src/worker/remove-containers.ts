import { SwarmctlError, toSwarmctlError } from '../api/errors.ts'
import { shortIdOf } from '../api/short-id.ts'
import type { ObservedContainer } from './executor.ts'

/** Containers that an error names. */
const NAMED_MAX = 5

/**
 * Removes each that can be removed; one that can't (its layer is damaged) keeps no other here.
 * @throws SwarmctlError that names what stays; ENGINE_UNAVAILABLE when that is why
 */
export const removeContainers = async (
  containers: readonly ObservedContainer[],
  remove: (containerId: string) => Promise<void>,
): Promise<void> => {
  const left: { id: string; error: SwarmctlError }[] = []
  await Promise.all(
    containers.map(({ id }) =>
      remove(id).catch((thrown: unknown) => {
        left.push({ id: shortIdOf(id), error: toSwarmctlError(thrown) })
      }),
    ),
  )
  const first = left.find(({ error }) => error.code === 'ENGINE_UNAVAILABLE') ?? left[0]
  if (first === undefined) return
  const { code, message } = first.error
  const ids = left.slice(0, NAMED_MAX).map(({ id }) => id)
  const which = `${ids.join(', ')}${left.length > NAMED_MAX ? ', …' : ''}`
  const text = `${left.length} of ${containers.length} containers can't be removed (${which}): ${message}`
  throw new SwarmctlError(code, text, { cause: first.error })
}
