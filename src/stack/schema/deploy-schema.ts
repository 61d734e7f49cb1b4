import { parseDuration } from '../parse/duration.ts'
import {
  checked,
  choice,
  either,
  integer,
  list,
  number,
  pairs,
  record,
  scalar,
  since,
  string,
} from './schema.ts'

/** `30s`, `1m30s`: Go's duration format. */
export const duration = checked((text) => void parseDuration(text), 'string')

const updateConfig = record({
  parallelism: integer,
  delay: duration,
  failure_action: string,
  monitor: duration,
  max_failure_ratio: number,
  order: since('3.4', choice('start-first', 'stop-first')),
})

const genericResources = list(
  record({ discrete_resource_spec: record({ kind: string, value: number }) }),
)

const resources = record({
  limits: record({ cpus: string, memory: string, pids: since('3.9', integer) }),
  reservations: record({
    cpus: string,
    memory: string,
    generic_resources: since('3.5', genericResources),
  }),
})

const placement = record({
  constraints: list(string),
  preferences: since('3.3', list(record({ spread: string }))),
  max_replicas_per_node: since('3.8', integer),
})

/** `services.*.deploy`. */
export const deploySchema = either(
  scalar('null'),
  record({
    mode: string,
    endpoint_mode: since('3.2', string),
    replicas: integer,
    labels: pairs,
    rollback_config: since('3.7', updateConfig),
    update_config: updateConfig,
    resources,
    restart_policy: record({
      condition: string,
      delay: duration,
      max_attempts: integer,
      window: duration,
    }),
    placement,
  }),
)
