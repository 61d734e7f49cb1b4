import type { z } from 'zod'
import { ManifestProblem } from '../manifest-error.ts'

/** The object as `schema` has it. Thrown: ManifestProblem for the first field that is not taken, or wrong. */
export const checked = <S extends z.ZodType>(schema: S, tree: unknown): z.infer<S> => {
  const parsed = schema.safeParse(withoutNulls(tree))
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const path = (issue?.path ?? []).map((key) => (typeof key === 'number' ? key : String(key)))
  if (issue?.code === 'unrecognized_keys') {
    throw new ManifestProblem([...path, issue.keys[0] ?? ''], 'is not supported')
  }
  throw new ManifestProblem(path, reasonOf(issue))
}

const reasonOf = (issue: z.core.$ZodIssue | undefined): string => {
  switch (issue?.code) {
    case 'invalid_value':
      return `must be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`
    case 'invalid_type':
      return /received undefined/.test(issue.message)
        ? 'is missing'
        : `must be ${issue.expected === 'array' ? 'a list' : `of type ${issue.expected}`}`
    default:
      return (issue?.message ?? '').replace(/^Invalid input:? ?/, 'is not valid: ')
  }
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
