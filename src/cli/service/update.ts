import type { Command } from 'commander'
import { SwarmctlError } from '../../api/errors.ts'
import type { Service } from '../../api/service.ts'
import { splitShellWords } from '../../stack/parse/shell-words.ts'
import type { CliContext, Runner } from '../context.ts'
import { leaveReplicas } from './autoscale-flags.ts'
import { Draft } from './draft.ts'
import { withEnvironment } from './environment.ts'
import { count, parsed } from './flag-values.ts'
import { knownNetworkId, resolveNetworks, resolveReferences } from './references.ts'
import { applyImage, registryAuth } from './registry.ts'
import type { Parsed } from './spec-flags.ts'
import { addUpdateFlags, applyUpdateFlags } from './spec-flags.ts'
import type { WaitOptions } from './wait.ts'
import { waitForService } from './wait.ts'

interface UpdateOptions extends WaitOptions, Parsed {
  image?: string
  args?: string
  force?: boolean
  rollback?: boolean
  replicas?: string
  maxConcurrent?: string
  withRegistryAuth?: boolean
  resolveImage?: boolean
  envAdd?: string[]
  networkAdd?: string[]
  networkRm?: string[]
}

/** Reads a service by any name. */
export const getService = ({ client }: CliContext, ref: string): Promise<Service> =>
  client.call<Service>({ path: `/services/${encodeURIComponent(ref)}` })

/** Sends a changed spec; the version makes sure that nobody changed it meanwhile. */
export const postUpdate = async (
  { client, output }: CliContext,
  service: Service,
  query: Record<string, string>,
  auth: string | undefined,
): Promise<void> => {
  const answer = await client.call<{ Warnings?: string[] | null } | undefined>({
    method: 'POST',
    path: `/services/${service.ID}/update`,
    query: { version: service.Version.Index, ...query },
    body: service.Spec,
    ...(auth && { headers: { 'X-Registry-Auth': auth } }),
  })
  for (const warning of answer?.Warnings ?? []) output.writeError(`${warning}\n`)
}

const setReplicas = (draft: Draft, replicas: string): void => {
  const n = count('--replicas', replicas)
  const mode = draft.spec.Mode
  if (mode?.Replicated) mode.Replicated.Replicas = n
  else if (mode?.ReplicatedJob) mode.ReplicatedJob.TotalCompletions = n
  else {
    throw new SwarmctlError(
      'INVALID_ARGUMENT',
      'replicas can only be used with replicated or replicated-job mode',
    )
  }
}

const setMaxConcurrent = (draft: Draft, maxConcurrent: string): void => {
  const job = draft.spec.Mode?.ReplicatedJob
  if (!job) {
    throw new SwarmctlError(
      'INVALID_ARGUMENT',
      'max-concurrent can only be used with replicated-job mode',
    )
  }
  job.MaxConcurrent = count('--max-concurrent', maxConcurrent)
}

const changeSpec = async (
  context: CliContext,
  draft: Draft,
  options: UpdateOptions,
): Promise<void> => {
  // Specs hold ids of networks, people say names.
  const networkRm = await Promise.all(
    (options.networkRm ?? []).map((ref) => knownNetworkId(context.client, ref)),
  )
  const envAdd = withEnvironment(options.envAdd ?? [], context.env)
  applyUpdateFlags(draft, { ...options, envAdd, networkRm })
  if (options.networkAdd) await resolveNetworks(context.client, draft)
  if (options.args !== undefined) {
    draft.container.Args = parsed('--args', options.args, splitShellWords)
  }
  if (options.replicas !== undefined) setReplicas(draft, options.replicas)
  leaveReplicas(draft, options.replicas)
  if (options.maxConcurrent !== undefined) setMaxConcurrent(draft, options.maxConcurrent)
  if (options.force) draft.task.ForceUpdate = (draft.task.ForceUpdate ?? 0) + 1
  await resolveReferences(context.client, draft)
}

/** How `--rollback` waits can be said with it. */
const WITH_ROLLBACK = ['rollback', 'detach', 'quiet', 'waitLimit']

/** The previous spec comes back as it was: what else is asked for would be lost. */
const requireNoOther = (options: UpdateOptions): void => {
  const { healthcheck, resolveImage, ...others } = options
  // Commander says of both that they are on where `--no-…` is not given.
  const isPlain = healthcheck !== false && resolveImage !== false
  if (isPlain && Object.keys(others).every((name) => WITH_ROLLBACK.includes(name))) return
  throw new SwarmctlError('INVALID_ARGUMENT', 'other flags may not be combined with --rollback')
}

const update = async (context: CliContext, ref: string, options: UpdateOptions): Promise<void> => {
  if (options.rollback) requireNoOther(options)
  const service = await getService(context, ref)
  if (options.rollback) return rollback(context, service, options)
  const draft = new Draft(service.Spec)
  await changeSpec(context, draft, options)
  const image = options.image ?? draft.container.Image
  const auth = options.withRegistryAuth ? await registryAuth(context, image) : undefined
  const isAsked = options.image !== undefined && options.resolveImage !== false
  const unresolved = await applyImage(context, draft, image, { auth, isAsked })
  await postUpdate(context, service, { registryAuthFrom: 'spec' }, auth)
  for (const warning of unresolved) context.output.writeError(`${warning}\n`)
  context.output.write(`${ref}\n`)
  await waitForService(context, service.ID, options)
}

/** Goes back to the previous spec, as `service rollback` and `service update --rollback` do. */
export const rollback = async (
  context: CliContext,
  service: Service,
  options: WaitOptions,
): Promise<void> => {
  await postUpdate(context, service, { rollback: 'previous' }, undefined)
  context.output.write(`${service.Spec.Name}\n`)
  await waitForService(context, service.ID, { ...options, isRollback: true })
}

/** `swarmctl service update`. */
export const serviceUpdateVerb = (noun: Command, run: Runner): void => {
  const command = noun
    .command('update')
    .description('Change a service and wait until the change has rolled out')
    .argument('<service>', 'Name or id')
  addUpdateFlags(command)
  command
    .addHelpText('after', '\nExample:\n  swarmctl service update --image nginx:1.27 web\n')
    .action(run((context, ref: string, options: UpdateOptions) => update(context, ref, options)))
}
