import type { Clock } from '../../api/clock.ts'
import type { Log } from '../../api/log.ts'
import type { Cluster } from '../../api/swarm.ts'
import { LookLoop } from '../orchestrator/look-loop.ts'
import type { Store } from '../store/store.ts'
import { withNewRoot } from './cluster-ca.ts'
import { isCertified, planRotation } from './plan-rotation.ts'

/** How often nodes that were asked, or that came back, are looked at: neither is an event of the store. */
const LOOK_MS = 1_000

export interface RootRotationDeps {
  store: Pick<Store, 'view' | 'watch' | 'update'>
  clock: Clock
  log: Log
  /** The agents' sessions at this leader. */
  agents: {
    readonly connectedNodes: readonly string[]
    askToRenew(nodeIds: readonly string[]): void
  }
  /** A new join token for this root certificate (PEM). */
  newJoinToken(rootCACert: string): string
}

/**
 * On the leader: brings every node to a certificate of the CA that signs now, and then puts a root that is to follow in the old one's
 * place. It remembers only whom it asked: what is left to do shows in the state, so that the next leader goes on.
 */
export class RootRotation {
  readonly #deps: RootRotationDeps
  readonly #askedMs = new Map<string, number>()
  /** The CA that they were asked to get a certificate of. */
  #askedFor = ''
  readonly #loop: LookLoop

  constructor(deps: RootRotationDeps) {
    this.#deps = deps
    const { store, clock, log } = deps
    this.#loop = new LookLoop(
      { store, clock, log, look: () => this.#look() },
      {
        kinds: ['node', 'cluster'],
        periodMs: LOOK_MS,
        failure: 'rotating the root CA is held up, will try again',
      },
    )
  }

  start(): void {
    this.#askedMs.clear()
    this.#loop.start()
  }

  stop(): void {
    this.#loop.stop()
  }

  async #look(): Promise<void> {
    const { store, clock, log, agents } = this.#deps
    const view = store.view()
    const cluster = view.cluster()
    if (!cluster) return
    if (this.#askedFor !== cluster.TLSInfo.CertIssuerPublicKey) {
      this.#askedFor = cluster.TLSInfo.CertIssuerPublicKey
      this.#askedMs.clear()
    }
    const connected = new Set(agents.connectedNodes)
    const nowMs = clock.nowMs()
    const plan = planRotation(cluster, view.list('node'), connected, this.#askedMs, nowMs)
    // One that does not do it is asked again and again, but told of once.
    const fresh = plan.ask.filter((nodeId) => !this.#askedMs.has(nodeId))
    if (fresh.length > 0) log.info({ nodes: fresh }, 'nodes are to renew their certificates')
    for (const nodeId of plan.ask) this.#askedMs.set(nodeId, nowMs)
    if (plan.ask.length > 0) agents.askToRenew(plan.ask)
    if (plan.isDone && cluster.Swarmctl.RootRotation) await this.#finish(cluster)
  }

  async #finish(seen: Cluster): Promise<void> {
    const { store, log, newJoinToken } = this.#deps
    const isFinished = await store.update((tx) => {
      const cluster = tx.cluster()
      const rotation = cluster?.Swarmctl.RootRotation
      // Another rotation may have begun, and a node that joins in this moment has shown no certificate yet.
      tx.touchAll('node')
      if (!rotation || rotation.CACert !== seen.Swarmctl.RootRotation?.CACert) return false
      if (!tx.list('node').every((node) => isCertified(cluster, node))) return false
      tx.put('cluster', withNewRoot(cluster, rotation, newJoinToken))
      return true
    })
    if (isFinished) log.info({}, 'the root CA is rotated: the old one is not trusted any more')
  }
}
