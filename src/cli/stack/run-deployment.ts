import { isDeepStrictEqual } from 'node:util'
import { toSwarmctlError } from '../../api/errors.ts'
import type { Service } from '../../api/service.ts'
import type { ServiceSpec } from '../../api/service-spec.ts'
import { isServiceSent, type StackOperation } from '../../stack/plan/operation.ts'
import { type PlanStackInput, planStack } from '../../stack/plan/plan.ts'
import type { PerformedOperation } from '../../stack/plan/rollback.ts'
import type { CliContext } from '../context.ts'
import { ExitStatus } from '../exit-status.ts'
import { patiently } from '../patiently.ts'
import { waitLimitMs } from '../service/look.ts'
import { findOrNone } from '../task-target.ts'
import { type AwaitOptions, awaitService, type Goal } from './await-service.ts'
import { reportFailure } from './failure-report.ts'
import type { PerformOptions } from './perform.ts'
import { performSurely } from './perform-surely.ts'
import { rollBack } from './roll-back.ts'

/** How a deployment is sent and waited for. */
export interface DeploymentOptions extends PerformOptions {
  detach?: boolean
  quiet?: boolean
  rollback: boolean
  waitLimit?: string
}

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
  input: PlanStackInput
  performed: (PerformedOperation & { isChange: boolean })[]
}

/** Waits for what the service depends on. */
const awaitDependencies = async (
  { context, options, limits, performed }: Deployment,
  body: ServiceSpec,
): Promise<void> => {
  for (const { Service: name, Condition, Required } of body.Swarmctl?.DependsOn ?? []) {
    // Who doesn't wait for the stack waits only where something must be ready.
    if (options.detach && Condition === 'service_started') continue
    // A network or a secret may have the service's name.
    const sent = performed.find(
      ({ operation }) => isServiceSent(operation) && operation.name === name,
    )
    const path = `/services/${sent?.id ?? encodeURIComponent(name)}`
    const service = await patiently(context, () => findOrNone<Service>(context, path))
    if (service === undefined) continue
    context.output.write(`Waiting for ${name}: ${Condition}\n`)
    const goal = GOALS[Condition]
    const outcome = await awaitService(context, service.ID, { ...limits, goal })
    if (outcome.kind === 'reached' || Required === false) continue
    throw new DeployFailure(service.ID, outcome.reason, sent?.isChange === true)
  }
}

/** Whether what was sent made a difference. A tag may stand for another image than before, though no field of the file changed. */
const isChange = (
  { input }: Deployment,
  operation: StackOperation,
  now: Service | undefined,
): boolean => {
  if (operation.kind !== 'update-service' || operation.fields.length > 0) return true
  if (!operation.resolveImage) return false
  const before = input.existing.services.find(({ ID }) => ID === operation.id)?.Spec
  return !isDeepStrictEqual(registryPart(now?.Spec), registryPart(before))
}

/** What a registry tells. */
const registryPart = (spec: ServiceSpec | undefined) => [
  spec?.TaskTemplate.ContainerSpec?.Image,
  spec?.TaskTemplate.Placement?.Platforms ?? [],
]

const execute = async (
  deployment: Deployment,
  operations: readonly StackOperation[],
): Promise<void> => {
  const { context, options, input, performed } = deployment
  for (const operation of operations) {
    if (isServiceSent(operation)) await awaitDependencies(deployment, operation.body)
    context.signal.throwIfAborted()
    const id = await performSurely(context, operation, input, options)
    const sent: Deployment['performed'][number] = { operation, id, isChange: true }
    performed.push(sent)
    if (!isServiceSent(operation)) continue
    const now = await patiently(context, () => findOrNone<Service>(context, `/services/${id}`))
    sent.specVersion = now?.Swarmctl.SpecVersion
    sent.isChange = isChange(deployment, operation, now)
  }
  if (!options.detach) await awaitSettled(deployment)
}

/** Waits for all services at the same time; the first that fails ends it. */
const awaitSettled = async ({ context, limits, performed }: Deployment): Promise<void> => {
  const sent = performed.filter(({ operation }) => isServiceSent(operation))
  let isOver = false
  const settle = async ({
    operation,
    id,
    isChange,
  }: Deployment['performed'][number]): Promise<void> => {
    const among = { name: operation.name, isOver: () => isOver }
    const goal = sent.length === 1 ? {} : { among }
    const outcome = await awaitService(context, id, { ...limits, ...goal, goal: 'settled' })
    if (outcome.kind === 'reached' || isOver) return
    isOver = true
    throw new DeployFailure(id, outcome.reason, isChange)
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
  const limits = { quiet: options.quiet === true, limitMs: waitLimitMs(options.waitLimit) }
  const deployment: Deployment = { context, options, limits, input, performed: [] }
  try {
    await execute(deployment, operations)
  } catch (thrown) {
    if (context.signal.aborted) {
      tellUnsent(deployment, operations)
      throw thrown
    }
    await giveUp(deployment, thrown)
  }
}

/** After Ctrl-C what was sent goes on; of the rest the user has to know. */
const tellUnsent = (
  { context, performed }: Deployment,
  operations: readonly StackOperation[],
): void => {
  const unsent = operations
    .slice(performed.length)
    .map(({ kind, name }) => `${kind.replace('-', ' ')} ${name}`)
  if (unsent.length === 0) return
  context.output.writeError(
    `Interrupted: what was sent goes on by itself; not done: ${unsent.join(', ')}\n`,
  )
}

/** Says what failed, and takes the stack back unless the user keeps it. */
const giveUp = async (
  { context, options, input, performed }: Deployment,
  thrown: unknown,
): Promise<never> => {
  const isFailure = thrown instanceof DeployFailure
  if (isFailure) {
    // Whatever keeps it from being told keeps nothing from being taken back.
    await reportFailure(context, thrown.serviceId, thrown.message).catch((cause) => {
      const why = `${thrown.message} (${toSwarmctlError(cause).message})`
      context.output.writeError(`service ${thrown.serviceId} failed: ${why}\n`)
    })
  } else context.output.writeError(`swarmctl: ${toSwarmctlError(thrown).message}\n`)
  if (isFailure && !thrown.isOurs) {
    context.output.writeError('It failed before as well: this deployment did not change it\n')
  } else if (options.rollback && performed.length > 0) {
    await rollBack(context, input.namespace, performed, input.existing, options)
  }
  throw new ExitStatus(1)
}
