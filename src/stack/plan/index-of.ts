import { createHash } from 'node:crypto'
import { NAMESPACE_LABEL } from '../../api/stack-labels.ts'
import type { PlanStackInput } from './plan.ts'

/** Bits of an index: it stays an exact number everywhere. */
const INDEX_BYTES = 6

/**
 * A number for what the cluster has of a stack: its services, networks, secrets and configs and those that its files name, by id and version
 * of the spec. It changes when any of them does, and not with tasks, nodes and other stacks.
 */
export const planIndex = ({ namespace, desired, existing }: PlanStackInput): number => {
  const names = new Set([
    ...desired.services.map(({ Name }) => Name),
    ...desired.networks.map(({ Name }) => Name),
    ...desired.secrets.map(({ Name }) => Name),
    ...desired.configs.map(({ Name }) => Name),
    ...desired.externalNetworks,
    ...desired.externalSecrets,
    ...desired.externalConfigs,
  ])
  const isOurs = (name: string, labels: Readonly<Record<string, string>> | null | undefined) =>
    names.has(name) || labels?.[NAMESPACE_LABEL] === namespace
  const parts = [
    ...existing.services
      .filter(({ Spec }) => isOurs(Spec.Name, Spec.Labels))
      .map(({ ID, Version, Swarmctl }) => `${ID} ${Swarmctl?.SpecVersion ?? Version.Index}`),
    ...[...existing.secrets, ...existing.configs]
      .filter(({ Spec }) => isOurs(Spec.Name, Spec.Labels))
      .map(({ ID, Version }) => `${ID} ${Version.Index}`),
    ...existing.networks.filter(({ Name, Labels }) => isOurs(Name, Labels)).map(({ Id }) => Id),
  ]
  const text = [namespace, ...parts.sort()].join('\n')
  return createHash('sha256').update(text).digest().readUIntBE(0, INDEX_BYTES)
}
