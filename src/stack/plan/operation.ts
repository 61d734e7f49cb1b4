import type { ConfigSpec } from '../../api/config.ts'
import type { NetworkCreate } from '../../api/network.ts'
import type { SecretSpec } from '../../api/secret.ts'
import type { ServiceSpec } from '../../api/service-spec.ts'
import type { FieldChange } from './field-changes.ts'

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
  | ({ kind: 'update-secret'; name: string; body: SecretSpec; fields: FieldChange[] } & Target)
  | { kind: 'create-config'; name: string; body: ConfigSpec }
  | ({ kind: 'update-config'; name: string; body: ConfigSpec; fields: FieldChange[] } & Target)
  | ({ kind: 'create-service'; name: string; body: ServiceSpec } & ImageUse)
  | ({
      kind: 'update-service'
      name: string
      body: ServiceSpec
      /** What of the spec differs; empty: the request changes nothing. */
      fields: FieldChange[]
    } & Target &
      ImageUse)
  | {
      kind: 'remove-service' | 'remove-network' | 'remove-secret' | 'remove-config'
      name: string
      id: string
    }

interface ImageUse {
  /** Whether a registry should be asked which digest the image's tag stands for before the request is sent. */
  resolveImage: boolean
}

/** A service with its body, which needs more than the plan knows before it is sent. */
export type ServiceOperation = Extract<
  StackOperation,
  { kind: 'create-service' | 'update-service' }
>

/** Whether the operation sends a service's body. */
export const isServiceSent = (operation: StackOperation): operation is ServiceOperation =>
  operation.kind === 'create-service' || operation.kind === 'update-service'

/** The operation as `docker stack deploy` says it while it runs. */
export const describeOperation = (operation: StackOperation): string => {
  const [verb, noun] = operation.kind.split('-')
  const doing = { create: 'Creating', update: 'Updating', remove: 'Removing' }[verb ?? '']
  const id = operation.kind === 'update-service' ? ` (id: ${operation.id})` : ''
  return `${doing} ${noun} ${operation.name}${id}`
}
