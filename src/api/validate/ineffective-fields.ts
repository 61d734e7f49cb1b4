import type { ServiceSpec } from '../service-spec.ts'

/** Most warnings of one answer: a body of nothing but unknown fields must not come back twice. */
const WARNINGS_MAX = 20

/** Known fields that nothing acts on, with why; `*` stands for every item of a list. Empty values mean nothing and are passed over. */
const WITHOUT_EFFECT: readonly [path: string, why: string][] = [
  ['TaskTemplate.ContainerSpec.Privileges.CredentialSpec', 'it is for containers of Windows'],
]

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === '' ||
  (typeof value === 'object' && Object.values(value).every(isEmpty))

/** The paths at which `value` has something under `keys`. */
const found = (value: unknown, [key, ...rest]: string[], path: string[] = []): string[] => {
  if (key === undefined) return isEmpty(value) ? [] : [path.join('.')]
  if (typeof value !== 'object' || value === null) return []
  if (key === '*') {
    return Object.entries(value).flatMap(([i, each]) => found(each, rest, [...path, i]))
  }
  return found((value as Record<string, unknown>)[key], rest, [...path, key])
}

/** A warning for each field of a service's spec that is kept and shown but not acted on; `unknown` are those that no schema has. */
export const ineffectiveFields = (spec: ServiceSpec, unknown: readonly string[]): string[] => {
  const warnings = [
    ...unknown.map((path) => `${path}: this field is not known here; it is kept, without effect`),
    ...WITHOUT_EFFECT.flatMap(([path, why]) =>
      found(spec, path.split('.')).map((at) => `${at}: kept, but without effect: ${why}`),
    ),
  ]
  return withinWarnings(warnings)
}

/** No more of them than one answer may have. */
export const withinWarnings = (warnings: string[]): string[] => {
  if (warnings.length <= WARNINGS_MAX) return warnings
  const more = warnings.length - WARNINGS_MAX
  return [...warnings.slice(0, WARNINGS_MAX), `and ${more} more fields that have no effect`]
}
