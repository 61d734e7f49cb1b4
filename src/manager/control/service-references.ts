import { invalid, notFound, precondition } from '../../api/errors.ts'
import type { Network } from '../../api/network.ts'
import { isNodeLocal } from '../../api/node-local-network.ts'
import { needsIngress } from '../../api/service-defaults.ts'
import type { NetworkAttachmentConfig, ServiceSpec } from '../../api/service-spec.ts'
import { PREDEFINED_LABEL } from '../../api/validate/network.ts'
import { addressRefusal } from '../allocator/task-addresses.ts'
import type { Tx } from '../store/tx.ts'
import type { View } from '../store/view.ts'
import { find } from './resolve.ts'

/**
 * The spec with its networks resolved to ids; checks that what it refers to exists and stays until the transaction is applied.
 * @throws SwarmctlError NOT_FOUND, INVALID_ARGUMENT, FAILED_PRECONDITION with Docker's texts
 */
export const resolveReferences = (tx: Tx, spec: ServiceSpec): ServiceSpec => {
  requireFiles(tx, 'secret', spec.TaskTemplate.ContainerSpec?.Secrets ?? [], (ref) => [
    ref.SecretID,
    ref.SecretName,
  ])
  requireFiles(tx, 'config', spec.TaskTemplate.ContainerSpec?.Configs ?? [], (ref) => [
    ref.ConfigID,
    ref.ConfigName,
  ])
  requireIngress(tx, spec)
  const attachments = spec.TaskTemplate.Networks ?? []
  const networks = attachments.map(({ Target }) => requireNetwork(tx, Target))
  requireCombination(spec, networks)
  requirePossibleAddresses(attachments, networks)
  if (networks.length === 0) return spec
  return {
    ...spec,
    TaskTemplate: {
      ...spec.TaskTemplate,
      Networks: attachments.map((attachment, i) => ({
        ...attachment,
        Target: networks[i]?.ID ?? attachment.Target,
      })),
    },
  }
}

const requireNetwork = (tx: Tx, target: string): Network => {
  const network = find(tx, 'network', target)
  if (network === undefined) throw notFound(`network ${target} not found`)
  if (network.Spec.Ingress) {
    throw invalid(
      `Service cannot be explicitly attached to the ingress network "${network.Spec.Name}"`,
    )
  }
  tx.touch('network', network.ID)
  return network
}

/** Else a task waits for good, and a deployment as long as it waits for one. */
const requirePossibleAddresses = (
  attachments: readonly NetworkAttachmentConfig[],
  networks: readonly Network[],
): void => {
  for (const [at, { Swarmctl }] of attachments.entries()) {
    const network = networks[at]
    const fixed = Swarmctl?.IPv4Address
    if (network === undefined || fixed === undefined || isNodeLocal(network)) continue
    const refusal = addressRefusal(network, fixed)
    if (refusal !== undefined) throw invalid(refusal)
  }
}

/** `host` and `none` replace a container's whole network. */
const requireCombination = (spec: ServiceSpec, networks: Network[]): void => {
  const ids = new Set<string>()
  for (const network of networks) {
    if (ids.has(network.ID)) {
      throw invalid(`service is attached to network ${network.Spec.Name} more than once`)
    }
    ids.add(network.ID)
  }
  const exclusive = networks.find(({ Spec }) =>
    ['host', 'none'].includes(Spec.DriverConfiguration.Name),
  )
  if (exclusive === undefined) return
  const { Name } = exclusive.Spec
  if (networks.length > 1) throw invalid(`network ${Name} cannot be combined with other networks`)
  if (needsIngress(spec.EndpointSpec)) {
    throw invalid(`port published with ingress mode can't be used with network ${Name}`)
  }
}

const requireIngress = (tx: Tx, spec: ServiceSpec): void => {
  if (!needsIngress(spec.EndpointSpec)) return
  const networks = tx.list('network')
  // The leader makes it together with the predefined ones when the cluster is new; missing alone, a user removed it.
  const isNew = !networks.some((network) => network.Spec.Labels[PREDEFINED_LABEL] !== undefined)
  const ingress = networks.find((network) => network.Spec.Ingress)
  if (ingress !== undefined) tx.touch('network', ingress.ID)
  if (isNew || ingress !== undefined) return
  throw precondition('service needs ingress network, but no ingress network is present')
}

const requireFiles = <R>(
  tx: Tx,
  kind: 'secret' | 'config',
  references: readonly R[],
  namesOf: (reference: R) => [id: string, name: string],
): void => {
  const missing: string[] = []
  for (const reference of references) {
    const [id, name] = namesOf(reference)
    if (tx.get(kind, id)?.Spec.Name === name) tx.touch(kind, id)
    else missing.push(name)
  }
  if (missing.length === 0) return
  throw invalid(`${kind}${missing.length === 1 ? '' : 's'} not found: ${missing.join(', ')}`)
}

/** Overlays that one answer names; one that attaches to hundreds must not get as many lines. */
const IGNORED_OPTIONS_MAX = 20

/** A warning for each attachment with options that no driver of an Engine gets to see: on overlays and on predefined networks. */
export const ignoredOptions = (view: View, { TaskTemplate }: ServiceSpec): string[] =>
  (TaskTemplate.Networks ?? [])
    .flatMap(({ Target, DriverOpts = {} }, index) => {
      if (Object.keys(DriverOpts).length === 0) return []
      const network = find(view, 'network', Target)
      if (network !== undefined && isNodeLocal(network)) return []
      return [
        `TaskTemplate.Networks.${index}.DriverOpts: kept, but without effect: overlay networks have no options for an attachment`,
      ]
    })
    .slice(0, IGNORED_OPTIONS_MAX)
