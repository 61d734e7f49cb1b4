import { isOlder } from './api-version.ts'

/**
 * Fields of a service spec that the Engine API got later (its version history). A client that speaks an older version can't mean them:
 * as the Engine does, they are taken off its requests.
 */
const SINCE: readonly [version: string, path: string][] = [
  ['1.40', 'TaskTemplate.ContainerSpec.Sysctls'],
  ['1.40', 'TaskTemplate.Placement.MaxReplicas'],
  ['1.40', 'TaskTemplate.ContainerSpec.Privileges.CredentialSpec.Config'],
  ['1.40', 'TaskTemplate.ContainerSpec.Configs.*.Runtime'],
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
  ['1.46', 'TaskTemplate.ContainerSpec.Mounts.*.TmpfsOptions.Options'],
  ['1.52', 'TaskTemplate.Resources.SwapBytes'],
  ['1.52', 'TaskTemplate.Resources.MemorySwappiness'],
]

const without = (value: unknown, [key = '', ...rest]: string[]): unknown => {
  if (key === '*') return Array.isArray(value) ? value.map((each) => without(each, rest)) : value
  if (typeof value !== 'object' || value === null) return value
  if (!Object.hasOwn(value, key)) return value
  const { [key]: child, ...others } = value as Record<string, unknown>
  return rest.length === 0 ? others : { ...value, [key]: without(child, rest) }
}

const INIT_SINCE: readonly [version: string, path: string][] = [
  ['1.39', 'DefaultAddrPool'],
  ['1.39', 'SubnetSize'],
  ['1.40', 'DataPathPort'],
]

const withoutNewer = (
  since: readonly [version: string, path: string][],
  body: unknown,
  version: string | undefined,
): unknown =>
  since
    .filter(([first]) => isOlder(version, first))
    .reduce((rest, [, path]) => without(rest, path.split('.')), body)

/** A copy of the body of `POST /swarm/init` without what `version` of the API does not have. */
export const withoutNewerInit = (body: unknown, version: string | undefined): unknown =>
  withoutNewer(INIT_SINCE, body, version)

/** A copy of a service spec without what `version` of the API does not have. */
export const withoutNewerFields = (spec: unknown, version: string | undefined): unknown =>
  withoutNewer(SINCE, spec, version)
