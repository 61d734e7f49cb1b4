import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Clock } from '../api/clock.ts'
import { toSwarmctlError } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import { writeFileAtomic } from '../pki/atomic-file.ts'
import type { Executor } from '../worker/executor.ts'
import { removeContainers } from '../worker/remove-containers.ts'

/** How often an Engine that is down is asked again. */
const RETRY_MS = 5_000
/** Nodes that this machine was and left while its Engine was down; the oldest are given up. */
const NODES_MAX = 16

const LeftoversFile = z.object({
  format: z.literal(1),
  nodeIds: z.array(z.string()).max(NODES_MAX),
})

export interface LeftoversDeps {
  executor: Pick<Executor, 'list' | 'remove'>
  /** Called when the containers are gone: what only they held can go too. */
  onRemoved: () => Promise<void>
  clock: Clock
  log: Log
}

/**
 * Nodes that this machine was, and whose containers may be left: it remembers them on disk before it forgets anything else, and removes
 * the containers as soon as the Engine answers.
 */
export class Leftovers {
  readonly #deps: LeftoversDeps
  readonly #path: string
  #nodeIds: readonly string[] = []
  #cancel: () => void = () => {}
  #isBusy = false
  /** Why containers stay, as it was told last. */
  #toldWhy = ''
  #isStopped = false

  constructor(deps: LeftoversDeps, options: { dataDir: string }) {
    this.#deps = deps
    this.#path = join(options.dataDir, 'leftovers.json')
  }

  /** Goes on with what an earlier daemon left. A leave of `memberId` was cut short: it is a member still, and its containers are its own. */
  async start(memberId?: string): Promise<void> {
    this.#nodeIds = (await this.#load()).filter((id) => id !== memberId)
    this.look()
  }

  stop(): void {
    this.#isStopped = true
    this.#cancel()
  }

  /** Durable when it resolves. */
  add(nodeId: string): Promise<void> {
    const others = this.#nodeIds.filter((id) => id !== nodeId)
    return this.#store([...others, nodeId].slice(-NODES_MAX))
  }

  /** Nothing of this node is left. */
  done(nodeId: string): Promise<void> {
    return this.#store(this.#nodeIds.filter((id) => id !== nodeId))
  }

  /** Removes a node's containers; how many there were. */
  async remove(nodeId: string): Promise<number> {
    const { executor } = this.#deps
    const containers = await executor.list(nodeId)
    await removeContainers(containers, (id) => executor.remove(id))
    return containers.length
  }

  /** Removes what can be removed now, and tries again later what can't. */
  look(): void {
    if (this.#isBusy || this.#nodeIds.length === 0) return
    this.#isBusy = true
    this.#removeAll()
      .catch((error) => {
        const { message, code } = toSwarmctlError(error)
        // Once: it may stay so for long.
        if (code !== 'ENGINE_UNAVAILABLE' && message !== this.#toldWhy) {
          this.#toldWhy = message
          this.#deps.log.warn(
            { error: message },
            'containers of a swarm that was left stay for now',
          )
        }
        this.#cancel()
        if (!this.#isStopped) this.#cancel = this.#deps.clock.schedule(RETRY_MS, () => this.look())
      })
      .finally(() => {
        this.#isBusy = false
      })
  }

  async #removeAll(): Promise<void> {
    const failures: unknown[] = []
    for (const nodeId of this.#nodeIds) {
      try {
        await this.#removeAllOf(nodeId)
      } catch (error) {
        // One that does not answer for this node does for no other.
        if (toSwarmctlError(error).code === 'ENGINE_UNAVAILABLE') throw error
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }

  async #removeAllOf(nodeId: string): Promise<void> {
    const count = await this.remove(nodeId)
    await this.#deps.onRemoved()
    await this.done(nodeId)
    this.#deps.log.info({ node: nodeId, count }, 'removed what was left of a node')
  }

  async #load(): Promise<readonly string[]> {
    try {
      return LeftoversFile.parse(JSON.parse(await readFile(this.#path, 'utf8'))).nodeIds
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
        this.#deps.log.warn({ path: this.#path }, 'can not be read: it is passed over')
      }
      return []
    }
  }

  async #store(nodeIds: readonly string[]): Promise<void> {
    if (nodeIds.length > 0) {
      await writeFileAtomic(this.#path, `${JSON.stringify({ format: 1, nodeIds })}\n`)
    } else await rm(this.#path, { force: true })
    this.#nodeIds = nodeIds
  }
}
