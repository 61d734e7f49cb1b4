import type { Config } from '../../api/config.ts'
import { SwarmctlError } from '../../api/errors.ts'
import type { Secret } from '../../api/secret.ts'
import type { ServiceSpec } from '../../api/service-spec.ts'
import { bindReferences } from '../../stack/convert/references.ts'
import {
  describeOperation,
  isServiceSent,
  type ServiceOperation,
  type StackOperation,
} from '../../stack/plan/operation.ts'
import { hasPlatforms } from '../../stack/plan/plan.ts'
import type { CliContext } from '../context.ts'
import { registryAuth, resolveImage } from '../service/registry.ts'

/** How operations are sent. */
export interface PerformOptions {
  withRegistryAuth?: boolean
}

/** Ids by name of what the cluster has; it is not asked when there is no reference. */
const idsByName = async (
  { client }: CliContext,
  path: '/secrets' | '/configs',
  references: readonly unknown[] = [],
): Promise<Map<string, string>> => {
  if (references.length === 0) return new Map()
  const objects = await client.call<(Secret | Config)[]>({ path })
  return new Map(objects.map((object) => [object.Spec.Name, object.ID]))
}

/** A service's body with what only the cluster and the registry know: ids, credentials, the image's digest and platforms. */
const completeService = async (
  context: CliContext,
  operation: ServiceOperation,
  { withRegistryAuth }: PerformOptions,
): Promise<{ body: ServiceSpec; auth: string | undefined; warnings: string[] }> => {
  const { Secrets, Configs } = operation.body.TaskTemplate.ContainerSpec ?? {}
  const [secrets, configs] = await Promise.all([
    idsByName(context, '/secrets', Secrets),
    idsByName(context, '/configs', Configs),
  ])
  const bound = bindReferences(operation.body, { secrets, configs })
  const container = bound.TaskTemplate.ContainerSpec
  const image = container?.Image ?? ''
  const auth = withRegistryAuth ? await registryAuth(context, image) : undefined
  if (!operation.resolveImage || !container) return { body: bound, auth, warnings: [] }
  // A pinned image is asked about as well, as by the docker CLI: its digest does not say where it runs.
  const resolved = await resolveImage(context, image, auth)
  bound.TaskTemplate = {
    ...bound.TaskTemplate,
    ContainerSpec: { ...container, Image: resolved.image },
    // What the file says (`platform:`) stands.
    ...(resolved.platforms.length > 0 &&
      !hasPlatforms(bound) && {
        Placement: { ...bound.TaskTemplate.Placement, Platforms: resolved.platforms },
      }),
  }
  return { body: bound, auth, warnings: resolved.warnings }
}

const sendService = async (
  context: CliContext,
  operation: ServiceOperation,
  options: PerformOptions,
): Promise<string> => {
  const { body, auth, warnings } = await completeService(context, operation, options)
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

const send = async (
  { client }: CliContext,
  operation: Exclude<StackOperation, ServiceOperation>,
): Promise<string> => {
  switch (operation.kind) {
    case 'create-network':
    case 'create-secret':
    case 'create-config': {
      const path = `/${operation.kind.slice('create-'.length)}s/create`
      const { body } = operation
      const made = await client.call<{ ID?: string; Id?: string }>({ method: 'POST', path, body })
      return made.ID ?? (made.Id as string)
    }
    case 'update-secret':
    case 'update-config': {
      const path = `/${operation.kind.slice('update-'.length)}s/${operation.id}/update`
      const query = { version: operation.version }
      await client.call({ method: 'POST', path, query, body: operation.body })
      return operation.id
    }
    case 'remove-service':
    case 'remove-network':
    case 'remove-secret':
    case 'remove-config': {
      const path = `/${operation.kind.slice('remove-'.length)}s/${operation.id}`
      await client.call({ method: 'DELETE', path })
      return operation.id
    }
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

/** Sends one operation and says so; returns the id of what it touched. */
export const perform = async (
  context: CliContext,
  operation: StackOperation,
  options: PerformOptions,
): Promise<string> => {
  context.output.write(`${describeOperation(operation)}\n`)
  try {
    return isServiceSent(operation)
      ? await sendService(context, operation, options)
      : await send(context, operation)
  } catch (thrown) {
    throw failure(operation, thrown)
  }
}
