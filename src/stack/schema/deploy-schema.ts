import { parseCpus } from '../parse/cpus.ts'
import { parseDeviceCount } from '../parse/device.ts'
import { parseDuration } from '../parse/duration.ts'
import { integer, number, pairs, string, stringList } from './field-types.ts'
import { checked, choice, either, list, record, scalar } from './schema.ts'

/** `30s`, `1m30s`: Go's duration format. */
export const duration = checked((text) => void parseDuration(text), 'string')

const updateConfig = record({
  parallelism: integer,
  delay: duration,
  failure_action: string,
  monitor: duration,
  max_failure_ratio: number,
  order: choice('start-first', 'stop-first'),
})

const genericResources = list(
  record({ discrete_resource_spec: record({ kind: string, value: number }) }),
)

/** `0.5`, also as a number; empty is as if it were not there. */
export const cpus = checked((text) => void (text && parseCpus(text)), 'number', 'string')

/** One of `gpus` and of reserved `devices`. */
export const deviceRequest = {
  capabilities: stringList,
  count: checked((text) => void parseDeviceCount(text), 'integer', 'string'),
  device_ids: stringList,
  driver: string,
  options: pairs,
}

const resources = record({
  limits: record({ cpus, memory: string, pids: integer }),
  reservations: record({
    cpus,
    memory: string,
    generic_resources: genericResources,
    devices: list(record(deviceRequest, { required: ['capabilities'] })),
  }),
})

const placement = record({
  constraints: list(string),
  preferences: list(record({ spread: string })),
  max_replicas_per_node: integer,
})

/** `services.*.deploy`. */
export const deploySchema = either(
  scalar('null'),
  record({
    mode: string,
    endpoint_mode: string,
    replicas: integer,
    labels: pairs,
    rollback_config: updateConfig,
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
