import type { Node } from '../../api/node.ts'
import type { Cluster } from '../../api/swarm.ts'

/** Nodes that are named as those that are waited for. */
const NAMES_MAX = 5

/** How far a rotation of the root CA is. */
export interface RotationProgress {
  /** Nodes with a certificate of the new root, and those that trust nobody else any more. */
  certificates: number
  roots: number
  total: number
  /** Nodes that have no certificate of it yet, and why where that shows. */
  waitsFor: string[]
  isDone: boolean
}

type SwarmCA = Pick<Cluster, 'TLSInfo' | 'RootRotationInProgress'>

/** How far it is, from one look at the swarm and its nodes. */
export const rotationProgress = (swarm: SwarmCA, nodes: readonly Node[]): RotationProgress => {
  const { TrustRoot, CertIssuerPublicKey, CertIssuerSubject } = swarm.TLSInfo
  const isCertified = ({ Description: { TLSInfo } }: Node): boolean =>
    TLSInfo?.CertIssuerPublicKey === CertIssuerPublicKey &&
    TLSInfo.CertIssuerSubject === CertIssuerSubject
  const behind = nodes.filter((node) => !isCertified(node))
  // As long as certificates are missing the old root is trusted everywhere.
  const roots =
    behind.length > 0 || swarm.RootRotationInProgress
      ? 0
      : nodes.filter(({ Description }) => Description.TLSInfo?.TrustRoot === TrustRoot).length
  return {
    certificates: nodes.length - behind.length,
    roots,
    total: nodes.length,
    waitsFor: behind.map(({ Description, Status }) =>
      Status.State === 'ready' ? Description.Hostname : `${Description.Hostname} (${Status.State})`,
    ),
    isDone: roots === nodes.length,
  }
}

/** Docker's two lines, with who is waited for. */
export const progressLines = ({
  certificates,
  roots,
  total,
  waitsFor,
}: RotationProgress): string[] => {
  const others = waitsFor.length - NAMES_MAX
  const names = waitsFor.slice(0, NAMES_MAX).join(', ') + (others > 0 ? ` and ${others} more` : '')
  return [
    `rotated TLS certificates: ${certificates}/${total} nodes${names && `, waiting for ${names}`}`,
    `rotated CA certificates: ${roots}/${total} nodes`,
  ]
}
