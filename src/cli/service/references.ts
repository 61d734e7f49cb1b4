import { SwarmctlError } from '../../api/errors.ts'
import type { NetworkAttachmentConfig } from '../../api/service-spec.ts'
import type { Client } from '../client.ts'
import type { Draft } from './draft.ts'

const idsByName = async (
  client: Client,
  kind: 'secret' | 'config',
  names: readonly string[],
): Promise<Map<string, string>> => {
  if (names.length === 0) return new Map()
  const filters = JSON.stringify({ name: Object.fromEntries(names.map((name) => [name, true])) })
  const found = await client.call<{ ID: string; Spec: { Name: string } }[]>({
    path: `/${kind}s`,
    query: { filters },
  })
  const ids = new Map(found.map((object) => [object.Spec.Name, object.ID]))
  for (const name of names) {
    if (!ids.has(name)) throw new SwarmctlError('NOT_FOUND', `${kind} not found: ${name}`)
  }
  return ids
}

/** Fills in the ids of the secrets and configs that flags named. */
export const resolveReferences = async (client: Client, draft: Draft): Promise<void> => {
  const { container } = draft
  const secrets = (container.Secrets ?? []).filter((ref) => ref.SecretID === '')
  const configs = (container.Configs ?? []).filter((ref) => ref.ConfigID === '')
  const secretIds = await idsByName(
    client,
    'secret',
    secrets.map((ref) => ref.SecretName),
  )
  const configIds = await idsByName(
    client,
    'config',
    configs.map((ref) => ref.ConfigName),
  )
  for (const ref of secrets) ref.SecretID = secretIds.get(ref.SecretName) as string
  for (const ref of configs) ref.ConfigID = configIds.get(ref.ConfigName) as string
  // A credential spec names its config by id, and has no other reference by name.
  const credentials = container.Privileges?.CredentialSpec
  const runtime = configs.find((ref) => ref.Runtime !== undefined)
  if (credentials?.Config && runtime?.ConfigName === credentials.Config) {
    credentials.Config = runtime.ConfigID
  }
}

/** The id of a network by any name, as specs hold it. @throws SwarmctlError for an unknown one */
export const knownNetworkId = async (client: Client, ref: string): Promise<string> => {
  if (ref === '') throw new SwarmctlError('INVALID_ARGUMENT', 'the name of a network is empty')
  const { Id } = await client.call<{ Id: string }>({
    path: `/networks/${encodeURIComponent(ref)}`,
    query: { scope: 'swarm' },
  })
  return Id
}

/** The id of a network by any name; an unknown one stays as it is and the daemon refuses it. */
const networkId = (client: Client, ref: string): Promise<string> =>
  knownNetworkId(client, ref).catch(() => ref)

/** Ids in place of the networks' names, so that one that is attached already is not attached again. */
export const resolveNetworks = async (client: Client, draft: Draft): Promise<void> => {
  const byId = new Map<string, NetworkAttachmentConfig>()
  for (const network of draft.task.Networks ?? []) {
    const id = await networkId(client, network.Target)
    byId.set(id, { ...network, Target: id })
  }
  draft.task.Networks = [...byId.values()]
}
