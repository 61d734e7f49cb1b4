import { SwarmctlError } from '../../api/errors.ts'
import { NAMESPACE_LABEL } from '../../api/stack-labels.ts'
import type { StackOperation } from './operation.ts'
import { type ExistingObjects, type PlanStackInput, planStack } from './plan.ts'

/**
 * The id of what an operation of `input`'s plan touched, when `now` shows that it took effect; undefined when it did not, or when another's change is there
 * instead. For an operation that was sent and never answered. Pure.
 */
export const effectOf = (
  operation: StackOperation,
  input: PlanStackInput,
  now: ExistingObjects,
): string | undefined => {
  const { kind, name } = operation
  switch (kind) {
    case 'create-network':
      return now.networks.find((one) => one.Name === name && isOwn(one.Labels, input))?.Id
    case 'create-secret':
    case 'create-config':
    case 'create-service': {
      const list = listOf(kind, now)
      const made = list.find(({ Spec }) => Spec.Name === name && isOwn(Spec.Labels, input))
      return made && isAsPlanned(operation, input, now) ? made.ID : undefined
    }
    case 'update-secret':
    case 'update-config':
    case 'update-service': {
      const isChanged = versionIn(operation, now) !== versionIn(operation, input.existing)
      return isChanged && isAsPlanned(operation, input, now) ? operation.id : undefined
    }
    case 'remove-service':
    case 'remove-network':
    case 'remove-secret':
    case 'remove-config': {
      const ids = [...now.services, ...now.secrets, ...now.configs].map(({ ID }) => ID)
      const isThere = [...ids, ...now.networks.map(({ Id }) => Id)].includes(operation.id)
      return isThere ? undefined : operation.id
    }
    default:
      return kind satisfies never
  }
}

type Kind = 'secret' | 'config' | 'service'

const listOf = (kind: `${'create' | 'update'}-${Kind}`, from: ExistingObjects) => {
  if (kind.endsWith('secret')) return from.secrets
  return kind.endsWith('config') ? from.configs : from.services
}

const isOwn = (
  labels: Readonly<Record<string, string>> | null | undefined,
  { namespace }: PlanStackInput,
): boolean => labels?.[NAMESPACE_LABEL] === namespace

/** Of the spec: a service gets other versions whenever its update goes on. */
const versionIn = (
  { kind, id }: Extract<StackOperation, { kind: `update-${Kind}` }>,
  from: ExistingObjects,
): number | undefined => {
  const object = listOf(kind, from).find(({ ID }) => ID === id)
  const own = object && 'Swarmctl' in object ? object.Swarmctl : undefined
  return own && 'SpecVersion' in own ? own.SpecVersion : object?.Version.Index
}

/** Whether a plan made now leaves the object as it is. */
const isAsPlanned = (
  { kind, name }: StackOperation,
  input: PlanStackInput,
  now: ExistingObjects,
): boolean => {
  // Objects of different kinds may have the same name.
  const noun = kind.slice(kind.indexOf('-'))
  try {
    const { operations } = planStack({ ...input, existing: now })
    return !operations.some(
      (one) =>
        one.name === name &&
        one.kind.endsWith(noun) &&
        (!('fields' in one) || one.fields.length > 0),
    )
  } catch (error) {
    // Another's content under the same name.
    if (error instanceof SwarmctlError) return false
    throw error
  }
}
