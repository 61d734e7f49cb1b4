import { type Command, Option } from 'commander'
import { SwarmctlError } from '../../api/errors.ts'
import { planIndex } from '../../stack/plan/index-of.ts'
import type { PlanStackInput, ResolveImage } from '../../stack/plan/plan.ts'
import type { CliContext, Runner } from '../context.ts'
import { readPlanInput } from './plan-input.ts'
import { type DeploymentOptions, runDeployment } from './run-deployment.ts'
import { type FileOptions, STACK_ARGUMENT, withFiles } from './stack-input.ts'

interface DeployOptions extends FileOptions, DeploymentOptions {
  prune?: boolean
  planIndex?: string
  resolveImage: ResolveImage
}

/** What of `stack deploy` other commands that deploy take as well. */
export const withDeploymentOptions = (command: Command): Command =>
  command
    .option('--with-registry-auth', "Send this user's registry credentials to the nodes")
    .addOption(
      new Option('--resolve-image <when>', 'When to ask registries for digests')
        .choices(['always', 'changed', 'never'])
        .default('always'),
    )
    .option('-d, --detach', 'Return when everything is created, without waiting')
    .option('-q, --quiet', 'No progress')
    .option('--wait-limit <duration>', 'Give up waiting for a service after this time')
    .option('--rollback', 'Take the whole stack back when the deployment fails', true)
    .option('--no-rollback', 'Leave a failed deployment as it is')

const requireIndex = (given: string, input: PlanStackInput): void => {
  const now = planIndex(input)
  if (given === String(now)) return
  throw new SwarmctlError(
    'FAILED_PRECONDITION',
    `the cluster moved on since the plan: its index was ${given} and is ${now} now; look at a new plan with "swarmctl stack plan"`,
  )
}

const deploy = async (
  context: CliContext,
  given: string | undefined,
  options: DeployOptions,
): Promise<void> => {
  const input = await readPlanInput(context, given, options, options.resolveImage)
  if (options.planIndex !== undefined) requireIndex(options.planIndex, input)
  await runDeployment(context, input, options)
}

/** `swarmctl stack deploy`. */
export const stackDeployVerb = (noun: Command, run: Runner): void => {
  withDeploymentOptions(withFiles(noun.command('deploy').alias('up')))
    .description('Create or update a stack from stack files, and wait until it runs')
    .argument(...STACK_ARGUMENT)
    .option('--prune', 'Remove services of the stack that the files no longer have')
    .option('--plan-index <index>', 'Refuse when the cluster is not what "stack plan" saw')
    .addHelpText('after', '\nExample:\n  swarmctl stack deploy -c stack.yml demo\n')
    .action(
      run((context, stack: string | undefined, options: DeployOptions) =>
        deploy(context, stack, options),
      ),
    )
}
