import { toSwarmctlError } from '../../api/errors.ts'
import type { Service } from '../../api/service.ts'
import type { ServiceSpec } from '../../api/service-spec.ts'
import type { StackOperation } from '../../stack/plan/operation.ts'
import { type PlanStackInput, planStack } from '../../stack/plan/plan.ts'
import type { PerformedOperation } from '../../stack/plan/rollback.ts'
import type { CliContext } from '../context.ts'
import { ExitStatus } from '../exit-status.ts'
import { durationNs } from '../service/flag-values.ts'
import { type AwaitOptions, awaitService, type Goal } from './await-service.ts'
import { reportFailure } from './failure-report.ts'
import { type PerformOptions, perform } from './perform.ts'
import { rollBack } from './roll-back.ts'

/** How a deployment is sent and waited for. */
export interface DeploymentOptions extends PerformOptions {
  detach?: boolean
  quiet?: boolean
  rollback: boolean
  waitLimit?: string
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
  options: DeploymentOptions
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
  const { context, options, performed } = deployment
  for (const operation of operations) {
    const isService = operation.kind === 'create-service' || operation.kind === 'update-service'
    if (isService) await awaitDependencies(deployment, operation.body)
    performed.push({ operation, id: await perform(context, operation, options) })
  }
  if (!options.detach) await awaitSettled(deployment)
}

/** Waits for all services at the same time; the first that fails ends it. */
const awaitSettled = async ({ context, limits, performed }: Deployment): Promise<void> => {
  const sent = performed.filter(
    ({ operation }) => operation.kind === 'create-service' || operation.kind === 'update-service',
  )
  let isOver = false
  const settle = async ({ operation, id }: PerformedOperation): Promise<void> => {
    const among = { name: operation.name, isOver: () => isOver }
    const goal = sent.length === 1 ? {} : { among }
    const outcome = await awaitService(context, id, { ...limits, ...goal, goal: 'settled' })
    if (outcome.kind === 'reached' || isOver) return
    isOver = true
    throw new DeployFailure(id, outcome.reason, isOurs(operation))
  }
  try {
    await Promise.all(sent.map(settle))
  } finally {
    isOver = true
  }
}

/**
 * Sends what the plan of `input` says, in order, and waits until it runs. What fails is reported and the whole stack is taken back,
 * unless the user keeps it. Thrown: ExitStatus after a failure, SwarmctlError before anything was sent.
 */
export const runDeployment = async (
  context: CliContext,
  input: PlanStackInput,
  options: DeploymentOptions,
): Promise<void> => {
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
    await giveUp(deployment, input, thrown)
  }
}

/** Says what failed, and takes the stack back unless the user keeps it. */
const giveUp = async (
  { context, options, limits, performed }: Deployment,
  { namespace, existing }: PlanStackInput,
  thrown: unknown,
): Promise<never> => {
  const isFailure = thrown instanceof DeployFailure
  if (isFailure) await reportFailure(context, thrown.serviceId, thrown.message)
  else context.output.writeError(`swarmctl: ${toSwarmctlError(thrown).message}\n`)
  if (isFailure && !thrown.isOurs) {
    context.output.writeError('It failed before as well: this deployment did not change it\n')
  } else if (options.rollback && performed.length > 0) {
    await rollBack(context, namespace, performed, existing, limits.quiet)
  }
  throw new ExitStatus(1)
}
