import { UPDATE_DEFAULTS } from '../../api/defaults.ts'
import { SwarmctlError } from '../../api/errors.ts'
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

/** A config that is there without parallelism means all tasks at once; who sets another field of it does not ask for that. */
const CHANGE_CONFIG: UpdateConfig = { Parallelism: UPDATE_DEFAULTS.parallelism }

/** A spec that flags write into. Every accessor makes what is not there yet. */
export class Draft {
  readonly spec: ServiceSpec

  /** What flags of this command line have set, by flag and key. */
  readonly #claimed = new Set<string>()

  constructor(spec: ServiceSpec) {
    this.spec = spec
  }

  /** Says that a flag of a list sets the member of this key. @throws SwarmctlError when it did before: one of the two would be lost */
  claim(flag: string, value: string, key: string): void {
    const claim = `${flag} ${key}`
    if (this.#claimed.has(claim)) {
      throw new SwarmctlError('INVALID_ARGUMENT', `${flag} ${value}: ${key} was given before`)
    }
    this.#claimed.add(claim)
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
    // Who says how health is checked does not want it unchecked any longer.
    if (this.container.Healthcheck?.Test?.[0] === 'NONE') delete this.container.Healthcheck.Test
    this.container.Healthcheck ??= {}
    return this.container.Healthcheck
  }

  get update(): UpdateConfig {
    this.spec.UpdateConfig ??= { ...CHANGE_CONFIG }
    return this.spec.UpdateConfig
  }

  get rollback(): UpdateConfig {
    this.spec.RollbackConfig ??= { ...CHANGE_CONFIG }
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
