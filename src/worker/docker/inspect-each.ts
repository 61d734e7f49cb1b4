import { type ErrorCode, toSwarmctlError } from '../../api/errors.ts'
import type { Log } from '../../api/log.ts'
import { shortIdOf } from '../../api/short-id.ts'

/** What the Engine says when it can't inspect one container: it fails by that (a damaged layer), or it hangs and answers otherwise. */
const OF_ONE: ReadonlySet<ErrorCode> = new Set(['INTERNAL', 'TIMEOUT'])

/** Containers that were told of; of more the oldest would be told of again. */
const TOLD_MAX = 1000

/** Inspects all that a list names. One that can't be inspected keeps nothing of the others from being known; it is told of once. */
export class InspectEach {
  readonly #log: Log
  /** What can't be inspected, as it was last: each list may be of another node's containers. */
  readonly #told = new Set<string>()

  constructor(deps: { log: Log }) {
    this.#log = deps.log
  }

  /** `otherwise` stands for one that can't be inspected. @throws what is no matter of one container */
  async run<L extends { Id: string }, T>(
    listed: readonly L[],
    inspect: (one: L) => Promise<T>,
    otherwise: (one: L) => T,
  ): Promise<T[]> {
    return Promise.all(
      listed.map(async (one) => {
        try {
          const inspected = await inspect(one)
          this.#told.delete(one.Id)
          return inspected
        } catch (thrown) {
          const { code, message } = toSwarmctlError(thrown)
          if (!OF_ONE.has(code)) throw thrown
          this.#tell(one.Id, message)
          return otherwise(one)
        }
      }),
    )
  }

  #tell(id: string, error: string): void {
    if (this.#told.has(id)) return
    const [oldest] = this.#told
    if (oldest !== undefined && this.#told.size >= TOLD_MAX) this.#told.delete(oldest)
    this.#told.add(id)
    this.#log.warn(
      { container: shortIdOf(id), error },
      'the Docker Engine can not inspect a container: no more is known than it lists',
    )
  }
}
