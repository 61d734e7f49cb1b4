import type {
  DeployConfig,
  GenericResource,
  PlacementConfig,
  RestartPolicyConfig,
  UpdateConfig,
} from '../config.ts'
import { parseBytes } from '../parse/bytes.ts'
import { parseDuration } from '../parse/duration.ts'
import { present } from '../present.ts'
import { readDeviceRequest } from './engine.ts'
import type { Fields } from './fields.ts'

/** `services.*.deploy` from its checked tree. */
export const readDeploy = (deploy: Fields): DeployConfig =>
  present<DeployConfig>({
    mode: deploy.text('mode'),
    replicas: deploy.count('replicas'),
    labels: deploy.labels('labels'),
    update_config: readUpdate(deploy.fields('update_config')),
    rollback_config: readUpdate(deploy.fields('rollback_config')),
    resources: readResources(deploy.fields('resources')),
    restart_policy: readRestartPolicy(deploy.fields('restart_policy')),
    placement: readPlacement(deploy.fields('placement')),
    endpoint_mode: deploy.text('endpoint_mode'),
  })

const readUpdate = (update: Fields | undefined): UpdateConfig | undefined =>
  update &&
  present<UpdateConfig>({
    parallelism: update.count('parallelism'),
    delay: update.parsed('delay', parseDuration),
    failure_action: update.text('failure_action'),
    monitor: update.parsed('monitor', parseDuration),
    max_failure_ratio: update.number('max_failure_ratio'),
    order: update.text('order'),
  })

const readResources = (resources: Fields | undefined): DeployConfig['resources'] => {
  if (resources === undefined) return undefined
  const limits = resources.fields('limits')
  const reservations = resources.fields('reservations')
  return present<NonNullable<DeployConfig['resources']>>({
    limits:
      limits &&
      present({
        cpus: limits.scalar('cpus'),
        memory: limits.parsed('memory', parseBytes),
        pids: limits.number('pids'),
      }),
    reservations:
      reservations &&
      present({
        cpus: reservations.scalar('cpus'),
        memory: reservations.parsed('memory', parseBytes),
        generic_resources: reservations.records('generic_resources')?.map(readGenericResource),
        devices: reservations.records('devices')?.map(readDeviceRequest),
      }),
  })
}

const readGenericResource = (resource: Fields): GenericResource => {
  const discrete = resource.fields('discrete_resource_spec')
  if (discrete === undefined) return {}
  return {
    discrete_resource_spec: {
      kind: discrete.text('kind') ?? '',
      value: Math.trunc(discrete.number('value') ?? 0),
    },
  }
}

const readRestartPolicy = (policy: Fields | undefined): RestartPolicyConfig | undefined =>
  policy &&
  present<RestartPolicyConfig>({
    condition: policy.text('condition'),
    delay: policy.parsed('delay', parseDuration),
    max_attempts: policy.count('max_attempts'),
    window: policy.parsed('window', parseDuration),
  })

const readPlacement = (placement: Fields | undefined): PlacementConfig | undefined =>
  placement &&
  present<PlacementConfig>({
    constraints: placement.texts('constraints'),
    preferences: placement
      .records('preferences')
      ?.map((preference) => present<{ spread?: string }>({ spread: preference.text('spread') })),
    max_replicas_per_node: placement.count('max_replicas_per_node'),
  })
