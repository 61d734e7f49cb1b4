import type { Node } from '../../api/node.ts'
import type { Cluster } from '../../api/swarm.ts'

/** Nodes that renew their certificates at the same time. */
export const RENEWALS_MAX = 5
/** A node that was asked to renew is asked again after this time, and does not hold up the others, milliseconds. */
export const RENEWAL_WAIT_MS = 5_000

/** What is to be done so that every node has a certificate from the cluster's present CA. */
export interface RotationPlan {
  /** Nodes to be asked to renew their certificates. */
  ask: string[]
  /** Every node has one: the old root can go. */
  isDone: boolean
}

/** Whether a node shows a certificate of the CA that signs now, and trusts it. What it showed last counts: it may be away. */
export const isCertified = (cluster: Cluster, { Description: { TLSInfo } }: Node): boolean =>
  TLSInfo?.CertIssuerPublicKey === cluster.TLSInfo.CertIssuerPublicKey &&
  TLSInfo.CertIssuerSubject === cluster.TLSInfo.CertIssuerSubject &&
  TLSInfo.TrustRoot.includes(cluster.Swarmctl.RootRotation?.CACert ?? '')

/**
 * Which nodes are to renew next: those that are connected, a few at a time. One that is away is waited for, since it could not come back
 * once the old root is gone; it ends by its return or its removal. `askedMs`: when nodes were asked.
 */
export const planRotation = (
  cluster: Cluster,
  nodes: readonly Node[],
  connected: ReadonlySet<string>,
  askedMs: ReadonlyMap<string, number>,
  nowMs: number,
): RotationPlan => {
  const behind = nodes.filter((node) => !isCertified(cluster, node)).map(({ ID }) => ID)
  const isBusy = (id: string) => {
    const sinceMs = nowMs - (askedMs.get(id) ?? Number.NEGATIVE_INFINITY)
    // Below 0: the clock was set back.
    return sinceMs >= 0 && sinceMs < RENEWAL_WAIT_MS
  }
  const busy = behind.filter(isBusy).length
  const free = behind.filter((id) => connected.has(id) && !isBusy(id))
  return {
    ask: free.slice(0, Math.max(0, RENEWALS_MAX - busy)),
    isDone: behind.length === 0,
  }
}
