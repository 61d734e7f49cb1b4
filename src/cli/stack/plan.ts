import { type Command, Option } from 'commander'
import type { ForecastRequest, ServiceForecast } from '../../api/forecast.ts'
import { SECRET_KEY_BYTES } from '../../stack/plan/digest.ts'
import { planIndex } from '../../stack/plan/index-of.ts'
import { isServiceSent } from '../../stack/plan/operation.ts'
import { type PlanStackInput, planStack, type StackPlan } from '../../stack/plan/plan.ts'
import { formatReview, reviewPlan } from '../../stack/plan/review.ts'
import type { CliContext, Runner } from '../context.ts'
import { ExitStatus } from '../exit-status.ts'
import { readPlanInput } from './plan-input.ts'
import { type FileOptions, STACK_ARGUMENT, withFiles } from './stack-input.ts'

interface PlanOptions extends FileOptions {
  prune?: boolean
  format: 'table' | 'json'
}

/** Exit code of a plan that changes something. */
const CHANGES_EXIT_CODE = 2

/** Where the scheduler would put the services of the plan. */
const forecast = async (
  { client }: CliContext,
  { operations }: StackPlan,
  { desired }: PlanStackInput,
): Promise<ServiceForecast[]> => {
  if (desired.services.length === 0) return []
  const body: ForecastRequest = {
    Services: operations.filter(isServiceSent).map((operation) => operation.body),
    Removed: operations.filter(({ kind }) => kind === 'remove-service').map(({ name }) => name),
  }
  return client.call<ServiceForecast[]>({ method: 'POST', path: '/swarmctl/forecast', body })
}

const plan = async (
  context: CliContext,
  given: string | undefined,
  options: PlanOptions,
): Promise<void> => {
  const input = await readPlanInput(context, given, options, 'never')
  const planned = planStack(input)
  const forecasts = await forecast(context, planned, input)
  const review = reviewPlan(
    input.namespace,
    planIndex(input),
    planned,
    forecasts,
    context.randomBytes(SECRET_KEY_BYTES),
  )
  context.output.write(
    options.format === 'json' ? `${JSON.stringify(review, null, 2)}\n` : formatReview(review),
  )
  if (review.Changed) throw new ExitStatus(CHANGES_EXIT_CODE)
}

/** `swarmctl stack plan`. */
export const stackPlanVerb = (noun: Command, run: Runner): void => {
  withFiles(noun.command('plan'))
    .description(
      'Show what a deployment would change and where it would run: exit code 2 for changes',
    )
    .argument(...STACK_ARGUMENT)
    .option('--prune', 'As for "stack deploy"')
    .addOption(
      new Option('--format <format>', 'Format of the output')
        .choices(['table', 'json'])
        .default('table'),
    )
    .addHelpText('after', '\nExample:\n  swarmctl stack plan -c stack.yml demo\n')
    .action(
      run((context, stack: string | undefined, options: PlanOptions) =>
        plan(context, stack, options),
      ),
    )
}
