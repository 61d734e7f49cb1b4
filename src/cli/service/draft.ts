import type {
  ContainerSpec,
  Healthcheck,
  Placement,
  ResourceRequirements,
  RestartPolicy,
  ServiceExtension,
  ServiceSpec,
  TaskSpec,
  UpdateConfig,
} from '../../api/service-spec.ts'

/** A spec that flags write into. Every accessor makes what is not there yet. */
export class Draft {
  readonly spec: ServiceSpec

  constructor(spec: ServiceSpec) {
    this.spec = spec
  }

  get task(): TaskSpec {
    return this.spec.TaskTemplate
  }

  get container(): ContainerSpec {
    this.task.ContainerSpec ??= { Image: '' }
    return this.task.ContainerSpec
  }

  get resources(): ResourceRequirements {
    this.task.Resources ??= {}
    return this.task.Resources
  }

  get limits(): NonNullable<ResourceRequirements['Limits']> {
    this.resources.Limits ??= {}
    return this.resources.Limits
  }

  get reservations(): NonNullable<ResourceRequirements['Reservations']> {
    this.resources.Reservations ??= {}
    return this.resources.Reservations
  }

  get restart(): RestartPolicy {
    this.task.RestartPolicy ??= {}
    return this.task.RestartPolicy
  }

  get placement(): Placement {
    this.task.Placement ??= {}
    return this.task.Placement
  }

  get health(): Healthcheck {
    this.container.Healthcheck ??= {}
    return this.container.Healthcheck
  }

  get update(): UpdateConfig {
    this.spec.UpdateConfig ??= {}
    return this.spec.UpdateConfig
  }

  get rollback(): UpdateConfig {
    this.spec.RollbackConfig ??= {}
    return this.spec.RollbackConfig
  }

  get endpoint(): NonNullable<ServiceSpec['EndpointSpec']> {
    this.spec.EndpointSpec ??= {}
    return this.spec.EndpointSpec
  }

  get extension(): ServiceExtension {
    this.spec.Swarmctl ??= {}
    return this.spec.Swarmctl
  }
}

/** An empty spec, as `service create` starts from. */
export const emptySpec = (): ServiceSpec => ({ Name: '', Labels: {}, TaskTemplate: {} })
