import { createHash } from 'node:crypto'
import { SwarmctlError } from '../../api/errors.ts'
import type { ConfigReference, SecretReference, ServiceSpec } from '../../api/service-spec.ts'
import type { FileObjectConfig, FileReference, StackConfig } from '../config.ts'
import { compareText } from '../present.ts'
import { StackFileProblem } from '../stack-error.ts'
import type { Path } from '../value.ts'
import { clusterName } from './namespace.ts'

type Kind = 'secrets' | 'configs'

/**
 * Stands for an id where no cluster was asked: 25 characters that depend on kind and name only, so that two conversions of a file
 * are equal. `bindReferences` puts the real ids in before anything is sent.
 */
export const placeholderId = (kind: Kind, name: string): string =>
  createHash('sha256').update(`${kind}:${name}`).digest('hex').slice(0, ID_LENGTH)

const ID_LENGTH = 25
const DEFAULT_MODE = 0o444

/** A service's secrets, in the order of their names in the cluster. */
export const convertSecretReferences = (
  key: string,
  config: StackConfig,
  namespace: string,
): SecretReference[] =>
  fileReferences('secrets', key, config, namespace).map(({ name, file }) => ({
    File: file,
    SecretID: placeholderId('secrets', name),
    SecretName: name,
  }))

/** A service's configs, and the one that its credential spec is in, in the order of their names in the cluster. */
export const convertConfigReferences = (
  key: string,
  config: StackConfig,
  namespace: string,
): ConfigReference[] => {
  const references = fileReferences('configs', key, config, namespace).map(
    ({ name, file }): ConfigReference => ({
      File: file,
      ConfigID: placeholderId('configs', name),
      ConfigName: name,
    }),
  )
  const credential = config.services[key]?.credential_spec?.config
  if (credential !== undefined) {
    const place = { key, field: 'credential_spec', source: credential }
    const name = referencedName('configs', place, config, namespace)
    references.push({ Runtime: {}, ConfigID: placeholderId('configs', name), ConfigName: name })
  }
  return references.sort((a, b) => compareText(a.ConfigName, b.ConfigName))
}

interface Reference {
  name: string
  file: { Name: string; UID: string; GID: string; Mode: number }
}

const fileReferences = (
  kind: Kind,
  key: string,
  config: StackConfig,
  namespace: string,
): Reference[] => {
  const references: readonly FileReference[] = config.services[key]?.[kind] ?? []
  const found = references
    .map(({ source, target, uid, gid, mode }) => ({
      name: referencedName(kind, { key, field: kind, source }, config, namespace),
      file: {
        Name: target || source,
        UID: uid || '0',
        GID: gid || '0',
        Mode: mode ?? DEFAULT_MODE,
      },
    }))
    .sort((a, b) => compareText(a.name, b.name))
  requireOwnTargets(['services', key, kind], kind, found)
  return found
}

/** Two of them at one path would hide one. */
const requireOwnTargets = (place: Path, kind: Kind, references: readonly Reference[]): void => {
  const seen = new Set<string>()
  for (const { name, file } of references) {
    if (seen.has(file.Name)) {
      const text = `the target ${file.Name} is given twice, for ${name} again: give each ${kind.slice(0, -1)} its own`
      throw new StackFileProblem(place, text)
    }
    seen.add(file.Name)
  }
}

const referencedName = (
  kind: Kind,
  place: { key: string; field: string; source: string },
  config: StackConfig,
  namespace: string,
): string => {
  const objects: Readonly<Record<string, FileObjectConfig>> = config[kind]
  if (!Object.hasOwn(objects, place.source)) {
    throw new StackFileProblem(
      ['services', place.key, place.field],
      `undefined ${kind.slice(0, -1)} "${place.source}"`,
    )
  }
  return clusterName(namespace, place.source, objects[place.source])
}

/** Ids by name of the secrets and configs that exist in the cluster. */
export interface ReferenceIds {
  secrets: ReadonlyMap<string, string>
  configs: ReadonlyMap<string, string>
}

/** `service` with the cluster's ids of its secrets and configs. Thrown: SwarmctlError NOT_FOUND for one that is not there. */
export const bindReferences = (service: ServiceSpec, ids: ReferenceIds): ServiceSpec => {
  const container = service.TaskTemplate.ContainerSpec
  if (container === undefined) return service
  const idOf = (kind: Kind, name: string): string => {
    const id = ids[kind].get(name)
    if (id !== undefined) return id
    const text = `service ${service.Name}: ${kind.slice(0, -1)} not found: ${name}`
    throw new SwarmctlError('NOT_FOUND', text)
  }
  const configs = container.Configs?.map((reference) => ({
    ...reference,
    ConfigID: idOf('configs', reference.ConfigName),
  }))
  const secrets = container.Secrets?.map((reference) => ({
    ...reference,
    SecretID: idOf('secrets', reference.SecretName),
  }))
  const credential = configs?.find((reference) => reference.Runtime !== undefined)
  return {
    ...service,
    TaskTemplate: {
      ...service.TaskTemplate,
      ContainerSpec: {
        ...container,
        ...(configs && { Configs: configs }),
        ...(secrets && { Secrets: secrets }),
        ...(credential && {
          Privileges: {
            ...container.Privileges,
            CredentialSpec: { Config: credential.ConfigID },
          },
        }),
      },
    },
  }
}
