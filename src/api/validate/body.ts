import type { z } from 'zod'
import { dropNulls } from '../drop-nulls.ts'
import { invalid } from '../errors.ts'
import { keepUnknown } from './keep-unknown.ts'

/** Docker's texts for fields whose type alone rules a value out, by path with `*` for an array's index. */
const TEXTS: Readonly<Record<string, string>> = {
  'Mode.Replicated.Replicas': 'Number of replicas must be non-negative',
  'Mode.ReplicatedJob.MaxConcurrent': 'Maximum concurrent jobs must not be negative',
  'Mode.ReplicatedJob.TotalCompletions': 'Total completed jobs must not be negative',
  'UpdateConfig.MaxFailureRatio':
    'TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1',
  'RollbackConfig.MaxFailureRatio':
    'TaskSpec: rollback-maxfailureratio cannot be less than 0 or bigger than 1',
}

/** Docker's texts for words of a list that has no such word, by path; the word follows. */
const WORD_TEXTS: Readonly<Record<string, string>> = {
  'TaskTemplate.RestartPolicy.Condition': 'invalid RestartCondition: ',
  'UpdateConfig.FailureAction': 'unrecognized update failure action ',
  'RollbackConfig.FailureAction': 'unrecognized update failure action ',
  'UpdateConfig.Order': 'unrecognized update order ',
  'RollbackConfig.Order': 'unrecognized update order ',
  'EndpointSpec.Mode': 'invalid resolution mode: ',
  'EndpointSpec.Ports.*.Protocol': 'invalid protocol value ',
  'EndpointSpec.Ports.*.PublishMode': 'invalid PublishMode value ',
  'TaskTemplate.ContainerSpec.Mounts.*.Type': 'invalid MountType: ',
}

const wordText = (body: unknown, path: readonly PropertyKey[], text: string): string => {
  const word = path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
    body,
  )
  return text + (text.endsWith(': ') || text.includes('value') ? JSON.stringify(word) : word)
}

/** A body as its schema has it, with the fields that the schema does not know, and their paths. */
export interface ParsedBody<T> {
  value: T
  unknown: string[]
}

/**
 * Parses a request's body by its schema, `null` being the same as absent, as in Go; fields that the schema does not know stay.
 * @throws SwarmctlError INVALID_ARGUMENT that names the first field that is wrong
 */
export const parseBodyKeeping = <S extends z.ZodType>(
  schema: S,
  body: unknown,
): ParsedBody<z.infer<S>> => {
  const sent = dropNulls(body)
  const parsed = schema.safeParse(sent)
  if (parsed.success) return keepUnknown(sent, parsed.data) as ParsedBody<z.infer<S>>
  const issue = parsed.error.issues[0]
  const path = issue?.path.map((key) => (typeof key === 'number' ? '*' : String(key))).join('.')
  const words = WORD_TEXTS[path ?? '']
  if (issue?.code === 'invalid_value' && words !== undefined) {
    throw invalid(wordText(sent, issue.path, words))
  }
  const isOutOfRange = issue?.code === 'too_small' || issue?.code === 'too_big'
  // Of a count it would not be true of one that is too big.
  const isToldSo = isOutOfRange && !(issue.code === 'too_big' && issue.origin === 'int')
  throw invalid(
    (isToldSo ? TEXTS[path ?? ''] : undefined) ??
      `invalid ${issue?.path.join('.') || 'body'}: ${issue?.message}`,
  )
}

/** As `parseBodyKeeping`, for who does not ask what the schema does not know. */
export const parseBody = <S extends z.ZodType>(schema: S, body: unknown): z.infer<S> =>
  parseBodyKeeping(schema, body).value
