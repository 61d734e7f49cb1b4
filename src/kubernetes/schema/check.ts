import type { z } from 'zod'
import { ManifestProblem } from '../manifest-error.ts'

/** The object as `schema` has it. Thrown: ManifestProblem for the first field that is not taken, or wrong. */
export const checked = <S extends z.ZodType>(schema: S, tree: unknown): z.infer<S> => {
  const parsed = schema.safeParse(withoutNulls(tree))
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const path = (issue?.path ?? []).map((key) => (typeof key === 'number' ? key : String(key)))
  if (issue?.code === 'unrecognized_keys') {
    const key = issue.keys[0] ?? ''
    const reason = REASONS.get(key)
    const text = reason === undefined ? 'is not supported' : `is not supported: ${reason}`
    throw new ManifestProblem([...path, key], text)
  }
  throw new ManifestProblem(path, reasonOf(issue))
}

const SOURCES = 'known are configMap, secret, emptyDir, persistentVolumeClaim and hostPath'

/** What to do about fields that many manifests have. */
const REASONS: ReadonlyMap<string, string> = new Map([
  ['initContainers', 'a task is one container: let it prepare itself, or make a Job of it'],
  ['affinity', 'say nodeSelector; tasks are spread over the nodes in any case'],
  ['lifecycle', 'an Engine has no hooks; connections drain before a task gets its stop signal'],
  ['priorityClassName', 'no task makes place for another'],
  ['grpc', 'say exec, with a client that the image has'],
  ['matchExpressions', 'say matchLabels'],
  ['resourceFieldRef', 'say the value itself'],
  ['ttlSecondsAfterFinished', 'a job that has ended stays until it is removed'],
  ['activeDeadlineSeconds', 'a job may take any time: let its command set a limit'],
  ['csi', SOURCES],
  ['downwardAPI', SOURCES],
  ['ephemeral', SOURCES],
  ['nfs', SOURCES],
  ['projected', SOURCES],
  ['volumeName', 'the node that a task runs on makes the volume'],
])

const reasonOf = (issue: z.core.$ZodIssue | undefined): string => {
  switch (issue?.code) {
    case 'invalid_value':
      return `must be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`
    case 'invalid_type':
      return typeReason(issue)
    case 'too_small':
      if (issue.origin === 'array') return 'must not be empty'
      return `must be ${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}`
    case 'too_big':
      return `must be at most ${issue.maximum}`
    case 'invalid_union':
      return 'must be a number or a text'
    default:
      return issue?.message ?? ''
  }
}

const typeReason = ({ message, expected }: z.core.$ZodIssueInvalidType): string => {
  if (/received undefined/.test(message)) return 'is missing'
  if (expected === 'array') return 'must be a list'
  // `yes`, `1.0`, `on`: YAML has made something else of a text.
  const isUnquoted = expected === 'string' && /received (number|boolean)/.test(message)
  return `must be of type ${expected}${isUnquoted ? ': write it in quotes' : ''}`
}

/** A field of null is one that is not there. */
const withoutNulls = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, item]) => item !== null || key === 'emptyDir')
      .map(([key, item]) => [key, withoutNulls(item)]),
  )
}
