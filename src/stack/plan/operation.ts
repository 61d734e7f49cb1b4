import type { ConfigSpec } from '../../api/config.ts'
import type { NetworkCreate } from '../../api/network.ts'
import type { SecretSpec } from '../../api/secret.ts'
import type { ServiceSpec } from '../../api/service-spec.ts'

/** An object that an operation changes, as it was when the plan was made. */
interface Target {
  id: string
  /** `Version.Index`; an update of another version is refused. */
  version: number
}

/** One request of a deployment. The order of a plan is the order to send them in. */
export type StackOperation =
  | { kind: 'create-network'; name: string; body: NetworkCreate }
  | { kind: 'create-secret'; name: string; body: SecretSpec }
  | ({ kind: 'update-secret'; name: string; body: SecretSpec } & Target)
  | { kind: 'create-config'; name: string; body: ConfigSpec }
  | ({ kind: 'update-config'; name: string; body: ConfigSpec } & Target)
  | ({ kind: 'create-service'; name: string; body: ServiceSpec } & ImageUse)
  | ({
      kind: 'update-service'
      name: string
      body: ServiceSpec
      /** Dotted paths in the spec that differ; empty: the request changes nothing. */
      changes: string[]
    } & Target &
      ImageUse)
  | { kind: 'remove-service'; name: string; id: string }

interface ImageUse {
  /** Whether a registry should be asked which digest the image's tag stands for before the request is sent. */
  resolveImage: boolean
}

/** The operation as `docker stack deploy` says it while it runs. */
export const describeOperation = (operation: StackOperation): string => {
  const [verb, noun] = operation.kind.split('-')
  const doing = { create: 'Creating', update: 'Updating', remove: 'Removing' }[verb ?? '']
  const id = operation.kind === 'update-service' ? ` (id: ${operation.id})` : ''
  return `${doing} ${noun} ${operation.name}${id}`
}

/** The operation as one line of a printed plan: `+` creates, `~` changes, `-` removes, `=` leaves as it is. */
export const formatOperation = (operation: StackOperation): string => {
  switch (operation.kind) {
    case 'create-network':
    case 'create-secret':
    case 'create-config':
    case 'create-service':
      return `+ ${operation.kind.slice('create-'.length)} ${operation.name}`
    case 'update-secret':
    case 'update-config':
      return `~ ${operation.kind.slice('update-'.length)} ${operation.name}`
    case 'update-service':
      return operation.changes.length === 0
        ? `= service ${operation.name}`
        : `~ service ${operation.name}: ${operation.changes.join(', ')}`
    case 'remove-service':
      return `- service ${operation.name}`
    default:
      return operation satisfies never
  }
}
