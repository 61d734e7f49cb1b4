import type { Cluster, RootRotation } from '../../api/swarm.ts'
import { normalCertificates } from '../../pki/certificate-chain.ts'
import { issuerInfoOf, type RootCA, type TLSInfo } from '../../pki/root-ca.ts'

/** What of the cluster object says by whom certificates are signed and who is trusted. */
type ClusterCA = Pick<Cluster['Swarmctl'], 'RootCACert' | 'RootRotation'>

/** Who signs nodes' certificates now: while the root is rotated already the new one. */
export const signingCA = ({
  Swarmctl: { RootCACert, RootCAKey, RootRotation },
}: Pick<Cluster, 'Swarmctl'>): RootCA =>
  RootRotation
    ? { certPem: RootRotation.CACert, keyPem: RootRotation.CAKey }
    : { certPem: RootCACert, keyPem: RootCAKey }

/** What stands behind a node's certificate, so that who trusts only the old root trusts it too. */
export const intermediatesOf = ({ RootRotation }: ClusterCA): string =>
  RootRotation?.CrossSignedCACert ?? ''

/** Whom nodes trust: the root; while it is rotated the old one and the new one. PEM. */
export const trustRootOf = ({ RootCACert, RootRotation }: ClusterCA): string =>
  RootRotation ? normalCertificates(RootCACert + RootRotation.CACert) : RootCACert

/** What the Engine API shows of the cluster's CA, and what each node's own is to be like. */
export const clusterTLSInfo = (ca: ClusterCA): TLSInfo => ({
  TrustRoot: trustRootOf(ca),
  ...issuerInfoOf(ca.RootRotation?.CACert ?? ca.RootCACert),
})

/** The cluster with a root that is to follow: from now on it signs. Takes the place of one that was to follow before. */
export const withRotation = (cluster: Cluster, rotation: RootRotation): Cluster =>
  withTLSInfo({ ...cluster, Swarmctl: { ...cluster.Swarmctl, RootRotation: rotation } })

/** The cluster whose root stays: nothing is to follow (any more). */
export const withoutRotation = (cluster: Cluster, rootCAKey: string): Cluster => {
  const { RootRotation: _, ...ours } = cluster.Swarmctl
  return withTLSInfo({ ...cluster, Swarmctl: { ...ours, RootCAKey: rootCAKey } })
}

/** The cluster in which the new root has taken the old one's place. Tokens name the root: they are made anew. */
export const withNewRoot = (
  cluster: Cluster,
  rotation: RootRotation,
  newJoinToken: (rootCACert: string) => string,
): Cluster => {
  const { RootRotation: _, ...ours } = cluster.Swarmctl
  const { CACert, CAKey } = rotation
  return withTLSInfo({
    ...cluster,
    JoinTokens: { Worker: newJoinToken(CACert), Manager: newJoinToken(CACert) },
    Swarmctl: { ...ours, RootCACert: CACert, RootCAKey: CAKey },
  })
}

const withTLSInfo = (cluster: Cluster): Cluster => ({
  ...cluster,
  TLSInfo: clusterTLSInfo(cluster.Swarmctl),
  RootRotationInProgress: cluster.Swarmctl.RootRotation !== undefined,
})
