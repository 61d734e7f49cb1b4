import { ManifestProblem } from '../manifest-error.ts'
import type { Container, EnvVar } from '../schema/pod.ts'
import type { DataObjects } from './data.ts'

/** Fields of a pod that the cluster fills in by itself. */
const FIELDS: ReadonlyMap<string, string> = new Map([
  ['metadata.name', '{{.Task.Name}}'],
  ['metadata.uid', '{{.Task.ID}}'],
  ['spec.nodeName', '{{.Node.Hostname}}'],
])

/** What filling in needs. */
export interface EnvContext {
  data: DataObjects
  namespace: string
  /** Of the pod. */
  labels: Readonly<Record<string, string>>
  annotations: Readonly<Record<string, string>>
  /** Of the container, in the object. */
  path: readonly (string | number)[]
  note(text: string): void
}

/** How a task's template says `{{`: what a manifest says is no template. */
const LITERAL_BRACES = '{{"{{"}}'

const literal = (text: string): string => text.replaceAll('{{', LITERAL_BRACES)

/** `env` and `envFrom` by name, as a task's template; later ones win, and `$(NAME)` in a `value` is replaced by what came before. */
export const convertEnv = (container: Container, context: EnvContext): Map<string, string> => {
  const values = new Map<string, string>()
  for (const [index, source] of (container.envFrom ?? []).entries()) {
    const path = [...context.path, 'envFrom', index]
    const { configMapRef, secretRef, prefix = '' } = source
    const kind = configMapRef === undefined ? 'Secret' : 'ConfigMap'
    const reference = configMapRef ?? secretRef
    if (reference === undefined) throw new ManifestProblem(path, 'names nothing')
    if (configMapRef && secretRef) throw new ManifestProblem(path, TWO_SOURCES)
    const isMissing = context.data.valuesOf(kind, reference.name) === undefined
    if (isMissing && reference.optional === true) continue
    if (kind === 'Secret') noteSecret(reference.name, context)
    for (const key of context.data.keysOf(kind, reference.name, path)) {
      values.set(`${prefix}${key}`, literal(context.data.textOf(kind, reference.name, key, path)))
    }
  }
  for (const [index, variable] of (container.env ?? []).entries()) {
    const value = variableValue(variable, [...context.path, 'env', index], context, values)
    if (value !== undefined) values.set(variable.name, value)
  }
  return values
}

const TWO_SOURCES = 'names two sources'

const noteSecret = (name: string, { note }: EnvContext): void =>
  note(
    `Secret ${name}: as a variable its content stands in the service's spec; mount it as a volume to keep it out`,
  )

const variableValue = (
  { value, valueFrom }: EnvVar,
  path: (string | number)[],
  context: EnvContext,
  before: ReadonlyMap<string, string>,
): string | undefined => {
  // What comes from elsewhere is taken as it stands.
  if (valueFrom === undefined) return expand(literal(value ?? ''), before)
  if (value) throw new ManifestProblem([...path, 'valueFrom'], 'must not stand beside a value')
  const { configMapKeyRef, secretKeyRef, fieldRef } = valueFrom
  if ([configMapKeyRef, secretKeyRef, fieldRef].filter(Boolean).length > 1) {
    throw new ManifestProblem([...path, 'valueFrom'], TWO_SOURCES)
  }
  if (fieldRef !== undefined) {
    return fieldValue(fieldRef.fieldPath, [...path, 'valueFrom', 'fieldRef', 'fieldPath'], context)
  }
  const kind = configMapKeyRef === undefined ? 'Secret' : 'ConfigMap'
  const reference = configMapKeyRef ?? secretKeyRef
  if (reference === undefined) throw new ManifestProblem([...path, 'valueFrom'], 'names nothing')
  const known = context.data.valuesOf(kind, reference.name)?.has(reference.key) === true
  if (!known && reference.optional === true) return undefined
  if (kind === 'Secret') noteSecret(reference.name, context)
  return literal(context.data.textOf(kind, reference.name, reference.key, [...path, 'valueFrom']))
}

const METADATA_KEY = /^metadata\.(labels|annotations)\['([^']+)'\]$/

const fieldValue = (fieldPath: string, path: (string | number)[], context: EnvContext): string => {
  if (fieldPath === 'metadata.namespace') return literal(context.namespace)
  const field = FIELDS.get(fieldPath)
  if (field !== undefined) return field
  const [, kind, key = ''] = METADATA_KEY.exec(fieldPath) ?? []
  if (kind === undefined) throw new ManifestProblem(path, `${fieldPath} is not supported`)
  const values = new Map(Object.entries(kind === 'labels' ? context.labels : context.annotations))
  // As in Kubernetes, one that is not there is empty.
  return literal(values.get(key) ?? '')
}

const REFERENCE = /\$\$|\$\(([^)]*)\)/g

/** `$(NAME)` of a variable that is known; `$$` is a `$`, wherever it stands, so that `$$(NAME)` is the text itself. */
const expand = (text: string, values: ReadonlyMap<string, string>): string =>
  text.replace(REFERENCE, (all, name?: string) =>
    name === undefined ? '$' : (values.get(name) ?? all),
  )

/**
 * A word of `command` or `args` with the values of variables in it. A field of the pod is known only on the node, which fills in
 * variables alone. Thrown: ManifestProblem.
 */
export const expandWord = (
  word: string,
  values: ReadonlyMap<string, string>,
  path: (string | number)[],
): string => {
  const plain = new Map([...values].map(([name, value]) => [name, value.split(LITERAL_BRACES)]))
  const named = [...word.matchAll(REFERENCE)].map(([, name]) => name ?? '')
  const field = named.find((name) => plain.get(name)?.some((part) => part.includes('{{')))
  if (field !== undefined) {
    const text = `names ${field}, a field of the pod: have a shell read the variable`
    throw new ManifestProblem(path, text)
  }
  return expand(word, new Map([...plain].map(([name, parts]) => [name, parts.join('{{')])))
}
