import type { Clock } from '../api/clock.ts'
import { SwarmctlError, toSwarmctlError } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import { NETWORK_LABEL } from '../overlay/names.ts'
import { checkEngine, DockerExecutor } from '../worker/docker/docker-executor.ts'
import type { Engine } from './engine.ts'
import { Leftovers } from './leftovers.ts'
import type { Member } from './member.ts'
import { loadNodeRecord } from './node-file.ts'
import { LEFT_CONTAINERS, leaveWithoutEngine, stillMember } from './refusals.ts'

export interface DepartureDeps {
  engine: Engine
  /** Whether this machine is in no swarm now. */
  isInactive: () => boolean
  clock: Clock
  log: Log
}

/** How a node leaves: nothing that it made stays behind for good, whether or not its Engine answers. */
export class Departure {
  readonly #deps: DepartureDeps
  readonly #dataDir: string
  readonly #leftovers: Leftovers

  constructor(deps: DepartureDeps, options: { dataDir: string }) {
    this.#deps = deps
    this.#dataDir = options.dataDir
    const { engine, isInactive, clock, log } = deps
    this.#leftovers = new Leftovers(
      {
        ...{ clock, log },
        executor: new DockerExecutor({ engine: engine.client, log }),
        // In a swarm again, the networks are that one's.
        onRemoved: async () => {
          if (isInactive()) await engine.removeNetworks(NETWORK_LABEL)
        },
      },
      options,
    )
  }

  /** Goes on with what an earlier daemon could not remove. */
  async start(): Promise<void> {
    await this.#leftovers.start(await this.#storedId())
  }

  stop(): void {
    this.#leftovers.stop()
  }

  /** Throws ENGINE_UNAVAILABLE with what to do when the Engine does not answer. */
  async requireEngine(): Promise<void> {
    const why = await this.#whyEngineIsDown()
    if (why !== undefined) throw new SwarmctlError('ENGINE_UNAVAILABLE', leaveWithoutEngine(why))
  }

  /**
   * Takes away all of a member. Its containers are remembered before, and removed later where they can't be now; with the Engine up it
   * resolves with the reason. A disk that does not take that is no reason to stay: what leaves may make room on it.
   * @throws SwarmctlError UNAVAILABLE: nobody would know of the containers any more, so that the node has to stay a member
   */
  async leave(member: Member): Promise<unknown> {
    const { nodeId } = member.record
    const isRemembered = await this.#isRemembered(nodeId)
    try {
      await member.leave()
    } catch (error) {
      if (!isRemembered && !(await this.#isRemembered(nodeId))) throw stillMember(error)
      this.#leftovers.look()
      if ((await this.#whyEngineIsDown()) === undefined) return error
      this.#deps.log.warn({ node: nodeId }, LEFT_CONTAINERS)
      return undefined
    }
    // Nothing is left: looking again later, should the disk not take that now, harms nobody.
    await this.#leftovers.done(nodeId).catch(() => this.#leftovers.look())
    return undefined
  }

  /**
   * Of a node that can't be a member any more, by what its disk lost, the containers are remembered, for `look` to remove; or removed at once,
   * when they can't be. @throws as `leave`
   */
  async remember(): Promise<void> {
    const nodeId = await this.#storedId()
    if (nodeId === undefined || (await this.#isRemembered(nodeId))) return
    try {
      await this.#leftovers.remove(nodeId)
    } catch (error) {
      throw stillMember(error)
    }
  }

  look(): void {
    this.#leftovers.look()
  }

  /** Whether the disk has taken whose containers may be left. */
  async #isRemembered(nodeId: string): Promise<boolean> {
    try {
      await this.#leftovers.add(nodeId)
      return true
    } catch (thrown) {
      const error = (thrown as Error).message
      this.#deps.log.error({ node: nodeId, error }, 'can not note whose containers may be left')
      return false
    }
  }

  /** Undefined as well for a record that can't be read. */
  async #storedId(): Promise<string | undefined> {
    const { nodeId } = (await loadNodeRecord(this.#dataDir).catch(() => undefined)) ?? {}
    return typeof nodeId === 'string' ? nodeId : undefined
  }

  async #whyEngineIsDown(): Promise<string | undefined> {
    try {
      await checkEngine(this.#deps.engine.client)
      return undefined
    } catch (error) {
      const { code, message } = toSwarmctlError(error)
      return code === 'ENGINE_UNAVAILABLE' ? message : undefined
    }
  }
}
