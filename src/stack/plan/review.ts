import type { ServiceForecast } from '../../api/forecast.ts'
import { isJob } from '../../api/service-defaults.ts'
import { digestText, secretText } from './digest.ts'
import type { FieldChange } from './field-changes.ts'
import { valueText } from './field-changes.ts'
import type { StackOperation } from './operation.ts'
import type { StackPlan } from './plan.ts'

/** What a deployment would do to one object. */
export interface ReviewedObject {
  Kind: 'service' | 'network' | 'secret' | 'config'
  Name: string
  Action: 'create' | 'update' | 'remove' | 'none'
  /** By path; configs' data as `sha256:…`, secrets' as `hmac:…` under this plan's own key. */
  Fields: { Path: string; Before: unknown; After: unknown }[]
  /** Whether running tasks are ended and made anew. */
  ReplacesTasks: boolean
  /** Whether a job does its work again, which each update of one makes it do, also one that changes nothing. */
  RunsAgain: boolean
}

/** A plan as `stack plan --format json` prints it. */
export interface StackReview {
  Stack: string
  /** For `stack deploy --plan-index`. */
  Index: number
  Changed: boolean
  Objects: ReviewedObject[]
  Placement: ServiceForecast[]
  Notes: string[]
}

/** A plan and what the scheduler says to it, for people and programs. `secretKey` is random and of this plan alone. Pure. */
export const reviewPlan = (
  stack: string,
  index: number,
  { operations, notes }: StackPlan,
  forecasts: readonly ServiceForecast[],
  secretKey: Uint8Array,
): StackReview => {
  const Objects = operations.map((operation) => reviewOperation(operation, secretKey))
  return {
    Stack: stack,
    Index: index,
    Changed: Objects.some(({ Action, RunsAgain }) => Action !== 'none' || RunsAgain),
    Objects,
    Placement: [...forecasts],
    Notes: [...notes],
  }
}

const reviewOperation = (operation: StackOperation, secretKey: Uint8Array): ReviewedObject => {
  const Name = operation.name
  const object = (
    Kind: ReviewedObject['Kind'],
    Action: ReviewedObject['Action'],
    fields: readonly FieldChange[] = [],
    { ReplacesTasks = false, RunsAgain = false } = {},
  ): ReviewedObject => ({
    Kind,
    Name,
    Action,
    Fields: fields.map(({ path, before, after }) => ({ Path: path, Before: before, After: after })),
    ReplacesTasks,
    RunsAgain,
  })
  switch (operation.kind) {
    case 'create-network':
      return object('network', 'create')
    case 'create-secret':
      return object('secret', 'create', [
        dataChange(secretText(operation.body.Data ?? '', secretKey)),
      ])
    case 'create-config':
      return object('config', 'create', [dataChange(digestText(operation.body.Data))])
    case 'create-service':
      return object('service', 'create', creation(operation.body))
    case 'update-secret':
      return object('secret', operation.fields.length > 0 ? 'update' : 'none', operation.fields)
    case 'update-config':
      return object('config', 'update', operation.fields)
    case 'update-service': {
      const { fields, body } = operation
      const action = fields.length > 0 ? 'update' : 'none'
      // A job with a schedule has its new spec with its next run.
      const isScheduled = body.Swarmctl?.Schedule !== undefined
      return object('service', action, fields, {
        ReplacesTasks: !isScheduled && fields.some(replacesTasks),
        RunsAgain: !isScheduled && isJob(body),
      })
    }
    case 'remove-service':
      return object('service', 'remove')
    case 'remove-network':
      return object('network', 'remove')
    case 'remove-secret':
      return object('secret', 'remove')
    case 'remove-config':
      return object('config', 'remove')
    default:
      return operation satisfies never
  }
}

const dataChange = (after: string): FieldChange => ({ path: 'Data', before: undefined, after })

/** What is worth seeing of a new service. */
const creation = (body: Extract<StackOperation, { kind: 'create-service' }>['body']) => [
  {
    path: 'TaskTemplate.ContainerSpec.Image',
    before: undefined,
    after: body.TaskTemplate.ContainerSpec?.Image,
  },
  { path: 'Mode', before: undefined, after: body.Mode },
  ...(body.Swarmctl?.Schedule === undefined
    ? []
    : [{ path: 'Swarmctl.Schedule', before: undefined, after: body.Swarmctl.Schedule }]),
]

/** As the orchestrator decides it: tasks follow their template and the endpoint, and only a placement may leave them where they are. */
const replacesTasks = ({ path }: FieldChange): boolean =>
  /^(TaskTemplate|EndpointSpec|Networks)\b/.test(path) && !/^TaskTemplate\.Placement\b/.test(path)

const SIGNS = { create: '+', update: '~', remove: '-', none: '=' } as const

/** Hex digits of a hash that a line shows. */
const HASH_LENGTH = 12

const shown = (value: unknown): string =>
  valueText(value).replace(/^(sha256:[0-9a-f]+)$/, (hash) => hash.slice(0, 7 + HASH_LENGTH))

const tasksNote = ({ ReplacesTasks, RunsAgain }: ReviewedObject): string => {
  if (RunsAgain) return '  (runs again)'
  return ReplacesTasks ? '  (tasks are replaced)' : ''
}

/** A review as lines for people. */
export const formatReview = (review: StackReview): string => {
  const lines = [`Stack ${review.Stack}`]
  for (const object of review.Objects) {
    const { Kind, Name, Action, Fields } = object
    lines.push(`${SIGNS[Action]} ${Kind} ${Name}${tasksNote(object)}`)
    for (const { Path, Before, After } of Fields) {
      const from = Action === 'create' ? '' : `${shown(Before)} → `
      lines.push(`    ${Path}: ${from}${shown(After)}`)
    }
  }
  if (review.Placement.length > 0) lines.push('', 'Placement')
  for (const { Service, Wanted, Placed, Unplaced } of review.Placement) {
    const nodes = Placed.map(({ Hostname, Tasks }) => `${Hostname} ×${Tasks}`).join(', ')
    lines.push(`  ${Service}: ${nodes || (Wanted === 0 ? 'no tasks wanted' : 'nowhere')}`)
    for (const { Tasks, Reason } of Unplaced) {
      lines.push(`    ! ${Tasks} of ${Wanted} tasks can't be placed: ${Reason}`)
    }
  }
  for (const note of review.Notes) lines.push(`! ${note}`)
  return `${lines.join('\n')}\n\n${totals(review)}\n`
}

const totals = ({ Objects, Index, Stack, Changed }: StackReview): string => {
  const count = (action: ReviewedObject['Action']) =>
    Objects.filter(({ Action }) => Action === action).length
  if (!Changed) return 'No changes.'
  const replaced = Objects.filter(({ ReplacesTasks }) => ReplacesTasks).length
  const again = Objects.filter(({ RunsAgain }) => RunsAgain).length
  return [
    `${count('create')} to create, ${count('update')} to change` +
      `${replaced > 0 ? ` (${replaced} with new tasks)` : ''}, ${count('remove')} to remove` +
      `${again > 0 ? `, ${again} to run again` : ''}.`,
    `Deploy exactly this with: swarmctl stack deploy --plan-index ${Index} … ${Stack}`,
  ].join('\n')
}
