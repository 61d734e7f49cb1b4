import { SwarmctlError, unavailable } from '../../api/errors.ts'
import type { Log } from '../../api/log.ts'
import type { Cluster } from '../../api/swarm.ts'
import { readCsr } from '../../pki/csr.ts'
import { NODE_LIFETIME_MS, NODE_LIFETIME_MS_MIN } from '../../pki/root-ca.ts'
import { formatHostPort, parseHostPort } from '../../rpc/address.ts'
import type { CallContext } from '../../rpc/connection.ts'
import type { RpcHandlers } from '../../rpc/handlers.ts'
import type { Store } from '../store/store.ts'
import { type Admitted, admitNode, tokenRole } from './admit-node.ts'
import { trustRootOf } from './cluster-ca.ts'
import {
  type JoinBody,
  reachableAddr,
  readForwardedJoin,
  readForwardedRenew,
  readJoin,
  readRenew,
} from './join-body.ts'
import { nodeIdOfKey } from './node-id.ts'
import { type NodeSignerDeps, signNode } from './node-signer.ts'

const NS_PER_MS = 1_000_000

/** Calls a method at the leader; rejects with UNAVAILABLE while there is none. */
export interface LeaderRpc {
  request(method: string, body: unknown): Promise<unknown>
}

export interface CertificateAuthorityDeps extends NodeSignerDeps {
  store: Store
  log: Log
  isLeader: () => boolean
  leader: LeaderRpc
}

/** Answer of `ca.renew`. */
export interface Certified {
  certPem: string
  rootCAPem: string
  role: 'worker' | 'manager'
}

/** Answer of `ca.join`. */
export interface Joined extends Certified {
  nodeId: string
}

/** Admits nodes and certifies them. Every manager serves it; only the leader decides, to whom the others pass calls on. */
export class CertificateAuthority {
  readonly #deps: CertificateAuthorityDeps

  constructor(deps: CertificateAuthorityDeps) {
    this.#deps = deps
  }

  /** Serves `ca.*`; the returned function takes all of it back. */
  register(handlers: RpcHandlers): () => void {
    const managers = { roles: ['manager'] as const }
    const anonymous = { anonymous: true }
    const removers = [
      handlers.onRequest('ca.root', async () => ({ rootCAPem: this.#rootCert() }), anonymous),
      handlers.onRequest(
        'ca.join',
        (body, { remoteAddress }) => this.join(readJoin(body), remoteAddress),
        anonymous,
      ),
      handlers.onRequest('ca.renew', (body, context) =>
        this.renew(callerOf(context), readRenew(body).csrPem),
      ),
      handlers.onRequest(
        'ca.join-forwarded',
        async (body) => {
          const { join, remoteIp } = readForwardedJoin(body)
          return this.#joinHere(join, remoteIp)
        },
        managers,
      ),
      handlers.onRequest(
        'ca.renew-forwarded',
        async (body) => {
          const { nodeId, csrPem } = readForwardedRenew(body)
          return this.#renewHere(nodeId, csrPem)
        },
        managers,
      ),
    ]
    return () => {
      for (const remove of removers) remove()
    }
  }

  /**
   * Admits the node that shows a valid token: creates its object and certifies its key. Repeated with the same key it is the same node.
   * Rejects with UNAUTHENTICATED (token), FAILED_PRECONDITION (cluster full), INVALID_ARGUMENT (request), UNAVAILABLE (no leader).
   */
  async join(join: JoinBody, remoteIp: string): Promise<Joined> {
    if (this.#deps.isLeader()) return this.#joinHere(join, remoteIp)
    return (await this.#deps.leader.request('ca.join-forwarded', { join, remoteIp })) as Joined
  }

  /**
   * Certifies a new key of a node, with the role that its spec has now, and notes that role as observed. Rejects with
   * PERMISSION_DENIED for a node that is not in the cluster, UNAVAILABLE without a leader.
   */
  async renew(nodeId: string, csrPem: string): Promise<Certified> {
    if (this.#deps.isLeader()) return this.#renewHere(nodeId, csrPem)
    const answer = await this.#deps.leader.request('ca.renew-forwarded', { nodeId, csrPem })
    return answer as Certified
  }

  async #joinHere(join: JoinBody, remoteIp: string): Promise<Joined> {
    this.#checkLeader()
    const { store, clock, log } = this.#deps
    const { publicKeyId } = await readCsr(join.csrPem)
    const { availability, addr, hostname, dataPathPort } = join.info
    const reachable = reachableAddr(parseHostPort(addr === '' ? ':2377' : addr), remoteIp)
    const nodeId = nodeIdOfKey(publicKeyId)
    // Before it is admitted: when nobody signs (an external CA that is away) no node is left that never was there.
    const role = tokenRole(this.#cluster(), join.token)
    const early = role && (await this.#certify({ nodeId, role }, join.csrPem))
    const admitted = await store.update((tx) => {
      const node = { nodeId, availability, hostname, ip: reachable.host }
      const addrOfNode = formatHostPort(reachable)
      const request = { ...node, addr: addrOfNode, token: join.token, dataPathPort }
      return admitNode(tx, this.#cluster(), request, clock.nowMs())
    })
    log.info({ node: nodeId, role: admitted.role, addr: reachable.host }, 'a node joined')
    const isFitting = early?.role === admitted.role
    return { nodeId, ...(isFitting ? early : await this.#certify(admitted, join.csrPem)) }
  }

  async #renewHere(nodeId: string, csrPem: string): Promise<Certified> {
    this.#checkLeader()
    const { store } = this.#deps
    const node = store.view().get('node', nodeId)
    if (!node || this.#cluster().Swarmctl.RemovedNodes.includes(nodeId)) throw notInCluster(nodeId)
    const role = node.Spec.Role
    const certified = await this.#certify({ nodeId, role }, csrPem)
    await store.update((tx) => {
      const now = tx.get('node', nodeId)
      if (!now) throw notInCluster(nodeId)
      // The wanted role changed while the certificate was signed: it must not be handed out.
      if (now.Spec.Role !== role) throw unavailable('the role of the node is changing: try again')
      if (now.Swarmctl.ObservedRole === role) return
      tx.put('node', { ...now, Swarmctl: { ...now.Swarmctl, ObservedRole: role } })
    })
    return certified
  }

  async #certify({ nodeId, role }: Admitted, csrPem: string): Promise<Certified> {
    const cluster = this.#cluster()
    const request = {
      csrPem,
      nodeId,
      role,
      clusterId: cluster.ID,
      lifetimeMs: certificateLifetimeMs(cluster),
    }
    const certPem = await signNode(this.#deps, cluster, request)
    return { certPem, rootCAPem: trustRootOf(cluster.Swarmctl), role }
  }

  #cluster(): Cluster {
    const cluster = this.#deps.store.view().cluster()
    if (!cluster) throw unavailable('this manager does not have the state of the cluster yet')
    return cluster
  }

  /** The one that join tokens name. */
  #rootCert(): string {
    return this.#cluster().Swarmctl.RootCACert
  }

  #checkLeader(): void {
    if (this.#deps.isLeader()) return
    throw unavailable('this manager is not the leader any more: try again in a moment')
  }
}

const callerOf = ({ peer }: CallContext): string => {
  if (peer) return peer.nodeId
  throw new SwarmctlError('PERMISSION_DENIED', 'a renewal needs a certificate of the cluster')
}

const notInCluster = (nodeId: string): SwarmctlError =>
  new SwarmctlError(
    'PERMISSION_DENIED',
    `node ${nodeId} is not in the cluster (any more): leave with --force and join again`,
  )

/** The life of new node certificates in milliseconds, from the cluster's spec. */
export const certificateLifetimeMs = (cluster: Pick<Cluster, 'Spec'>): number => {
  const expiryNs = cluster.Spec.CAConfig?.NodeCertExpiry ?? 0
  return expiryNs === 0 ? NODE_LIFETIME_MS : Math.max(NODE_LIFETIME_MS_MIN, expiryNs / NS_PER_MS)
}
