import type { ContainerExtension } from '../container-extension.ts'
import { invalid } from '../errors.ts'
import { isJob } from '../service-defaults.ts'
import type { ContainerSpec, ResourceRequirements, ServiceSpec } from '../service-spec.ts'

/** `driver=…` words that the Engine knows; anything else would only fail on the node. */
const SECURITY_OPTION =
  /^(no-new-privileges|(label|apparmor|seccomp|systempaths|no-new-privileges|writable-cgroups)[=:].*)/s

/** What Docker's bodies can't say, as far as it can be known to be wrong. @throws SwarmctlError INVALID_ARGUMENT */
export const requireContainerExtension = (
  { Swarmctl = {}, Mounts = [] }: ContainerSpec,
  resources: ResourceRequirements,
): void => {
  requirePaths(Swarmctl, Mounts)
  for (const option of Swarmctl.SecurityOpt ?? []) {
    if (!SECURITY_OPTION.test(option)) {
      throw invalid(`ContainerSpec.Swarmctl: invalid security option "${option}"`)
    }
  }
  for (const { Count = 0, DeviceIDs = [] } of Swarmctl.DeviceRequests ?? []) {
    if (Count !== 0 && DeviceIDs.length > 0) {
      throw invalid('ContainerSpec.Swarmctl: a device request has a Count or DeviceIDs, not both')
    }
  }
  if (resources.Limits?.NanoCPUs && (Swarmctl.CpuQuota || Swarmctl.CpuPeriod)) {
    throw invalid(
      'ContainerSpec.Swarmctl: CpuQuota and CpuPeriod conflict with a limit of NanoCPUs',
    )
  }
}

const requirePaths = (
  { Tmpfs = {}, Devices = [] }: ContainerExtension,
  mounts: NonNullable<ContainerSpec['Mounts']>,
): void => {
  const targets = new Set(mounts.map(({ Target }) => Target))
  for (const path of Object.keys(Tmpfs)) {
    if (!path.startsWith('/')) {
      throw invalid(`ContainerSpec.Swarmctl: invalid tmpfs "${path}": an absolute path is needed`)
    }
    if (targets.has(path)) throw invalid(`ContainerSpec: duplicate mount point: ${path}`)
  }
  for (const { PathOnHost, PathInContainer, CgroupPermissions } of Devices) {
    if (!PathOnHost.startsWith('/') || !PathInContainer.startsWith('/')) {
      throw invalid(`ContainerSpec.Swarmctl: device "${PathOnHost}": absolute paths are needed`)
    }
    if (!/^[rwm]{1,3}$/.test(CgroupPermissions)) {
      throw invalid(
        `ContainerSpec.Swarmctl: device "${PathOnHost}": permissions are of r, w and m, not "${CgroupPermissions}"`,
      )
    }
  }
}

/** A task's own address can be had once: by one task, after its predecessor. @throws SwarmctlError INVALID_ARGUMENT */
export const requireFixedAddresses = (spec: ServiceSpec): void => {
  const fixed = (spec.TaskTemplate.Networks ?? []).find(
    ({ Swarmctl }) => Swarmctl?.IPv4Address !== undefined,
  )?.Swarmctl?.IPv4Address
  if (fixed === undefined) return
  const mostReplicas = spec.Swarmctl?.Autoscale?.Max ?? spec.Mode?.Replicated?.Replicas ?? 1
  const isOne = spec.Mode?.Replicated !== undefined && mostReplicas <= 1
  if (!isOne || isJob(spec)) {
    throw invalid(`the address ${fixed} is for one task: the service must have one replica at most`)
  }
  for (const config of [spec.UpdateConfig, spec.RollbackConfig]) {
    if (config?.Order === 'start-first') {
      throw invalid(
        `the address ${fixed} is free only when its task has ended: not with start-first`,
      )
    }
  }
}
