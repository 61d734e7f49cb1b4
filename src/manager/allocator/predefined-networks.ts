import type { NewId } from '../../api/id.ts'
import type { Network } from '../../api/network.ts'
import {
  OVERLAY_DRIVER,
  PREDEFINED_LABEL,
  PREDEFINED_NETWORKS,
} from '../../api/validate/network.ts'
import { newMeta } from '../store/new-meta.ts'
import type { Tx } from '../store/tx.ts'

/** The name that Docker gives the routing mesh's network. */
const INGRESS_NAME = 'ingress'

/**
 * Gives a new cluster its first networks: the mesh's, and objects for those that every Engine has. Later this does nothing, so that
 * an ingress network that a user removed stays removed.
 */
export const createFirstNetworks = (tx: Tx, newId: NewId): void => {
  const isDone = tx.list('network').some(({ Spec }) => Spec.Labels[PREDEFINED_LABEL] !== undefined)
  if (isDone) return
  for (const name of PREDEFINED_NETWORKS) {
    tx.put('network', newNetwork(newId(), name, name, { [PREDEFINED_LABEL]: 'true' }))
  }
  const hasIngress = tx.list('network').some(({ Spec }) => Spec.Ingress)
  if (!hasIngress && tx.byName('network', INGRESS_NAME) === undefined) {
    tx.put('network', newNetwork(newId(), INGRESS_NAME, OVERLAY_DRIVER, {}))
  }
}

const newNetwork = (
  id: string,
  name: string,
  driver: string,
  labels: Record<string, string>,
): Network => ({
  ...newMeta(id),
  Spec: {
    Name: name,
    Labels: labels,
    DriverConfiguration: { Name: driver, Options: {} },
    IPv6Enabled: false,
    Internal: false,
    Attachable: false,
    Ingress: name === INGRESS_NAME,
    IPAMOptions: { Driver: { Name: 'default' }, Configs: [] },
    Scope: 'swarm',
  },
  DriverState: { Name: driver, Options: {} },
  IPAMOptions: { Configs: [] },
  Swarmctl: { Index: 0, Plan: 'blocks', Gateways: {} },
})
