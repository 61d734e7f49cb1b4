import { isDeepStrictEqual } from 'node:util'
import { SwarmctlError, unavailable } from '../../api/errors.ts'
import { mergeSwarmSpec } from '../../api/merge-swarm-spec.ts'
import type { Cluster } from '../../api/swarm.ts'
import { parseSwarmSpec } from '../../api/validate/swarm.ts'
import { prepareCAUpdate, withCAUpdate } from '../ca/ca-update.ts'
import { withoutSigningCA } from '../ca/signing-ca.ts'
import { THIS_TRANSACTION } from '../store/this-transaction.ts'
import type { View } from '../store/view.ts'
import { type ControlDeps, type ReadOptions, readView, requireVersion } from './context.ts'
import { redactCluster } from './redact.ts'

export interface UpdateClusterOptions {
  rotateWorkerToken?: boolean
  rotateManagerToken?: boolean
  rotateManagerUnlockKey?: boolean
}

/** The verbs of `/swarm` that change the cluster object. */
export class ClusterVerbs {
  readonly #deps: ControlDeps

  constructor(deps: ControlDeps) {
    this.#deps = deps
  }

  async get(options: ReadOptions): Promise<Cluster> {
    return redactCluster(requireCluster(await readView(this.#deps, options)))
  }

  /** The key that unlocks a restarted manager, empty when managers don't lock. */
  async unlockKey(): Promise<string> {
    return requireCluster(await readView(this.#deps)).Swarmctl.UnlockKey ?? ''
  }

  async update(version: number, body: unknown, options: UpdateClusterOptions): Promise<void> {
    const sent = parseSwarmSpec(body)
    const before = requireCluster(await readView(this.#deps))
    requireCurrent(version, before)
    const caUpdate = await prepareCAUpdate(this.#deps, before, sent.CAConfig ?? {})
    await this.#deps.store.update((tx) => {
      const current = requireCluster(tx)
      requireCurrent(version, current)
      if (caUpdate.kind !== 'none') requireSameCA(before, current)
      const cluster = withCAUpdate(current, caUpdate)
      const asked = saysLabels(body) ? sent : { ...sent, Labels: cluster.Spec.Labels }
      const spec = withoutSigningCA(mergeSwarmSpec(asked, cluster.Spec))
      const newToken = () => this.#deps.newJoinToken(cluster.Swarmctl.RootCACert)
      const { UnlockKey, ...ours } = cluster.Swarmctl
      const key = this.#unlockKey(
        UnlockKey,
        spec.EncryptionConfig?.AutoLockManagers === true,
        options.rotateManagerUnlockKey === true,
      )
      tx.put('cluster', {
        ...cluster,
        Spec: spec,
        JoinTokens: {
          Worker: options.rotateWorkerToken ? newToken() : cluster.JoinTokens.Worker,
          Manager: options.rotateManagerToken ? newToken() : cluster.JoinTokens.Manager,
        },
        Swarmctl: {
          ...ours,
          SpecVersion: THIS_TRANSACTION,
          ...(key !== undefined && { UnlockKey: key }),
        },
      })
    })
  }

  #unlockKey(
    current: string | undefined,
    isLocking: boolean,
    isRotating: boolean,
  ): string | undefined {
    if (!isLocking) return undefined
    if (this.#deps.newUnlockKey === undefined) {
      throw new SwarmctlError('UNIMPLEMENTED', 'autolock is not supported yet: leave it off')
    }
    return current === undefined || isRotating ? this.#deps.newUnlockKey() : current
  }
}

/** `{}` takes all labels away; Go's `null` says nothing of them. */
const saysLabels = (body: unknown): boolean =>
  ((body as { Labels?: unknown } | null)?.Labels ?? undefined) !== undefined

const requireCurrent = (version: number, { Swarmctl, Version }: Cluster): void =>
  requireVersion(version, Swarmctl.SpecVersion ?? 0, Version.Index)

/** A rotation that came to its end meanwhile is no user's change: the version does not tell. */
const requireSameCA = (before: Cluster, now: Cluster): void => {
  if (isDeepStrictEqual(now.TLSInfo, before.TLSInfo)) return
  throw unavailable("the swarm's root CA has just been rotated: try again")
}

const requireCluster = (view: View): Cluster => {
  const cluster = view.cluster()
  if (cluster === undefined) throw unavailable('the cluster is not initialised yet: try again')
  return cluster
}
