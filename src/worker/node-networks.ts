import type { OverlayMessage } from '../api/assignment.ts'
import { withoutRecord } from '../api/attachment-record.ts'
import type { Clock } from '../api/clock.ts'
import { toSwarmctlError } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import type { Network } from '../api/network.ts'
import { isNodeLocal, nodeLocalName, nodeLocalNetworks } from '../api/node-local-network.ts'
import type { Task } from '../api/task.ts'
import {
  LOCAL_NETWORK_REMOVE_MAX_MS,
  LOCAL_NETWORK_REMOVE_MS,
  LOCAL_NETWORK_START_MS,
} from './limits.ts'
import type { ListenWait, OverlayPort, TaskWiring } from './overlay-port.ts'
import { hasOverlay } from './task-progress.ts'

/** The Engine's networks that stand for node-local ones. Rejects as `Executor` does. */
export interface LocalNetworks {
  /** Makes it unless it is there. Rejects with FAILED_PRECONDITION and the Engine's words when it can't be made here. */
  ensure(network: Network): Promise<void>
  /** Removes what `isUsed` does not name, by the cluster's id. False: one is left, since a container is still on it. */
  removeUnused(isUsed: (networkId: string) => boolean): Promise<boolean>
}

/**
 * The node's data plane, and beside it the networks that each node makes by itself: those are there as long as something of this node is
 * on them. Which they are the Engine remembers, so nothing else has to.
 */
export class NodeNetworks implements OverlayPort {
  readonly #overlay: OverlayPort
  readonly #local: LocalNetworks
  readonly #clock: Clock
  readonly #log: Log
  /** Ids of node-local networks, by task. */
  readonly #used = new Map<string, string[]>()
  /** Making and removing, one at a time. */
  #last: Promise<unknown> = Promise.resolve()
  #retryMs = LOCAL_NETWORK_REMOVE_MS
  #hasBegun = false
  #cancel: (() => void) | undefined
  #isClosed = false

  constructor(deps: { overlay: OverlayPort; local: LocalNetworks; clock: Clock; log: Log }) {
    this.#overlay = deps.overlay
    this.#local = deps.local
    this.#clock = deps.clock
    this.#log = deps.log
  }

  take(message: OverlayMessage): void {
    this.#overlay.take(message)
  }

  held(): Promise<void> {
    return this.#overlay.held()
  }

  /** What an earlier run left is looked for once, when the containers are back that the Engine starts by itself. */
  setSelf(node: { nodeId: string; index: number }): Promise<void> {
    if (!this.#hasBegun) this.#removeLater(LOCAL_NETWORK_START_MS)
    this.#hasBegun = true
    return this.#overlay.setSelf(node)
  }

  async attach(task: Task): Promise<TaskWiring> {
    const local = nodeLocalNetworks(task)
    if (local.length > 0) {
      // First: what is wanted now must not be removed in between.
      this.#used.set(
        task.ID,
        local.map(({ ID }) => ID),
      )
      await this.#inTurn(async () => {
        for (const network of local) await this.#local.ensure(network)
      })
    }
    return wiringOf(task, hasOverlay(task) ? await this.#overlay.attach(task) : undefined)
  }

  answerFor(taskId: string, pid: number): void {
    this.#overlay.answerFor(taskId, pid)
  }

  async detach(taskId: string): Promise<void> {
    if (this.#used.delete(taskId)) {
      this.#retryMs = LOCAL_NETWORK_REMOVE_MS
      await this.#removeUnused()
    }
    await this.#overlay.detach(taskId)
  }

  drain(task: Task, containerPid: number, limitMs: number, signal: AbortSignal): Promise<void> {
    return this.#overlay.drain(task, containerPid, limitMs, signal)
  }

  listening(task: Task, pid: number, wait: ListenWait, signal: AbortSignal): Promise<void> {
    return this.#overlay.listening(task, pid, wait, signal)
  }

  dropEndpoint(taskId: string): void {
    this.#overlay.dropEndpoint(taskId)
  }

  async close(): Promise<void> {
    this.#end()
    await this.#overlay.close()
  }

  async destroy(): Promise<void> {
    this.#end()
    try {
      const isClean = await this.#inTurn(() => this.#local.removeUnused(() => false))
      if (!isClean) this.#log.warn({}, 'a container still uses a network of the swarm')
    } finally {
      await this.#overlay.destroy()
    }
  }

  #end(): void {
    this.#isClosed = true
    this.#cancel?.()
  }

  /** The Engine tells that a container ended before it has taken it off its networks: what is still in use is tried again. */
  async #removeUnused(): Promise<void> {
    const isUsed = (id: string) => [...this.#used.values()].some((ids) => ids.includes(id))
    try {
      const isClean = await this.#inTurn(() => this.#local.removeUnused(isUsed))
      if (isClean) return
    } catch (thrown) {
      const error = toSwarmctlError(thrown)
      this.#log.debug({ error: error.message }, 'node-local networks stay for now')
    }
    this.#removeLater(this.#retryMs)
    this.#retryMs = Math.min(this.#retryMs * 2, LOCAL_NETWORK_REMOVE_MAX_MS)
  }

  #removeLater(delayMs: number): void {
    if (this.#isClosed) return
    this.#cancel?.()
    this.#cancel = this.#clock.schedule(delayMs, () => void this.#removeUnused())
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(run, run)
    this.#last = turn.catch(() => {})
    return turn
  }
}

/** All networks in the order of the task's attachments. Without an overlay names are asked of whom the spec says. */
const wiringOf = (task: Task, overlay: TaskWiring | undefined): TaskWiring => {
  const overlays = [...(overlay?.networks ?? [])]
  const dns = task.Spec.ContainerSpec?.DNSConfig ?? {}
  return {
    dns: dns.Nameservers ?? [],
    dnsSearch: dns.Search ?? [],
    dnsOptions: dns.Options ?? [],
    ...overlay,
    networks: (task.NetworksAttachments ?? []).flatMap(({ Network, Addresses }) => {
      if (Addresses.length > 0) return overlays.splice(0, 1)
      if (!isNodeLocal(Network)) return []
      const asked = task.Spec.Networks?.find(({ Target }) => Target === Network.ID)
      const ipv4Address = asked?.Swarmctl?.IPv4Address ?? ''
      // The Engine's driver has them, as moby's executor passes them on; a record is of a single container's attachment, never of a task's.
      const driverOpts = withoutRecord(asked?.DriverOpts ?? {})
      const dockerNetwork = nodeLocalName(Network.ID)
      return [{ dockerNetwork, ipv4Address, aliases: [], ...(driverOpts && { driverOpts }) }]
    }),
  }
}
