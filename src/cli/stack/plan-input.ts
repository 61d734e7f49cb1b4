import { requireAccepted } from '../../stack/convert/accepted.ts'
import type { PlanStackInput, ResolveImage } from '../../stack/plan/plan.ts'
import type { CliContext } from '../context.ts'
import { existingObjects } from './existing.ts'
import {
  convertFiles,
  type FileOptions,
  readStack,
  stackName,
  tellWarnings,
} from './stack-input.ts'

/** What a plan and a deployment of the same files both begin with: what they want, beside what is there. */
export const readPlanInput = async (
  context: CliContext,
  given: string | undefined,
  options: FileOptions & { prune?: boolean },
  resolveImage: ResolveImage,
): Promise<PlanStackInput> => {
  const loaded = await readStack(context, options)
  tellWarnings(context, loaded)
  const namespace = stackName(given, loaded)
  const desired = await convertFiles(loaded, namespace)
  requireAccepted(desired, loaded.config, namespace)
  return {
    namespace,
    desired,
    existing: await existingObjects(context),
    prune: options.prune === true,
    resolveImage,
  }
}
