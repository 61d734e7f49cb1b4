import { SwarmctlError, toSwarmctlError } from '../../api/errors.ts'
import { effectOf } from '../../stack/plan/effect.ts'
import type { StackOperation } from '../../stack/plan/operation.ts'
import type { PlanStackInput } from '../../stack/plan/plan.ts'
import type { CliContext } from '../context.ts'
import { patiently } from '../patiently.ts'
import { existingObjects } from './existing.ts'
import { type PerformOptions, perform } from './perform.ts'

/** A refusal is an answer; after anything else nobody knows whether the request took effect. */
const isAnswer = (thrown: unknown): boolean =>
  thrown instanceof SwarmctlError && thrown.code !== 'UNAVAILABLE' && thrown.code !== 'TIMEOUT'

/**
 * Sends one operation of the plan of `input`, and returns the id of what it touched. When the answer is lost (a leader may write and then
 * die) the cluster is looked at: what took effect counts as performed, so that a rollback takes it back. Thrown: what `perform` throws.
 */
export const performSurely = async (
  context: CliContext,
  operation: StackOperation,
  input: PlanStackInput,
  options: PerformOptions,
): Promise<string> => {
  try {
    return await perform(context, operation, options)
  } catch (thrown) {
    if (context.signal.aborted || isAnswer(thrown)) throw thrown
    const id = await find(context, operation, input)
    if (id === undefined) throw thrown
    return id
  }
}

const find = async (
  context: CliContext,
  operation: StackOperation,
  input: PlanStackInput,
): Promise<string | undefined> => {
  try {
    return effectOf(operation, input, await patiently(context, () => existingObjects(context)))
  } catch (thrown) {
    if (context.signal.aborted) throw thrown
    const what = operation.kind.replace('-', ' ')
    context.output.writeError(
      `whether "${what} ${operation.name}" took effect is not known: ${toSwarmctlError(thrown).message}\n`,
    )
    return undefined
  }
}
