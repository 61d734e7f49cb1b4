import { type ErrorCode, toSwarmctlError } from '../../api/errors.ts'
import type { Log } from '../../api/log.ts'
import { shortIdOf } from '../../api/short-id.ts'

/** What the Engine says when it can't inspect one container: it fails by that (a damaged layer), or it hangs and answers otherwise. */
const OF_ONE: ReadonlySet<ErrorCode> = new Set(['INTERNAL', 'TIMEOUT'])

/** Inspects all that a list names. One that can't be inspected keeps nothing of the others from being known; it is told of once. */
export class InspectEach {
  readonly #log: Log
  /** Of the last list. */
  #told = new Set<string>()

  constructor(deps: { log: Log }) {
    this.#log = deps.log
  }

  /** `otherwise` stands for one that can't be inspected. @throws what is no matter of one container */
  async run<L extends { Id: string }, T>(
    listed: readonly L[],
    inspect: (one: L) => Promise<T>,
    otherwise: (one: L) => T,
  ): Promise<T[]> {
    const before = this.#told
    const told = new Set<string>()
    const all = await Promise.all(
      listed.map(async (one) => {
        try {
          return await inspect(one)
        } catch (thrown) {
          const { code, message } = toSwarmctlError(thrown)
          if (!OF_ONE.has(code)) throw thrown
          told.add(one.Id)
          if (!before.has(one.Id))
            this.#log.warn(
              { container: shortIdOf(one.Id), error: message },
              'the Docker Engine can not inspect a container: no more is known than it lists',
            )
          return otherwise(one)
        }
      }),
    )
    this.#told = told
    return all
  }
}
