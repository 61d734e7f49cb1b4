import { isDeepStrictEqual } from 'node:util'
import { toSwarmctlError } from '../../api/errors.ts'
import type { Service } from '../../api/service.ts'
import type { Task } from '../../api/task.ts'
import type { StackOperation } from '../../stack/plan/operation.ts'
import type { ExistingObjects } from '../../stack/plan/plan.ts'
import { type PerformedOperation, rollbackOperations } from '../../stack/plan/rollback.ts'
import type { CliContext } from '../context.ts'
import { awaitService } from './await-service.ts'
import { type PerformOptions, perform } from './perform.ts'

/** Tasks of a removed service drain and stop before what they used can go. */
const GONE_LIMIT_MS = 120_000
/** What ran before has this long to run again; then the rollback is over, and says that it is not. */
const RESTORE_LIMIT_MS = 300_000
const POLL_MS = 200

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
  for (const operation of rollbackOperations(performed, existing)) {
    try {
      if (!operation.kind.endsWith('-service')) await waitUntilGone(context, removed.splice(0))
      const current = await withVersion(context, operation)
      if (current === undefined) continue
      // A service that comes back as a new one has lost the credentials that it had.
      const isNew = current.kind === 'create-service'
      const id = await perform(context, current, isNew ? { withRegistryAuth } : {})
      if (operation.kind === 'remove-service') removed.push(id)
      else if (operation.kind.endsWith('-service')) restored.push(id)
    } catch (thrown) {
      if (context.signal.aborted) throw thrown
      isComplete = false
      output.writeError(`swarmctl: ${toSwarmctlError(thrown).message}\n`)
    }
  }
  for (const id of restored) {
    const limits = { goal: 'settled', quiet, limitMs: RESTORE_LIMIT_MS } as const
    const outcome = await awaitService(context, id, limits)
    // The manager took the service back by itself before: that is what is wanted.
    const isBack = outcome.kind === 'reached' || /rolled back/.test(outcome.reason)
    if (!isBack) output.writeError(`service ${id}: ${outcome.reason}\n`)
    isComplete &&= isBack
  }
  output.writeError(
    isComplete
      ? `Stack ${stack} is what it was before\n`
      : `Stack ${stack} could not be taken back as a whole\n`,
  )
  return isComplete
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

const waitUntilGone = async (context: CliContext, serviceIds: readonly string[]): Promise<void> => {
  if (serviceIds.length === 0) return
  const ids = Object.fromEntries(serviceIds.map((id) => [id, true]))
  for (let waitedMs = 0; waitedMs < GONE_LIMIT_MS; waitedMs += POLL_MS) {
    const query = { filters: JSON.stringify({ service: ids }) }
    const tasks = await context.client.call<Task[]>({ path: '/tasks', query }).catch(() => [])
    if (tasks.length === 0) return
    await context.sleep(POLL_MS)
  }
}
