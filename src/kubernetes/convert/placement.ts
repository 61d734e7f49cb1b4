import { parseConstraint } from '../../api/constraint.ts'
import type { Placement } from '../../api/service-spec.ts'
import { asProblem, ManifestProblem } from '../manifest-error.ts'
import type { PodSpec } from '../schema/pod.ts'

/** Well-known labels of nodes that the cluster has under names of its own; `beta` ones are former names. */
const NODE_FIELDS: ReadonlyMap<string, string> = new Map([
  ['kubernetes.io/hostname', 'node.hostname'],
  ['kubernetes.io/os', 'node.platform.os'],
  ['kubernetes.io/arch', 'node.platform.arch'],
  ['beta.kubernetes.io/os', 'node.platform.os'],
  ['beta.kubernetes.io/arch', 'node.platform.arch'],
])

/** On which nodes a pod may run, whose spec is at `path`. Thrown: ManifestProblem. */
export const convertPlacement = (pod: PodSpec, path: readonly string[]): Placement => {
  const constraints = Object.entries(pod.nodeSelector ?? {}).map(([label, value]) =>
    constraintOf(label, value, [...path, 'nodeSelector', label]),
  )
  if (pod.nodeName) constraints.push(`node.hostname==${pod.nodeName}`)
  // Tasks are spread over hosts in any case.
  const spread = (pod.topologySpreadConstraints ?? [])
    .map(({ topologyKey }) => topologyKey)
    .filter((key) => key !== 'kubernetes.io/hostname')
  return {
    ...(constraints.length > 0 && { Constraints: constraints }),
    ...(spread.length > 0 && {
      Preferences: spread.map((key) => ({ Spread: { SpreadDescriptor: `node.labels.${key}` } })),
    }),
  }
}

const constraintOf = (label: string, value: string, path: string[]): string => {
  const field = NODE_FIELDS.get(label)
  if (field === undefined && label.includes('/')) {
    const text = 'is not supported: a constraint can only name labels of nodes without "/"'
    throw new ManifestProblem(path, text)
  }
  const constraint = `${field ?? `node.labels.${label}`}==${value}`
  asProblem(path, () => parseConstraint(constraint))
  return constraint
}
