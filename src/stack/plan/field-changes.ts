import { isDeepStrictEqual } from 'node:util'

/** One field of an object that a plan changes; undefined: it is not there. */
export interface FieldChange {
  /** `TaskTemplate.ContainerSpec.Env.LOG`: items of lists by their name where they have one. */
  path: string
  before: unknown
  after: unknown
}

/** What differs between two specs, down to the leaves. */
export const fieldChanges = (before: unknown, after: unknown, path = ''): FieldChange[] => {
  if (isDeepStrictEqual(before, after)) return []
  // A list of named things that is not there is one without any.
  const missing = Array.isArray(before ?? after) ? [] : undefined
  const [a, b] = [asRecord(before ?? missing, path), asRecord(after ?? missing, path)]
  if (a === undefined || b === undefined) return [{ path, before, after }]
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort()
  const changes = keys.flatMap((key) =>
    fieldChanges(a[key], b[key], path === '' ? key : `${path}.${key}`),
  )
  const isOrderAlone = changes.length === 0 && Array.isArray(before) && Array.isArray(after)
  return isOrderAlone && !UNORDERED.has(listName(path)) ? [{ path, before, after }] : changes
}

/** Lists whose order makes no difference to the orchestrator, which replaces tasks whose environment or mounts are in another one. */
const UNORDERED: ReadonlySet<string> = new Set(['Ports', 'DependsOn'])

const listName = (path: string): string => path.split('.').at(-1) ?? ''

/** Lists whose items have a name: what it is. */
const NAMED: Readonly<Record<string, (item: never) => string>> = {
  Secrets: ({ SecretName, File }: { SecretName: string; File?: { Name: string } }) =>
    `${SecretName}:${File?.Name ?? ''}`,
  Configs: ({ ConfigName, File }: { ConfigName: string; File?: { Name: string } }) =>
    `${ConfigName}:${File?.Name ?? ''}`,
  Mounts: ({ Target }: { Target?: string }) => Target ?? '',
  Networks: ({ Target }: { Target: string }) => Target,
  Ports: ({ PublishedPort, TargetPort, Protocol }: Record<string, unknown>) =>
    `${PublishedPort ?? ''}:${TargetPort}/${Protocol}`,
  Ulimits: ({ Name }: { Name: string }) => Name,
  DependsOn: ({ Service }: { Service: string }) => Service,
}

/** A mapping as it stands, a list of named things as a mapping; undefined for what is compared whole. */
const asRecord = (value: unknown, path: string): Record<string, unknown> | undefined => {
  if (value === undefined) return path === '' ? {} : undefined
  if (!Array.isArray(value)) {
    return typeof value === 'object' && value !== null
      ? (value as Record<string, unknown>)
      : undefined
  }
  const list = listName(path)
  if (list === 'Env') return byName(value, (line) => String(line).split('=', 1)[0] ?? '', envValue)
  const nameOf = NAMED[list] as ((item: unknown) => string) | undefined
  return nameOf === undefined ? undefined : byName(value, nameOf, (item) => item)
}

/** Null for a name alone, which takes the image's variable away: another thing than an empty one. */
const envValue = (line: unknown): string | null => {
  const text = String(line)
  const equals = text.indexOf('=')
  return equals === -1 ? null : text.slice(equals + 1)
}

/** Undefined when two items have the same name. */
const byName = (
  items: readonly unknown[],
  nameOf: (item: unknown) => string,
  itemValue: (item: unknown) => unknown,
): Record<string, unknown> | undefined => {
  const map = Object.fromEntries(items.map((item) => [nameOf(item), itemValue(item)]))
  return Object.keys(map).length === items.length ? map : undefined
}

/** Values longer than this are cut where a line is printed, characters. */
const SHOWN_LENGTH_MAX = 100

/** A value as one line of a printed plan has it. */
export const valueText = (value: unknown): string => {
  if (value === undefined) return '(none)'
  if (value === null) return '(unset)'
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const line = text.replaceAll('\n', '\\n')
  return line.length > SHOWN_LENGTH_MAX ? `${line.slice(0, SHOWN_LENGTH_MAX - 1)}…` : line || '""'
}
