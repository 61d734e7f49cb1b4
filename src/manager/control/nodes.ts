import { precondition } from '../../api/errors.ts'
import {
  type Filters,
  filterWords,
  matchesAny,
  matchesLabels,
  matchesPrefix,
  requireFilterKeys,
} from '../../api/filters.ts'
import type { Node } from '../../api/node.ts'
import { parseNodeSpec } from '../../api/validate/swarm.ts'
import { removeNodes } from '../membership/forget-managers.ts'
import { THIS_TRANSACTION } from '../store/this-transaction.ts'
import type { View } from '../store/view.ts'
import { type ControlDeps, type ReadOptions, readView, requireVersion } from './context.ts'
import { resolve } from './resolve.ts'

const FILTER_KEYS = ['id', 'label', 'name', 'role', 'membership', 'node.label'] as const

/** The verbs of `/nodes`. */
export class Nodes {
  readonly #deps: ControlDeps

  constructor(deps: ControlDeps) {
    this.#deps = deps
  }

  async get(reference: string, options: ReadOptions): Promise<Node> {
    return resolve(await readView(this.#deps, options), 'node', reference)
  }

  async list(filters: Filters, options: ReadOptions): Promise<Node[]> {
    requireFilterKeys(filters, FILTER_KEYS)
    const roles = filterWords(filters, 'role', ['worker', 'manager'])
    const memberships = filterWords(filters, 'membership', ['accepted', 'pending'])
    const view = await readView(this.#deps, options)
    return view.list('node').filter(
      (node) =>
        matchesPrefix(filters.id, node.ID) &&
        matchesPrefix(filters.name, node.Description.Hostname) &&
        matchesLabels(filters.label, node.Description.Engine.Labels) &&
        matchesLabels(filters['node.label'], node.Spec.Labels) &&
        // The role that it has, which is not yet the wanted one while it changes.
        matchesAny(roles, node.Swarmctl.ObservedRole) &&
        // A node that has an object has joined.
        matchesAny(memberships, 'accepted'),
    )
  }

  /** Changes labels, availability and the wanted role; the node gets that role when it renews its certificate. */
  async update(reference: string, version: number, body: unknown): Promise<void> {
    const spec = parseNodeSpec(body)
    await this.#deps.store.update((tx) => {
      const node = resolve(tx, 'node', reference)
      requireVersion(version, node.Swarmctl.SpecVersion ?? 0, node.Version.Index)
      if (node.Spec.Role === 'manager' && spec.Role === 'worker') {
        requireDemotable(tx, node)
        // Two managers demoted at once could together be too many.
        tx.touchAll('node')
      }
      tx.put('node', {
        ...node,
        Spec: spec,
        Swarmctl: { ...node.Swarmctl, SpecVersion: THIS_TRANSACTION },
      })
    })
  }

  /** Forgets a node and refuses its certificate from then on. */
  async remove(reference: string, isForced: boolean): Promise<void> {
    await this.#deps.store.update((tx) => {
      const node = resolve(tx, 'node', reference)
      if (node.Spec.Role === 'manager' || node.ManagerStatus !== undefined) {
        throw precondition(
          `node ${node.ID} is a cluster manager and is a member of the raft cluster. It must be demoted to worker before removal`,
        )
      }
      if (!isForced && node.Status.State === 'ready') {
        throw precondition(`node ${node.ID} is not down and can't be removed`)
      }
      removeNodes(tx, [node.ID])
    })
  }
}

/** @throws SwarmctlError FAILED_PRECONDITION when the managers that stay could not decide anything */
const requireDemotable = (view: View, node: Node): void => {
  const others = view
    .list('node')
    .filter((other) => other.ID !== node.ID && other.Spec.Role === 'manager')
  if (others.length === 0) {
    throw precondition('attempting to demote the last manager of the swarm')
  }
  const members = others.filter((other) => other.ManagerStatus !== undefined)
  const reachable = members.filter((other) => other.ManagerStatus?.Reachability === 'reachable')
  const quorum = Math.floor(members.length / 2) + 1
  if (reachable.length < quorum) {
    throw precondition("can't remove member from the raft: this would result in a loss of quorum")
  }
}
