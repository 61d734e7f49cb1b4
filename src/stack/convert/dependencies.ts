import type { ServiceExtension } from '../../api/service-spec.ts'
import type { DependencyConfig, ServiceConfig, StackConfig } from '../config.ts'
import { StackFileProblem } from '../stack-error.ts'
import { clusterName } from './namespace.ts'

/**
 * `depends_on` as the API has it. A service that is not there is left out where the list form names it, as Docker does, or where it is not
 * required. Thrown: StackFileProblem for one that is missing, and for services that wait for each other.
 */
export const convertDependencies = (
  key: string,
  config: StackConfig,
  namespace: string,
): ServiceExtension['DependsOn'] => {
  const dependencies = Object.entries(config.services[key]?.depends_on ?? {}).filter(
    ([name, dependency]) => isThere(key, name, dependency, config),
  )
  requireNoCircle(key, config)
  for (const [name, { condition }] of dependencies) requireEnd(key, name, condition, config)
  if (dependencies.length === 0) return undefined
  return dependencies.map(([name, { condition, required }]) => ({
    Service: clusterName(namespace, name),
    Condition: condition,
    ...(required === false && { Required: false }),
  }))
}

/** A job with a schedule runs again and again, and not because of a deployment. Thrown: StackFileProblem. */
const requireEnd = (
  key: string,
  name: string,
  condition: DependencyConfig['condition'],
  config: StackConfig,
): void => {
  const hasSchedule = config.services[name]?.swarmctl?.Schedule !== undefined
  if (condition !== 'service_completed_successfully' || !hasSchedule) return
  throw new StackFileProblem(
    ['services', key, 'depends_on', name],
    `${name} has a schedule: a deployment can't wait until it completes`,
  )
}

const isThere = (
  key: string,
  name: string,
  { condition, required }: DependencyConfig,
  config: StackConfig,
): boolean => {
  if (Object.hasOwn(config.services, name)) return true
  if (required === false || condition === 'service_started') return false
  throw new StackFileProblem(
    ['services', key, 'depends_on', name],
    `there is no service ${name}: define it, or say required: false`,
  )
}

/** Services that only start in an order may name each other, as Docker lets them; those that wait may not. */
const requireNoCircle = (start: string, config: StackConfig): void => {
  const seen = new Set<string>()
  const visit = (key: string, path: readonly string[]): void => {
    if (seen.has(key)) return
    seen.add(key)
    for (const [name, { condition }] of Object.entries(config.services[key]?.depends_on ?? {})) {
      if (condition === 'service_started' || !Object.hasOwn(config.services, name)) continue
      if (name === start) {
        const circle = [...path, key, name].join(' → ')
        throw new StackFileProblem(
          ['services', start, 'depends_on'],
          `services wait for each other: ${circle}`,
        )
      }
      visit(name, [...path, key])
    }
  }
  visit(start, [])
}

/** Whether others of the stack wait for the service to complete, and nothing says how it runs: it then is a job. */
export const isAwaitedJob = (key: string, config: StackConfig): boolean => {
  const { deploy, restart }: ServiceConfig = config.services[key] ?? {}
  if (deploy?.mode !== undefined) return false
  const condition = deploy?.restart_policy?.condition ?? restart ?? 'no'
  if (!/^(no|none|on-failure(:\d+)?)$/.test(condition)) return false
  return Object.values(config.services).some(
    ({ depends_on }) => depends_on?.[key]?.condition === 'service_completed_successfully',
  )
}
