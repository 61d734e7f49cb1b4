import {
  DRAIN_LIMIT_NS,
  RESTART_DEFAULTS,
  STOP_GRACE_PERIOD_NS,
  UPDATE_DEFAULTS,
} from './defaults.ts'
import type { EndpointSpec, RestartPolicy, ServiceSpec, UpdateConfig } from './service-spec.ts'

/** A copy of the spec with every default filled in, as `GET /services/{id}?insertDefaults=true` shows it. */
export const withServiceDefaults = (spec: ServiceSpec): ServiceSpec => ({
  ...spec,
  TaskTemplate: {
    ...spec.TaskTemplate,
    ...(spec.TaskTemplate.ContainerSpec && {
      ContainerSpec: {
        ...spec.TaskTemplate.ContainerSpec,
        StopGracePeriod: spec.TaskTemplate.ContainerSpec.StopGracePeriod ?? STOP_GRACE_PERIOD_NS,
        DNSConfig: spec.TaskTemplate.ContainerSpec.DNSConfig ?? {},
      },
    }),
    Resources: spec.TaskTemplate.Resources ?? {},
    RestartPolicy: withRestartDefaults(spec.TaskTemplate.RestartPolicy),
    Placement: spec.TaskTemplate.Placement ?? {},
  },
  UpdateConfig: withUpdateDefaults(spec.UpdateConfig),
  RollbackConfig: withUpdateDefaults(spec.RollbackConfig),
  EndpointSpec: { ...spec.EndpointSpec, Mode: spec.EndpointSpec?.Mode ?? 'vip' },
  Swarmctl: { ...spec.Swarmctl, DrainLimit: spec.Swarmctl?.DrainLimit ?? DRAIN_LIMIT_NS },
})

export const withRestartDefaults = (policy: RestartPolicy = {}): Required<RestartPolicy> => ({
  Condition: policy.Condition ?? RESTART_DEFAULTS.condition,
  Delay: policy.Delay ?? RESTART_DEFAULTS.delayNs,
  MaxAttempts: policy.MaxAttempts ?? RESTART_DEFAULTS.maxAttempts,
  Window: policy.Window ?? RESTART_DEFAULTS.windowNs,
})

type WholeUpdateConfig = { [K in keyof UpdateConfig]-?: NonNullable<UpdateConfig[K]> }

/** An absent config has parallelism 1; a present one without parallelism has 0, all at once, as Docker's. */
export const withUpdateDefaults = (config?: UpdateConfig): WholeUpdateConfig => ({
  Parallelism: config === undefined ? UPDATE_DEFAULTS.parallelism : (config.Parallelism ?? 0),
  Delay: config?.Delay ?? UPDATE_DEFAULTS.delayNs,
  FailureAction: config?.FailureAction ?? UPDATE_DEFAULTS.failureAction,
  // Docker's clients leave a zero out, so that it can't be asked for there.
  Monitor: config?.Monitor || UPDATE_DEFAULTS.monitorNs,
  MaxFailureRatio: config?.MaxFailureRatio ?? UPDATE_DEFAULTS.maxFailureRatio,
  Order: config?.Order ?? UPDATE_DEFAULTS.order,
})

/** Whether the service runs to completion. */
export const isJob = (spec: ServiceSpec): boolean =>
  spec.Mode?.ReplicatedJob !== undefined || spec.Mode?.GlobalJob !== undefined

/** Whether the routing mesh serves any of these ports: the service is attached to the ingress network then. */
export const needsIngress = (endpoint: EndpointSpec | undefined): boolean =>
  (endpoint?.Ports ?? []).some((port) => port.PublishMode === 'ingress')
