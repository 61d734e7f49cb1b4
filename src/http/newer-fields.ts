import { compareApiVersions } from './api-version.ts'

/**
 * Fields of a service spec that the Engine API got later (its version history). A client that speaks an older version can't mean them:
 * as the Engine does, they are taken off its requests.
 */
const SINCE: readonly [version: string, path: string][] = [
  ['1.40', 'TaskTemplate.ContainerSpec.Sysctls'],
  ['1.40', 'TaskTemplate.Placement.MaxReplicas'],
  ['1.41', 'TaskTemplate.ContainerSpec.CapabilityAdd'],
  ['1.41', 'TaskTemplate.ContainerSpec.CapabilityDrop'],
  ['1.41', 'TaskTemplate.ContainerSpec.Ulimits'],
  ['1.41', 'TaskTemplate.Resources.Limits.Pids'],
  ['1.41', 'Mode.ReplicatedJob'],
  ['1.41', 'Mode.GlobalJob'],
  ['1.44', 'TaskTemplate.ContainerSpec.Healthcheck.StartInterval'],
  ['1.44', 'TaskTemplate.ContainerSpec.Privileges.Seccomp'],
  ['1.44', 'TaskTemplate.ContainerSpec.Privileges.AppArmor'],
  ['1.44', 'TaskTemplate.ContainerSpec.Privileges.NoNewPrivileges'],
  ['1.46', 'TaskTemplate.ContainerSpec.OomScoreAdj'],
  ['1.52', 'TaskTemplate.Resources.SwapBytes'],
  ['1.52', 'TaskTemplate.Resources.MemorySwappiness'],
]

const without = (value: unknown, [key = '', ...rest]: string[]): unknown => {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return value
  const { [key]: child, ...others } = value as Record<string, unknown>
  return rest.length === 0 ? others : { ...others, [key]: without(child, rest) }
}

/** A copy of a service spec without what `version` of the API does not have. */
export const withoutNewerFields = (spec: unknown, version: string): unknown =>
  SINCE.filter(([since]) => compareApiVersions(version, since) < 0).reduce(
    (rest, [, path]) => without(rest, path.split('.')),
    spec,
  )
