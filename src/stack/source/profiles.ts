import type { ServiceConfig, StackConfig } from '../config.ts'
import { inFile, StackFileProblem } from '../stack-error.ts'

/** The stack without services of which no profile is active; `*` makes all active. Thrown: SwarmctlError for one that is needed. */
export const withProfiles = (config: StackConfig, active: readonly string[]): StackConfig => {
  const isActive = ({ profiles = [] }: ServiceConfig): boolean =>
    profiles.length === 0 ||
    active.includes('*') ||
    profiles.some((profile) => active.includes(profile))
  const kept = Object.entries(config.services).filter(([, service]) => isActive(service))
  const services = Object.fromEntries(kept)
  return inFile(config.locations, () => {
    for (const [name, service] of kept) {
      for (const [needed, { required }] of Object.entries(service.depends_on ?? {})) {
        const missing = Object.hasOwn(services, needed) ? undefined : config.services[needed]
        if (missing === undefined || required === false) continue
        const profiles = (missing.profiles ?? []).join(', ')
        const text = `${needed} is in no active profile: name one of ${profiles} with --profile`
        throw new StackFileProblem(['services', name, 'depends_on'], text)
      }
    }
    return { ...config, services }
  })
}
