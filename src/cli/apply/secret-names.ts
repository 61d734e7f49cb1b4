import type { Secret } from '../../api/secret.ts'
import { NAMESPACE_LABEL } from '../../api/stack-labels.ts'
import { SUFFIX_LENGTH } from '../../kubernetes/convert/cluster-name.ts'
import type { ConvertedNamespace } from '../../kubernetes/convert-manifests.ts'
import { digestText } from '../../stack/plan/digest.ts'

/** Random bytes for the end of one name, which are hex digits there. */
export const SUFFIX_BYTES = SUFFIX_LENGTH / 2
const SUFFIX = new RegExp(`^[0-9a-f]{${SUFFIX_LENGTH}}$`)

/**
 * The namespace with the names that its secrets have in the cluster. One with the same content is taken again, wherever it is, so that a second run
 * changes nothing and the way back finds the old one; else the end of a new name is `random`, which tells nothing of the content. Pure.
 */
export const withSecretNames = (
  namespace: ConvertedNamespace,
  existing: readonly Pick<Secret, 'Spec' | 'Swarmctl'>[],
  random: Uint8Array,
): ConvertedNamespace => {
  const names = new Map(
    namespace.secrets.map(({ Name, Data = '' }, index) => {
      const known = existing.find(
        (secret) => isOf(secret, Name, namespace.namespace) && hasContent(secret, Data),
      )
      const start = index * SUFFIX_BYTES
      const suffix = Buffer.from(random.subarray(start, start + SUFFIX_BYTES)).toString('hex')
      return [Name, known?.Spec.Name ?? `${Name}-${suffix}`]
    }),
  )
  return {
    ...namespace,
    secrets: namespace.secrets.map((body) => ({ ...body, Name: names.get(body.Name) ?? '' })),
    services: namespace.services.map((body) => withNames(body, names)),
  }
}

const isOf = ({ Spec }: Pick<Secret, 'Spec'>, base: string, namespace: string): boolean =>
  Spec.Labels[NAMESPACE_LABEL] === namespace &&
  Spec.Name.startsWith(`${base}-`) &&
  SUFFIX.test(Spec.Name.slice(base.length + 1))

const hasContent = ({ Swarmctl }: Pick<Secret, 'Swarmctl'>, data: string): boolean =>
  Swarmctl !== undefined && `sha256:${Swarmctl.Digest}` === digestText(data)

const withNames = (
  body: ConvertedNamespace['services'][number],
  names: ReadonlyMap<string, string>,
): ConvertedNamespace['services'][number] => {
  const container = body.TaskTemplate.ContainerSpec
  if (container?.Secrets === undefined) return body
  const Secrets = container.Secrets.map((reference) => ({
    ...reference,
    SecretName: names.get(reference.SecretName) ?? reference.SecretName,
  }))
  const ContainerSpec = { ...container, Secrets }
  return { ...body, TaskTemplate: { ...body.TaskTemplate, ContainerSpec } }
}
