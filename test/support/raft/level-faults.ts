import { Level } from 'level'

/**
 * What the disk does with a batch: `refused` leaves nothing of it; `stored` tells of a failure (its sync failed) though LevelDB
 * finds the batch in its log when it is opened again.
 */
export type BatchFault = 'refused' | 'stored'

/** LevelDB on a disk with faults: the next batches meet those in the list, one each. Ends with the test. */
export function levelFaults(t: { teardown(run: () => void): void }): BatchFault[] {
  const faults: BatchFault[] = []
  interposeLevel(t, 'batch', async (_, proceed) => {
    const fault = faults.shift()
    if (fault !== 'refused') await proceed()
    if (fault !== undefined) throw new Error('EIO')
  })
  return faults
}

/** Comes between callers and one of LevelDB's methods until the test ends; `proceed` does what was asked for. */
export function interposeLevel(
  t: { teardown(run: () => void): void },
  name: 'batch' | 'clear' | 'get' | 'iterator',
  answer: (args: readonly unknown[], proceed: () => unknown) => unknown,
): void {
  const prototype = Level.prototype as unknown as Record<string, (...args: unknown[]) => unknown>
  const real = prototype[name] as (...args: unknown[]) => unknown
  const isOwn = Object.hasOwn(prototype, name)
  prototype[name] = function (this: unknown, ...args) {
    return answer(args, () => real.apply(this, args))
  }
  t.teardown(() => {
    if (isOwn) prototype[name] = real
    else delete prototype[name]
  })
}
