import { invalid, notFound } from '../../api/errors.ts'
import type { Kind, ObjectByKind } from '../../api/object.ts'
import type { Task } from '../../api/task.ts'
import { taskName } from '../../api/task-name.ts'
import type { View } from '../store/view.ts'

type Resolvable = Exclude<Kind, 'cluster'>

const nameOf: { [K in Resolvable]: (object: ObjectByKind[K]) => string } = {
  node: (node) => node.Description.Hostname,
  service: (service) => service.Spec.Name,
  task: (task: Task) => taskName(task),
  network: (network) => network.Spec.Name,
  secret: (secret) => secret.Spec.Name,
  config: (config) => config.Spec.Name,
}

/**
 * The object that a reference means: full id, else exact name, else id prefix.
 * @throws SwarmctlError NOT_FOUND, INVALID_ARGUMENT when several match
 */
export const resolve = <K extends Resolvable>(
  view: View,
  kind: K,
  reference: string,
): ObjectByKind[K] => {
  const found = find(view, kind, reference)
  if (found === undefined) throw notFound(`${kind} ${reference} not found`)
  return found
}

/** As `resolve`, with undefined for no match. */
export const find = <K extends Resolvable>(
  view: View,
  kind: K,
  reference: string,
): ObjectByKind[K] | undefined => {
  const byId = view.get(kind, reference)
  if (byId !== undefined) return byId
  const all = view.list(kind)
  const byName = all.filter((object) => nameOf[kind](object) === reference)
  if (byName.length > 0) return only(byName, kind, reference)
  if (reference === '') return undefined
  return only(
    all.filter((object) => object.ID.startsWith(reference)),
    kind,
    reference,
  )
}

const only = <T>(matches: readonly T[], kind: Kind, reference: string): T | undefined => {
  if (matches.length > 1) {
    throw invalid(`${kind} ${reference} is ambiguous (${matches.length} matches found)`)
  }
  return matches[0]
}
