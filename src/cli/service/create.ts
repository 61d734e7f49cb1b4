import type { Command } from 'commander'
import { SwarmctlError } from '../../api/errors.ts'
import { isJob } from '../../api/service-defaults.ts'
import type { ServiceMode } from '../../api/service-spec.ts'
import type { CliContext, Runner } from '../context.ts'
import { leaveReplicas } from './autoscale-flags.ts'
import { Draft, emptySpec } from './draft.ts'
import { environmentFiles, withEnvironment } from './environment.ts'
import { count } from './flag-values.ts'
import { splitPair } from './key-values.ts'
import { resolveReferences } from './references.ts'
import { applyImage, registryAuth } from './registry.ts'
import type { Parsed } from './spec-flags.ts'
import { addCreateFlags, applyCreateFlags } from './spec-flags.ts'
import type { WaitOptions } from './wait.ts'
import { waitForService } from './wait.ts'

interface CreateOptions extends WaitOptions, Parsed {
  name?: string
  mode: string
  replicas?: string
  maxConcurrent?: string
  envFile?: string[]
  withRegistryAuth?: boolean
  resolveImage?: boolean
}

const modeOf = ({ mode, replicas, maxConcurrent }: CreateOptions): ServiceMode => {
  if (maxConcurrent !== undefined && mode !== 'replicated-job') {
    throw new SwarmctlError(
      'INVALID_ARGUMENT',
      'max-concurrent can only be used with replicated-job mode',
    )
  }
  const n = replicas === undefined ? undefined : count('--replicas', replicas)
  switch (mode) {
    case 'replicated':
      return { Replicated: { Replicas: n ?? 1 } }
    case 'replicated-job': {
      const total = n ?? 1
      const concurrent =
        maxConcurrent === undefined ? total : count('--max-concurrent', maxConcurrent)
      return { ReplicatedJob: { MaxConcurrent: concurrent, TotalCompletions: total } }
    }
    case 'global':
    case 'global-job':
      if (n !== undefined) {
        throw new SwarmctlError(
          'INVALID_ARGUMENT',
          'replicas can only be used with replicated or replicated-job mode',
        )
      }
      return mode === 'global' ? { Global: {} } : { GlobalJob: {} }
    default:
      throw new SwarmctlError(
        'INVALID_ARGUMENT',
        `invalid value "${mode}" for --mode: must be replicated, global, replicated-job or global-job`,
      )
  }
}

const createSpec = async (
  context: CliContext,
  image: string,
  args: string[],
  options: CreateOptions,
): Promise<Draft> => {
  const draft = new Draft(emptySpec())
  draft.spec.Name = options.name ?? ''
  draft.spec.Mode = modeOf(options)
  draft.container.Image = image
  if (args.length > 0) draft.container.Args = args
  applyCreateFlags(draft, options)
  if (draft.task.Placement?.MaxReplicas && (draft.spec.Mode.Global ?? draft.spec.Mode.GlobalJob)) {
    throw new SwarmctlError(
      'INVALID_ARGUMENT',
      'replicas-max-per-node can only be used with replicated or replicated-job mode',
    )
  }
  if (isJob(draft.spec) && (draft.spec.UpdateConfig ?? draft.spec.RollbackConfig)) {
    throw new SwarmctlError(
      'INVALID_ARGUMENT',
      'update and rollback configuration is not supported for jobs',
    )
  }
  leaveReplicas(draft, options.replicas)
  const fromFiles = await environmentFiles(context, options.envFile ?? [])
  const fromFlags = withEnvironment(draft.container.Env ?? [], context.env)
  const named = new Set(fromFlags.map((entry) => splitPair(entry)[0]))
  const env = [...fromFiles.filter((entry) => !named.has(splitPair(entry)[0])), ...fromFlags]
  if (env.length > 0) draft.container.Env = env
  await resolveReferences(context.client, draft)
  return draft
}

/** `swarmctl service create`. */
export const serviceCreateVerb = (noun: Command, run: Runner): void => {
  const command = noun
    .command('create')
    .description('Create a service and wait until it runs')
    .argument('<image>', 'Image of its containers')
    .argument('[args...]', 'Arguments for the containers')
    .passThroughOptions()
  addCreateFlags(command)
  command
    .addHelpText(
      'after',
      '\nExample:\n  swarmctl service create --name web --replicas 3 --publish 8080:80 nginx\n' +
        '  swarmctl service create --name api --reserve-cpu 0.5 --autoscale-min 2 --autoscale-max 10 --autoscale-cpu 70% api:1\n' +
        '  swarmctl service create --name backup --mode replicated-job --schedule "0 3 * * *" backup:1\n',
    )
    .action(
      run(async (context, image: string, args: string[], options: CreateOptions) => {
        const draft = await createSpec(context, image, args, options)
        const auth = options.withRegistryAuth ? await registryAuth(context, image) : undefined
        const isAsked = options.resolveImage !== false
        const unresolved = await applyImage(context, draft, image, { auth, isAsked })
        const created = await context.client.call<{ ID: string; Warnings?: string[] | null }>({
          method: 'POST',
          path: '/services/create',
          body: draft.spec,
          ...(auth && { headers: { 'X-Registry-Auth': auth } }),
        })
        const warnings = [...unresolved, ...(created.Warnings ?? [])]
        for (const warning of warnings) context.output.writeError(`${warning}\n`)
        context.output.write(`${created.ID}\n`)
        await waitForService(context, created.ID, options)
      }),
    )
}
