import type { Config } from '../../api/config.ts'
import { invalid } from '../../api/errors.ts'
import { type Filters, matchesLabels, requireFilterKeys } from '../../api/filters.ts'
import type { ObjectByKind } from '../../api/object.ts'
import { type Secret, SecretSpec } from '../../api/secret.ts'
import type { Service } from '../../api/service.ts'
import { parseBody } from '../../api/validate/body.ts'
import { parseConfigSpec, parseSecretSpec } from '../../api/validate/secret.ts'
import { newMeta } from '../store/new-meta.ts'
import type { View } from '../store/view.ts'
import { type ControlDeps, type ReadOptions, readView, requireVersion } from './context.ts'
import { redactSecret } from './redact.ts'
import { resolve } from './resolve.ts'

type FileKind = 'secret' | 'config'

/** In what secrets and configs differ. */
interface FileVerbs<K extends FileKind> {
  kind: K
  parse(body: unknown): ObjectByKind[K]['Spec']
  /** As it may be shown. */
  show(object: ObjectByKind[K]): ObjectByKind[K]
  isUsedBy(service: Service, id: string): boolean
  filterKeys: readonly string[]
}

export const SECRET_VERBS: FileVerbs<'secret'> = {
  kind: 'secret',
  parse: parseSecretSpec,
  show: redactSecret,
  isUsedBy: ({ Spec }, id) =>
    (Spec.TaskTemplate.ContainerSpec?.Secrets ?? []).some((ref) => ref.SecretID === id),
  filterKeys: ['id', 'label', 'name', 'names'],
}

export const CONFIG_VERBS: FileVerbs<'config'> = {
  kind: 'config',
  parse: parseConfigSpec,
  show: (config) => config,
  isUsedBy: ({ Spec }, id) =>
    (Spec.TaskTemplate.ContainerSpec?.Configs ?? []).some((ref) => ref.ConfigID === id),
  filterKeys: ['id', 'label', 'name'],
}

/** Unlike in other lists these keys are alternatives of each other (swarmkit `manager/controlapi/secret.go`). */
const NAMED_BY: Readonly<Record<string, (file: Secret | Config, value: string) => boolean>> = {
  names: ({ Spec }, value) => Spec.Name === value,
  name: ({ Spec }, value) => Spec.Name.startsWith(value),
  id: ({ ID }, value) => ID.startsWith(value),
}

const isNamed = (filters: Filters, file: Secret | Config): boolean => {
  const asked = Object.entries(NAMED_BY).flatMap(([key, matches]) =>
    (filters[key] ?? []).map((value) => () => matches(file, value)),
  )
  return asked.length === 0 || asked.some((isMatch) => isMatch())
}

/** The verbs of `/secrets` or `/configs`. */
export class Files<K extends FileKind> {
  readonly #deps: ControlDeps
  readonly #verbs: FileVerbs<K>

  constructor(deps: ControlDeps, verbs: FileVerbs<K>) {
    this.#deps = deps
    this.#verbs = verbs
  }

  async create(body: unknown): Promise<{ ID: string }> {
    const Spec = this.#verbs.parse(body)
    const id = this.#deps.newId()
    await this.#deps.store.update((tx) => {
      tx.put(this.#verbs.kind, { ...newMeta(id), Spec } as ObjectByKind[K])
    })
    return { ID: id }
  }

  async get(reference: string, options: ReadOptions): Promise<ObjectByKind[K]> {
    const view = await readView(this.#deps, options)
    return this.#verbs.show(resolve(view, this.#verbs.kind, reference))
  }

  async list(filters: Filters, options: ReadOptions): Promise<ObjectByKind[K][]> {
    requireFilterKeys(filters, this.#verbs.filterKeys)
    const view = await readView(this.#deps, options)
    const all: (Secret | Config)[] = view.list(this.#verbs.kind)
    return all
      .filter((file) => isNamed(filters, file) && matchesLabels(filters.label, file.Spec.Labels))
      .map((object) => this.#verbs.show(object as ObjectByKind[K]))
  }

  /** Only labels can change: running tasks have the data. */
  async update(reference: string, version: number, body: unknown): Promise<void> {
    const { kind } = this.#verbs
    const { Name, Data, Labels } = partialSpec(body)
    await this.#deps.store.update((tx) => {
      const object: Secret | Config = resolve(tx, kind, reference)
      requireVersion(version, object.Version.Index, object.Version.Index)
      if (Name !== object.Spec.Name || (Data !== undefined && Data !== object.Spec.Data)) {
        throw invalid('only updates to Labels are allowed')
      }
      tx.put(kind, { ...object, Spec: { ...object.Spec, Labels } } as ObjectByKind[K])
    })
  }

  async remove(reference: string): Promise<void> {
    const { kind } = this.#verbs
    await this.#deps.store.update((tx) => {
      const object: Secret | Config = resolve(tx, kind, reference)
      const users = this.#users(tx, object.ID)
      if (users.length > 0) {
        const noun = users.length === 1 ? 'service' : 'services'
        throw invalid(
          `${kind} '${object.Spec.Name}' is in use by the following ${noun}: ${users.join(', ')}`,
        )
      }
      tx.touchAll('service')
      tx.remove(kind, object.ID)
    })
  }

  #users(view: View, id: string): string[] {
    return view
      .list('service')
      .filter((service) => this.#verbs.isUsedBy(service, id))
      .map((service) => service.Spec.Name)
  }
}

const LabelsUpdate = SecretSpec.pick({ Name: true, Data: true, Labels: true })

/** What an update's body may hold; the data is absent when a client sends back what it got. */
const partialSpec = (body: unknown) => {
  const { Name, Data, Labels } = parseBody(LabelsUpdate, body ?? {})
  return { Name, Data: Data === '' ? undefined : Data, Labels }
}
