import type { Service } from '../../api/service.ts'
import type { StackOperation } from './operation.ts'
import type { ExistingObjects } from './plan.ts'

/** An operation that was sent, and the id of what it touched. */
export interface PerformedOperation {
  operation: StackOperation
  id: string
  /** Of a service: `Swarmctl.SpecVersion` after it was sent. */
  specVersion?: number | undefined
}

/**
 * Whether a service got another spec than the deployment's since it was sent, from somebody who does not want it taken back. The manager's own way back
 * leads to the version from before.
 */
export const isChangedByOthers = (
  { ID, Swarmctl: { SpecVersion } }: Pick<Service, 'ID' | 'Swarmctl'>,
  performed: readonly PerformedOperation[],
  existing: ExistingObjects,
): boolean => {
  const sent = performed.find(({ id }) => id === ID)?.specVersion
  const before = existing.services.find((service) => service.ID === ID)?.Swarmctl?.SpecVersion
  return sent !== undefined && SpecVersion !== sent && SpecVersion !== before
}

/**
 * What takes a deployment back: services first, the last changed first, then what only they used. `existing` is what there was before
 * it. Versions are those from before: the caller asks for the present ones. Pure.
 */
export const rollbackOperations = (
  performed: readonly PerformedOperation[],
  existing: ExistingObjects,
): StackOperation[] => {
  const steps = performed.toReversed().flatMap(({ operation, id }) => undo(operation, id, existing))
  const isService = ({ kind }: StackOperation): boolean => kind.endsWith('-service')
  return [...steps.filter(isService), ...steps.filter((step) => !isService(step))]
}

const undo = (
  operation: StackOperation,
  id: string,
  existing: ExistingObjects,
): StackOperation[] => {
  const { name } = operation
  switch (operation.kind) {
    case 'create-service':
      return [{ kind: 'remove-service', name, id }]
    case 'create-network':
      return [{ kind: 'remove-network', name, id }]
    case 'create-secret':
      return [{ kind: 'remove-secret', name, id }]
    case 'create-config':
      return [{ kind: 'remove-config', name, id }]
    case 'update-service': {
      const body = existing.services.find(({ ID }) => ID === id)?.Spec
      if (body === undefined) return []
      const { version } = operation
      return [{ kind: 'update-service', name, id, version, body, fields: [], resolveImage: false }]
    }
    case 'update-secret': {
      const body = existing.secrets.find(({ ID }) => ID === id)?.Spec
      return body === undefined ? [] : [{ ...operation, body, fields: [] }]
    }
    case 'update-config': {
      const body = existing.configs.find(({ ID }) => ID === id)?.Spec
      return body === undefined ? [] : [{ ...operation, body, fields: [] }]
    }
    case 'remove-service': {
      const body = existing.services.find(({ ID }) => ID === id)?.Spec
      return body === undefined ? [] : [{ kind: 'create-service', name, body, resolveImage: false }]
    }
    case 'remove-network':
    case 'remove-secret':
    case 'remove-config':
      // No deployment removes them.
      return []
    default:
      return operation satisfies never
  }
}
