import type { Clock } from '../../api/clock.ts'
import { invalid } from '../../api/errors.ts'
import type { Cluster, RootRotation, SwarmSpec } from '../../api/swarm.ts'
import { normalCertificates } from '../../pki/certificate-chain.ts'
import { crossSign } from '../../pki/cross-sign.ts'
import { createRootCA, issuerInfoOf, type RootCA } from '../../pki/root-ca.ts'
import { readSuppliedCA } from '../../pki/supplied-ca.ts'
import { withoutRotation, withRotation } from './cluster-ca.ts'

type CAConfig = NonNullable<SwarmSpec['CAConfig']>

/** What an update of the swarm's settings makes of its CA. */
export type CAUpdate =
  | { kind: 'none' }
  /** A root is to follow; one that was to follow before is given up. */
  | { kind: 'rotate'; rotation: RootRotation }
  /** The root stays: a rotation is given up. */
  | { kind: 'keep'; rootCAKey: string }
  /** The root that is to follow anyhow; its key may come or go. */
  | { kind: 'go-on'; rotation: RootRotation }

/**
 * What a client's settings say about the CA (moby `validateCAConfig`): a certificate of one's own begins the rotation to it, or ends one
 * when it is the present root's; `ForceRotate` that differs makes a new root. Throws INVALID_ARGUMENT or FAILED_PRECONDITION.
 */
export const prepareCAUpdate = async (
  clock: Clock,
  cluster: Cluster,
  sent: CAConfig,
): Promise<CAUpdate> => {
  const { RootCACert, RootRotation } = cluster.Swarmctl
  const supplied = suppliedCA(sent, clock.nowMs())
  if (supplied === undefined) {
    const isForced = (sent.ForceRotate ?? 0) !== (cluster.Spec.CAConfig?.ForceRotate ?? 0)
    if (!isForced) return { kind: 'none' }
    return { kind: 'rotate', rotation: await rotationTo(cluster, await createRootCA(clock)) }
  }
  if (supplied.certPem === normalCertificates(RootCACert)) {
    return { kind: 'keep', rootCAKey: supplied.keyPem }
  }
  if (RootRotation && supplied.certPem === normalCertificates(RootRotation.CACert)) {
    return { kind: 'go-on', rotation: { ...RootRotation, CAKey: supplied.keyPem } }
  }
  return { kind: 'rotate', rotation: await rotationTo(cluster, supplied) }
}

/** The cluster with what was prepared for it. */
export const withCAUpdate = (cluster: Cluster, update: CAUpdate): Cluster => {
  switch (update.kind) {
    case 'none':
      return cluster
    case 'rotate':
    case 'go-on':
      return withRotation(cluster, update.rotation)
    case 'keep':
      return withoutRotation(cluster, update.rootCAKey)
    default:
      return update satisfies never
  }
}

const suppliedCA = (sent: CAConfig, nowMs: number): RootCA | undefined => {
  const [certPem, keyPem] = [sent.SigningCACert ?? '', sent.SigningCAKey ?? '']
  if (certPem !== '') return readSuppliedCA({ certPem, keyPem }, nowMs)
  if (keyPem === '') return undefined
  throw invalid('if a signing CA key is provided, the signing CA cert must also be provided')
}

/** The old root vouches for the new one: always the one that all nodes trust, also when another was to follow it. */
const rotationTo = async (cluster: Cluster, next: RootCA): Promise<RootRotation> => {
  const { RootCACert, RootCAKey } = cluster.Swarmctl
  // Nodes tell the old root's certificates from the new one's by the key.
  const keyOf = (certPem: string) => issuerInfoOf(certPem).CertIssuerPublicKey
  if (keyOf(next.certPem) === keyOf(RootCACert)) {
    throw invalid('Cannot update to a cert with an identical key')
  }
  const CrossSignedCACert = await crossSign(
    { certPem: RootCACert, keyPem: RootCAKey },
    next.certPem,
  )
  return {
    CACert: normalCertificates(next.certPem),
    CAKey: next.keyPem,
    CrossSignedCACert: normalCertificates(CrossSignedCACert),
  }
}
