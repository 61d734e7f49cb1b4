import { type Command, Option } from 'commander'
import type { Config } from '../../api/config.ts'
import { SwarmctlError } from '../../api/errors.ts'
import type { Secret } from '../../api/secret.ts'
import type { Service } from '../../api/service.ts'
import type { ServiceSpec } from '../../api/service-spec.ts'
import { bindReferences } from '../../stack/convert/references.ts'
import { describeOperation, type StackOperation } from '../../stack/plan/operation.ts'
import type { ExistingNetwork, ResolveImage } from '../../stack/plan/plan.ts'
import { planStack } from '../../stack/plan/plan.ts'
import type { CliContext, Runner } from '../context.ts'
import { registryAuth, resolveImage } from '../service/registry.ts'
import type { WaitOptions } from '../service/wait.ts'
import { waitForService } from '../service/wait.ts'
import type { FileOptions } from './stack-input.ts'
import { convertFiles, readStack, tellWarnings, withFiles } from './stack-input.ts'

interface DeployOptions extends FileOptions, WaitOptions {
  prune?: boolean
  withRegistryAuth?: boolean
  resolveImage: ResolveImage
}

const existingObjects = async ({ client }: CliContext) => {
  const [networks, secrets, configs, services] = await Promise.all([
    client.call<ExistingNetwork[]>({ path: '/networks' }),
    client.call<Secret[]>({ path: '/secrets' }),
    client.call<Config[]>({ path: '/configs' }),
    client.call<Service[]>({ path: '/services' }),
  ])
  return { networks, secrets, configs, services }
}

const idsByName = (objects: readonly (Secret | Config)[]): Map<string, string> =>
  new Map(objects.map((object) => [object.Spec.Name, object.ID]))

/** A service's body with what only the cluster and the registry know: ids, credentials, the image's digest. */
const completeService = async (
  context: CliContext,
  body: ServiceSpec,
  options: { withRegistryAuth?: boolean | undefined; resolveImage: boolean },
): Promise<{ body: ServiceSpec; auth: string | undefined; warnings: string[] }> => {
  const [secrets, configs] = await Promise.all([
    context.client.call<Secret[]>({ path: '/secrets' }),
    context.client.call<Config[]>({ path: '/configs' }),
  ])
  const bound = bindReferences(body, { secrets: idsByName(secrets), configs: idsByName(configs) })
  const image = bound.TaskTemplate.ContainerSpec?.Image ?? ''
  const auth = options.withRegistryAuth ? await registryAuth(context, image) : undefined
  const container = bound.TaskTemplate.ContainerSpec
  if (!options.resolveImage || !container) return { body: bound, auth, warnings: [] }
  const resolved = await resolveImage(context, image, auth)
  const ContainerSpec = { ...container, Image: resolved.image }
  bound.TaskTemplate = { ...bound.TaskTemplate, ContainerSpec }
  return { body: bound, auth, warnings: resolved.warnings }
}

const sendService = async (
  context: CliContext,
  operation: Extract<StackOperation, { kind: 'create-service' | 'update-service' }>,
  options: DeployOptions,
): Promise<string> => {
  const { withRegistryAuth } = options
  const { body, auth, warnings } = await completeService(context, operation.body, {
    withRegistryAuth,
    resolveImage: operation.resolveImage,
  })
  const isCreate = operation.kind === 'create-service'
  const answer = await context.client.call<{ ID?: string; Warnings?: string[] | null } | undefined>(
    {
      method: 'POST',
      path: isCreate ? '/services/create' : `/services/${operation.id}/update`,
      ...(!isCreate && { query: { version: operation.version, registryAuthFrom: 'spec' } }),
      body,
      ...(auth && { headers: { 'X-Registry-Auth': auth } }),
    },
  )
  for (const warning of [...warnings, ...(answer?.Warnings ?? [])]) {
    context.output.writeError(`${warning}\n`)
  }
  return isCreate ? (answer?.ID as string) : operation.id
}

/** Sends one operation; returns the id of the service that it touched. */
const perform = async (
  context: CliContext,
  operation: StackOperation,
  options: DeployOptions,
): Promise<string | undefined> => {
  const { client, output } = context
  output.write(`${describeOperation(operation)}\n`)
  switch (operation.kind) {
    case 'create-network':
    case 'create-secret':
    case 'create-config': {
      const path = `/${operation.kind.slice('create-'.length)}s/create`
      await client.call({ method: 'POST', path, body: operation.body })
      return undefined
    }
    case 'update-secret':
    case 'update-config': {
      const path = `/${operation.kind.slice('update-'.length)}s/${operation.id}/update`
      const query = { version: operation.version }
      await client.call({ method: 'POST', path, query, body: operation.body })
      return undefined
    }
    case 'create-service':
    case 'update-service':
      return sendService(context, operation, options)
    case 'remove-service':
      await client.call({ method: 'DELETE', path: `/services/${operation.id}` })
      return undefined
    default:
      return operation satisfies never
  }
}

/** Which of the stack's objects was refused: the cluster's answer alone does not say. */
const failure = (operation: StackOperation, thrown: unknown): unknown => {
  if (!(thrown instanceof SwarmctlError)) return thrown
  const isOtherData =
    operation.kind === 'update-secret' && /only updates to Labels/.test(thrown.message)
  const hint = isOtherData
    ? ': its content changed; give the new content another name (a name: or another key in the stack file)'
    : ''
  const what = `${operation.kind.replace('-', ' ')} ${operation.name}`
  return new SwarmctlError(thrown.code, `failed to ${what}: ${thrown.message}${hint}`, {
    cause: thrown,
  })
}

const deploy = async (
  context: CliContext,
  stack: string,
  options: DeployOptions,
): Promise<void> => {
  const loaded = await readStack(context, options)
  tellWarnings(context, loaded)
  const { operations, notes } = planStack({
    namespace: stack,
    desired: await convertFiles(loaded, stack),
    existing: await existingObjects(context),
    prune: options.prune === true,
    resolveImage: options.resolveImage,
  })
  for (const note of notes) context.output.writeError(`${note}\n`)
  const serviceIds: string[] = []
  for (const operation of operations) {
    const id = await perform(context, operation, options).catch((thrown: unknown) => {
      throw failure(operation, thrown)
    })
    if (id !== undefined) serviceIds.push(id)
  }
  for (const id of serviceIds) await waitForService(context, id, options)
}

/** `swarmctl stack deploy`. */
export const stackDeployVerb = (noun: Command, run: Runner): void => {
  withFiles(noun.command('deploy').alias('up'))
    .description('Create or update a stack from stack files, and wait until it runs')
    .argument('<stack>', 'Name of the stack')
    .option('--prune', 'Remove services of the stack that the files no longer have')
    .option('--with-registry-auth', "Send this user's registry credentials to the nodes")
    .addOption(
      new Option('--resolve-image <when>', 'When to ask registries for digests')
        .choices(['always', 'changed', 'never'])
        .default('always'),
    )
    .option('-d, --detach', 'Return when everything is created, without waiting')
    .option('-q, --quiet', 'No progress')
    .option('--wait-limit <duration>', 'Give up waiting after this time and exit with 1')
    .addHelpText('after', '\nExample:\n  swarmctl stack deploy -c stack.yml demo\n')
    .action(
      run((context, stack: string, options: DeployOptions) => deploy(context, stack, options)),
    )
}
