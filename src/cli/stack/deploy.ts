import { type Command, Option } from 'commander'
import { SwarmctlError, toSwarmctlError } from '../../api/errors.ts'
import type { Service } from '../../api/service.ts'
import type { ServiceSpec } from '../../api/service-spec.ts'
import { planIndex } from '../../stack/plan/index-of.ts'
import type { StackOperation } from '../../stack/plan/operation.ts'
import { type PlanStackInput, planStack, type ResolveImage } from '../../stack/plan/plan.ts'
import type { PerformedOperation } from '../../stack/plan/rollback.ts'
import type { CliContext, Runner } from '../context.ts'
import { ExitStatus } from '../exit-status.ts'
import { durationNs } from '../service/flag-values.ts'
import { type AwaitOptions, awaitService, type Goal } from './await-service.ts'
import { existingObjects } from './existing.ts'
import { reportFailure } from './failure-report.ts'
import { type PerformOptions, perform } from './perform.ts'
import { rollBack } from './roll-back.ts'
import type { FileOptions } from './stack-input.ts'
import {
  convertFiles,
  readStack,
  STACK_ARGUMENT,
  stackName,
  tellWarnings,
  withFiles,
} from './stack-input.ts'

interface DeployOptions extends FileOptions, PerformOptions {
  prune?: boolean
  detach?: boolean
  quiet?: boolean
  rollback: boolean
  waitLimit?: string
  planIndex?: string
  resolveImage: ResolveImage
}

const NS_PER_MS = 1e6

/** A service that did not get to where it should be; the others were not waited for any longer. */
class DeployFailure extends Error {
  override readonly name = 'DeployFailure'
  readonly serviceId: string
  /** Whether this deployment changed the service. */
  readonly isOurs: boolean

  constructor(serviceId: string, reason: string, isOurs: boolean) {
    super(reason)
    this.serviceId = serviceId
    this.isOurs = isOurs
  }
}

const GOALS = {
  service_started: 'started',
  service_healthy: 'healthy',
  service_completed_successfully: 'completed',
} as const satisfies Record<string, Goal>

/** One deployment on its way. */
interface Deployment {
  context: CliContext
  options: DeployOptions
  limits: Omit<AwaitOptions, 'goal'>
  performed: PerformedOperation[]
}

/** Waits for what the service depends on. */
const awaitDependencies = async (
  { context, options, limits, performed }: Deployment,
  body: ServiceSpec,
): Promise<void> => {
  for (const { Service: name, Condition, Required } of body.Swarmctl?.DependsOn ?? []) {
    // Who doesn't wait for the stack waits only where something must be ready.
    if (options.detach && Condition === 'service_started') continue
    const sent = performed.find(({ operation }) => operation.name === name)
    const service = await context.client
      .call<Service>({ path: `/services/${sent?.id ?? encodeURIComponent(name)}` })
      .catch(() => undefined)
    if (service === undefined) continue
    context.output.write(`Waiting for ${name}: ${Condition}\n`)
    const goal = GOALS[Condition]
    const outcome = await awaitService(context, service.ID, { ...limits, goal })
    if (outcome.kind === 'reached' || Required === false) continue
    throw new DeployFailure(service.ID, outcome.reason, isOurs(sent?.operation))
  }
}

const isOurs = (operation: StackOperation | undefined): boolean =>
  operation !== undefined && (operation.kind !== 'update-service' || operation.fields.length > 0)

const execute = async (
  deployment: Deployment,
  operations: readonly StackOperation[],
): Promise<void> => {
  const { context, options, limits, performed } = deployment
  for (const operation of operations) {
    const isService = operation.kind === 'create-service' || operation.kind === 'update-service'
    if (isService) await awaitDependencies(deployment, operation.body)
    performed.push({ operation, id: await perform(context, operation, options) })
  }
  if (options.detach) return
  for (const { operation, id } of performed) {
    if (operation.kind !== 'create-service' && operation.kind !== 'update-service') continue
    const outcome = await awaitService(context, id, { ...limits, goal: 'settled' })
    if (outcome.kind === 'failed') throw new DeployFailure(id, outcome.reason, isOurs(operation))
  }
}

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
  const loaded = await readStack(context, options)
  tellWarnings(context, loaded)
  const stack = stackName(given, loaded)
  const input: PlanStackInput = {
    namespace: stack,
    desired: await convertFiles(loaded, stack),
    existing: await existingObjects(context),
    prune: options.prune === true,
    resolveImage: options.resolveImage,
  }
  if (options.planIndex !== undefined) requireIndex(options.planIndex, input)
  const { operations, notes } = planStack(input)
  for (const note of notes) context.output.writeError(`${note}\n`)
  const limitMs =
    options.waitLimit === undefined
      ? Number.POSITIVE_INFINITY
      : durationNs('--wait-limit', options.waitLimit) / NS_PER_MS
  const limits = { quiet: options.quiet === true, limitMs }
  const deployment: Deployment = { context, options, limits, performed: [] }
  try {
    await execute(deployment, operations)
  } catch (thrown) {
    if (context.signal.aborted) throw thrown
    await giveUp(deployment, stack, input, thrown)
  }
}

/** Says what failed, and takes the stack back unless the user keeps it. */
const giveUp = async (
  { context, options, limits, performed }: Deployment,
  stack: string,
  { existing }: PlanStackInput,
  thrown: unknown,
): Promise<never> => {
  const isFailure = thrown instanceof DeployFailure
  if (isFailure) await reportFailure(context, thrown.serviceId, thrown.message)
  else context.output.writeError(`swarmctl: ${toSwarmctlError(thrown).message}\n`)
  if (isFailure && !thrown.isOurs) {
    context.output.writeError('It failed before as well: this deployment did not change it\n')
  } else if (options.rollback && performed.length > 0) {
    await rollBack(context, stack, performed, existing, limits.quiet)
  }
  throw new ExitStatus(1)
}

/** `swarmctl stack deploy`. */
export const stackDeployVerb = (noun: Command, run: Runner): void => {
  withFiles(noun.command('deploy').alias('up'))
    .description('Create or update a stack from stack files, and wait until it runs')
    .argument(...STACK_ARGUMENT)
    .option('--prune', 'Remove services of the stack that the files no longer have')
    .option('--with-registry-auth', "Send this user's registry credentials to the nodes")
    .addOption(
      new Option('--resolve-image <when>', 'When to ask registries for digests')
        .choices(['always', 'changed', 'never'])
        .default('always'),
    )
    .option('-d, --detach', 'Return when everything is created, without waiting')
    .option('-q, --quiet', 'No progress')
    .option('--wait-limit <duration>', 'Give up waiting for a service after this time')
    .option('--plan-index <index>', 'Refuse when the cluster is not what "stack plan" saw')
    .option('--rollback', 'Take the whole stack back when the deployment fails', true)
    .option('--no-rollback', 'Leave a failed deployment as it is')
    .addHelpText('after', '\nExample:\n  swarmctl stack deploy -c stack.yml demo\n')
    .action(
      run((context, stack: string | undefined, options: DeployOptions) =>
        deploy(context, stack, options),
      ),
    )
}
