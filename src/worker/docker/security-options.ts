import type { ContainerSpec } from '../../api/service-spec.ts'

/** HostConfig.SecurityOpt of a spec's privileges (swarmkit `dockerapi` and moby `executor/container/container.go`). */
export const securityOptions = (spec: ContainerSpec): string[] => {
  const { SELinuxContext, Seccomp, AppArmor, NoNewPrivileges } = spec.Privileges ?? {}
  const options: string[] = []
  if (NoNewPrivileges === true) options.push('no-new-privileges=true')
  if (SELinuxContext?.Disable === true) options.push('label=disable')
  for (const key of ['User', 'Role', 'Type', 'Level'] as const) {
    const value = SELinuxContext?.[key]
    if (value) options.push(`label=${key.toLowerCase()}:${value}`)
  }
  if (Seccomp?.Mode === 'unconfined') options.push('seccomp=unconfined')
  // A custom profile is JSON, in base64 as every byte slice of the API.
  if (Seccomp?.Mode === 'custom' && Seccomp.Profile)
    options.push(`seccomp=${Buffer.from(Seccomp.Profile, 'base64').toString('utf8')}`)
  if (AppArmor?.Mode === 'disabled') options.push('apparmor=unconfined')
  return [...options, ...(spec.Swarmctl?.SecurityOpt ?? [])]
}
