import { isDeepStrictEqual } from 'node:util'
import { SwarmctlError, toSwarmctlError } from '../../api/errors.ts'
import type { Service } from '../../api/service.ts'
import type { StackOperation } from '../../stack/plan/operation.ts'
import type { ExistingObjects } from '../../stack/plan/plan.ts'
import {
  isChangedByOthers,
  type PerformedOperation,
  rollbackOperations,
} from '../../stack/plan/rollback.ts'
import type { CliContext } from '../context.ts'
import { patiently } from '../patiently.ts'
import { findOrNone } from '../task-target.ts'
import { awaitService } from './await-service.ts'
import { awaitUnused } from './await-unused.ts'
import { type PerformOptions, perform } from './perform.ts'

/** What ran before has this long to run again; then the rollback is over, and says that it is not. */
const RESTORE_LIMIT_MS = 300_000

/**
 * Takes a failed deployment back as a whole: changed services get the spec that they had, removed ones come back, new objects go. Goes on
 * past what can't be taken back, and says so. Resolves to whether everything is as it was.
 */
export const rollBack = async (
  context: CliContext,
  stack: string,
  performed: readonly PerformedOperation[],
  existing: ExistingObjects,
  { quiet = false, withRegistryAuth = false }: PerformOptions & { quiet?: boolean },
): Promise<boolean> => {
  const { output } = context
  output.writeError(`Rolling back stack ${stack} to what ran before\n`)
  const restored: string[] = []
  const removed: string[] = []
  let isComplete = true
  const attempt = async (step: () => Promise<void>): Promise<void> => {
    try {
      await step()
    } catch (thrown) {
      if (context.signal.aborted) throw thrown
      isComplete = false
      output.writeError(`swarmctl: ${toSwarmctlError(thrown).message}\n`)
    }
  }
  const [services, others] = bySort(rollbackOperations(performed, existing))
  for (const operation of services) {
    await attempt(async () => {
      await requireOwn(context, operation, performed, existing)
      const current = await withVersion(context, operation)
      if (current === undefined) return
      // A service that comes back as a new one has lost the credentials that it had.
      const isNew = current.kind === 'create-service'
      const id = await perform(context, current, isNew ? { withRegistryAuth } : {})
      if (operation.kind === 'remove-service') removed.push(id)
      else restored.push(id)
    })
  }
  for (const id of restored) {
    await attempt(async () => {
      const limits = { goal: 'settled', quiet, limitMs: RESTORE_LIMIT_MS } as const
      const outcome = await awaitService(context, id, limits)
      // The manager took the service back by itself before: that is what is wanted.
      const isBack = outcome.kind === 'reached' || /rolled back/.test(outcome.reason)
      if (!isBack) output.writeError(`service ${id}: ${outcome.reason}\n`)
      isComplete &&= isBack
    })
  }
  if (others.length > 0) {
    const inUse = await awaitUnused(context, stack, removed, others)
    if (inUse !== undefined) output.writeError(`${inUse}\n`)
  }
  for (const operation of others) {
    await attempt(async () => {
      const current = await withVersion(context, operation)
      if (current !== undefined) await perform(context, current, {})
    })
  }
  output.writeError(
    isComplete
      ? `Stack ${stack} is what it was before\n`
      : `Stack ${stack} could not be taken back as a whole\n`,
  )
  return isComplete
}

/** Operations on services, and on what they use. */
const bySort = (operations: readonly StackOperation[]): [StackOperation[], StackOperation[]] => {
  const isService = ({ kind }: StackOperation): boolean => kind.endsWith('-service')
  return [operations.filter(isService), operations.filter((one) => !isService(one))]
}

/** Thrown: SwarmctlError, for a service that somebody else changed after this deployment had. */
const requireOwn = async (
  context: CliContext,
  operation: StackOperation,
  performed: readonly PerformedOperation[],
  existing: ExistingObjects,
): Promise<void> => {
  if (operation.kind !== 'update-service' && operation.kind !== 'remove-service') return
  const path = `/services/${operation.id}`
  const service = await patiently(context, () => findOrNone<Service>(context, path))
  if (service === undefined || !isChangedByOthers(service, performed, existing)) return
  throw new SwarmctlError(
    'FAILED_PRECONDITION',
    `service ${operation.name} was changed by somebody else since this deployment sent it: it is left as it is`,
  )
}

/** The operation on the object as it is now; undefined when it is already as it should be. */
const withVersion = async (
  { client }: CliContext,
  operation: StackOperation,
): Promise<StackOperation | undefined> => {
  if (operation.kind === 'update-service') {
    const { Version, Spec } = await client.call<Service>({ path: `/services/${operation.id}` })
    const isSame = isDeepStrictEqual(Spec, operation.body)
    return isSame ? undefined : { ...operation, version: Version.Index }
  }
  if (operation.kind === 'update-secret' || operation.kind === 'update-config') {
    const path = `/${operation.kind.slice('update-'.length)}s/${operation.id}`
    const { Version } = await client.call<{ Version: { Index: number } }>({ path })
    return { ...operation, version: Version.Index }
  }
  return operation
}
