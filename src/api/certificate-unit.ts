/**
 * The organizational unit (OU) that carries a node's role in its certificate, as swarmkit's. Shared by what signs
 * certificates (pki) and what checks a peer's (rpc).
 */
export const CERTIFICATE_UNITS = { manager: 'swarm-manager', worker: 'swarm-worker' } as const

/** The role that a certificate's OU stands for; undefined for any other unit. */
export const roleOfUnit = (unit: unknown): 'manager' | 'worker' | undefined => {
  if (unit === CERTIFICATE_UNITS.manager) return 'manager'
  return unit === CERTIFICATE_UNITS.worker ? 'worker' : undefined
}
