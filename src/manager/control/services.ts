import { timestamp } from '../../api/clock.ts'
import { invalid, precondition, SwarmctlError } from '../../api/errors.ts'
import {
  type Filters,
  matchesAny,
  matchesLabels,
  matchesPrefix,
  requireFilterKeys,
} from '../../api/filters.ts'
import { withReplicasOf } from '../../api/replicas.ts'
import type { Service } from '../../api/service.ts'
import { isJob, withServiceDefaults } from '../../api/service-defaults.ts'
import type { ServiceSpec } from '../../api/service-spec.ts'
import { parseServiceRequest, type ServiceRequest } from '../../api/validate/service.ts'
import { requireFreePorts } from '../allocator/free-ports.ts'
import { encodeObject } from '../store/codec.ts'
import { SERVICE_SPEC_BYTES_MAX } from '../store/limits.ts'
import { newMeta } from '../store/new-meta.ts'
import { THIS_TRANSACTION } from '../store/this-transaction.ts'
import { type ControlDeps, type ReadOptions, readView, requireVersion } from './context.ts'
import { afterUpdate, newJobStatus, newScheduleStatus, scheduleLoss } from './job-status.ts'
import { withKeptExtensions } from './kept-extensions.ts'
import { redactService } from './redact.ts'
import { find, resolve } from './resolve.ts'
import { ignoredOptions, resolveReferences } from './service-references.ts'
import { serviceStatus } from './service-status.ts'

export interface CreateServiceOptions {
  /** The X-Registry-Auth header. */
  registryAuth?: string
}

export interface UpdateServiceOptions extends CreateServiceOptions {
  /** Whose credentials stay in force when the request brings none; default `spec`. */
  registryAuthFrom?: 'spec' | 'previous-spec'
  /** `previous`: swap the current and the previous spec; the request's spec is not looked at. */
  rollback?: 'previous' | 'none'
  /** The client speaks a version of Docker's API, which has no `Swarmctl`: where it sends none, what is in force stays. */
  keepsExtensions?: boolean
}

const FILTER_KEYS = ['id', 'label', 'mode', 'name', 'runtime'] as const
type ModeName = 'replicated' | 'global' | 'replicated-job' | 'global-job'

/** The verbs of `/services`. */
export class Services {
  readonly #deps: ControlDeps

  constructor(deps: ControlDeps) {
    this.#deps = deps
  }

  async create(
    body: unknown,
    options: CreateServiceOptions,
  ): Promise<{ ID: string; Warnings: string[] }> {
    const { store, clock, newId } = this.#deps
    const now = timestamp(clock)
    const { spec: asked, warnings } = parseServiceRequest(body)
    const spec = withCredentials(asked, options.registryAuth)
    requireSize(spec)
    const id = newId()
    const ignored = await store.update((tx) => {
      requireFreePorts(tx, spec, id)
      tx.put('service', {
        ...newMeta(id),
        Spec: resolveReferences(tx, spec),
        Endpoint: { Spec: {} },
        ...newJobStatus(spec, now),
        Swarmctl: { SpecVersion: THIS_TRANSACTION, ...newScheduleStatus(spec, now) },
      })
      return ignoredOptions(tx, spec)
    })
    return { ID: id, Warnings: [...warnings, ...ignored] }
  }

  async update(
    reference: string,
    version: number,
    body: unknown,
    options: UpdateServiceOptions,
  ): Promise<{ Warnings: string[] }> {
    const request =
      options.rollback === 'previous'
        ? undefined
        : parseServiceRequest(await this.#wholeBody(reference, body, options))
    const now = timestamp(this.#deps.clock)
    const losses = await this.#deps.store.update((tx) => {
      const service = resolve(tx, 'service', reference)
      requireVersion(version, service.Swarmctl.SpecVersion, service.Version.Index)
      const changed =
        request === undefined
          ? swapSpecs(service, now)
          : replaceSpec(service, askedSpec(service, request, options))
      // What comes back was taken once, maybe before there was this limit.
      if (request !== undefined) requireSize(changed.Spec)
      requireFreePorts(tx, changed.Spec, service.ID)
      tx.put('service', {
        ...afterUpdate(service, changed, now),
        Spec: resolveReferences(tx, changed.Spec),
      })
      if (request === undefined) return []
      return [
        ...ignoredOptions(tx, changed.Spec),
        ...autoscalerLoss(service, request),
        ...scheduleLoss(service.Spec, request.spec),
      ]
    })
    return { Warnings: [...(request?.warnings ?? []), ...losses] }
  }

  /** What is kept is checked with the rest. That it is still what is in force, the request's version tells at the end. */
  async #wholeBody(
    reference: string,
    body: unknown,
    { keepsExtensions }: UpdateServiceOptions,
  ): Promise<unknown> {
    if (keepsExtensions !== true) return body
    const view = await readView(this.#deps)
    const { Spec } = resolve(view, 'service', reference)
    return withKeptExtensions(body, Spec, (name) => find(view, 'network', name)?.ID ?? name)
  }

  /** The orchestrator then drains, stops and removes the service's tasks. */
  async remove(reference: string): Promise<void> {
    await this.#deps.store.update((tx) => {
      tx.remove('service', resolve(tx, 'service', reference).ID)
    })
  }

  async get(
    reference: string,
    options: ReadOptions & { insertDefaults?: boolean },
  ): Promise<Service> {
    const view = await readView(this.#deps, options)
    const service = redactService(resolve(view, 'service', reference))
    return options.insertDefaults
      ? { ...service, Spec: withServiceDefaults(service.Spec) }
      : service
  }

  async list(filters: Filters, options: ReadOptions & { status?: boolean }): Promise<Service[]> {
    requireFilterKeys(filters, FILTER_KEYS)
    const view = await readView(this.#deps, options)
    return view
      .list('service')
      .filter(
        (service) =>
          matchesPrefix(filters.id, service.ID) &&
          matchesPrefix(filters.name, service.Spec.Name) &&
          matchesLabels(filters.label, service.Spec.Labels) &&
          matchesAny(filters.mode, modeName(service.Spec)) &&
          matchesAny(filters.runtime, 'container'),
      )
      .map((service) => ({
        ...redactService(service),
        ...(options.status && {
          ServiceStatus: serviceStatus(service, view.tasksByService(service.ID)),
        }),
      }))
  }
}

const modeName = ({ Mode }: ServiceSpec): ModeName => {
  if (Mode?.Global !== undefined) return 'global'
  if (Mode?.ReplicatedJob !== undefined) return 'replicated-job'
  return Mode?.GlobalJob !== undefined ? 'global-job' : 'replicated'
}

const withCredentials = (spec: ServiceSpec, registryAuth: string | undefined): ServiceSpec =>
  registryAuth === undefined || registryAuth === ''
    ? spec
    : {
        ...spec,
        TaskTemplate: { ...spec.TaskTemplate, PullOptions: { RegistryAuth: registryAuth } },
      }

/** The spec that an update asks for, with what it leaves as it is. */
const askedSpec = (
  service: Service,
  { spec, keepsReplicas }: ServiceRequest,
  options: UpdateServiceOptions,
): ServiceSpec =>
  withInheritedCredentials(
    service,
    keepsReplicas ? withReplicasOf(spec, service.Spec) : spec,
    options,
  )

/** An update that names no `Swarmctl`, by a path without a version of Docker's API, ends the service's autoscaling: that is told. */
const autoscalerLoss = ({ Spec }: Service, { spec }: ServiceRequest): string[] =>
  Spec.Swarmctl?.Autoscale !== undefined && spec.Swarmctl === undefined
    ? ['the request has no Swarmctl.Autoscale: the service is not scaled by demand any more']
    : []

/** Without a header the credentials in force stay, so that an update by a client that has none does not lose them. */
const withInheritedCredentials = (
  service: Service,
  spec: ServiceSpec,
  options: UpdateServiceOptions,
): ServiceSpec => {
  if (options.registryAuth) return withCredentials(spec, options.registryAuth)
  const source = options.registryAuthFrom === 'previous-spec' ? service.PreviousSpec : service.Spec
  if (source === undefined) throw precondition('service does not have a previous spec')
  return withCredentials(spec, source.TaskTemplate.PullOptions?.RegistryAuth)
}

const replaceSpec = (service: Service, spec: ServiceSpec): Service => {
  if (modeName(spec) !== modeName(service.Spec)) {
    throw new SwarmctlError('UNIMPLEMENTED', 'service mode change is not allowed')
  }
  if (spec.Name !== service.Spec.Name) {
    throw new SwarmctlError('UNIMPLEMENTED', 'renaming services is not supported')
  }
  // A new spec ends whatever update was going on.
  const { UpdateStatus: _, ...rest } = service
  const { Autoscaled, ...ours } = service.Swarmctl
  return {
    ...rest,
    Spec: spec,
    PreviousSpec: service.Spec,
    Swarmctl: {
      ...ours,
      ...(Autoscaled && spec.Swarmctl?.Autoscale && { Autoscaled }),
      SpecVersion: THIS_TRANSACTION,
      PreviousSpecVersion: service.Swarmctl.SpecVersion,
    },
  }
}

const requireSize = (spec: ServiceSpec): void => {
  const size = encodeObject(spec).length
  if (size <= SERVICE_SPEC_BYTES_MAX) return
  throw invalid(
    `the service's spec is too large: ${size} bytes, at most ${SERVICE_SPEC_BYTES_MAX}: keep what is large in configs`,
  )
}

export const swapSpecs = (service: Service, now: string): Service => {
  if (service.PreviousSpec === undefined) {
    throw precondition(`service ${service.ID} does not have a previous spec`)
  }
  const back = replaceSpec(service, withReplicasOf(service.PreviousSpec, service.Spec))
  // A job has no rolling update that would come to an end: its tasks run anew.
  if (isJob(back.Spec)) return back
  return {
    ...back,
    UpdateStatus: {
      State: 'rollback_started',
      Message: 'manually requested rollback',
      StartedAt: now,
    },
  }
}
