import type { Clock } from '../api/clock.ts'
import { toSwarmctlError } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import type { ManagerRuntime } from './manager-runtime.ts'

/** Asking the others to go on without this manager may take this long. */
const STEP_DOWN_MS = 5_000
const POLL_MS = 50

/** The other managers are asked to go on without this one; when they can't be reached it leaves all the same. */
export const stepDown = async (
  runtime: ManagerRuntime,
  nodeId: string,
  { clock, log }: { clock: Clock; log: Log },
): Promise<void> => {
  let isOver = false
  const limit = new Promise<void>((resolve) => {
    clock.schedule(STEP_DOWN_MS, () => {
      isOver = true
      resolve()
    })
  })
  const isAlone = () => {
    const nodes = runtime.store.view().list('node')
    return nodes.filter((node) => node.ManagerStatus).length < 2
  }
  const steps = async () => {
    if (runtime.isLeader) await runtime.demote(nodeId)
    else await runtime.requestLeader('manager.step-down', {})
    while (!isOver && !runtime.isRemoved && !isAlone()) {
      await new Promise<void>((resolve) => clock.schedule(POLL_MS, resolve))
    }
  }
  const told = steps().catch((error) =>
    log.warn(
      { error: toSwarmctlError(error).message },
      'leaving without the agreement of the other managers',
    ),
  )
  await Promise.race([limit, told])
}
