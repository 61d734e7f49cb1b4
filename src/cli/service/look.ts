import { UPDATE_DEFAULTS } from '../../api/defaults.ts'
import type { Node } from '../../api/node.ts'
import type { Service } from '../../api/service.ts'
import type { Task } from '../../api/task.ts'
import type { CliContext } from '../context.ts'
import { type Convergence, convergence } from './convergence.ts'
import { durationNs } from './flag-values.ts'

/** How often the daemon is asked of a service that is waited for (Docker's too). */
export const POLL_MS = 200
const NS_PER_MS = 1e6

/** What one look at a service that is waited for shows. */
export interface Look {
  service: Service
  /** Those of its present spec. */
  tasks: Task[]
  now: Convergence
}

/** Looks where a service, by its id, stands on its way to what its spec says. */
export const look = async ({ client }: CliContext, id: string): Promise<Look> => {
  const service = await client.call<Service>({ path: `/services/${id}` })
  const filters = JSON.stringify({ service: { [id]: true }, '_up-to-date': { true: true } })
  const [tasks, nodes] = await Promise.all([
    client.call<Task[]>({ path: '/tasks', query: { filters } }),
    client.call<Node[]>({ path: '/nodes' }),
  ])
  return { service, tasks, now: convergence(service, tasks, nodes) }
}

/** How long, in milliseconds, all tasks have to run until the service counts as converged. */
export const stableMs = (service: Service): number =>
  (service.Spec.UpdateConfig?.Monitor || UPDATE_DEFAULTS.monitorNs) / NS_PER_MS

/** `--wait-limit` in milliseconds; Infinity without one. Thrown: SwarmctlError INVALID_ARGUMENT. */
export const waitLimitMs = (waitLimit: string | undefined): number =>
  waitLimit === undefined
    ? Number.POSITIVE_INFINITY
    : durationNs('--wait-limit', waitLimit) / NS_PER_MS
