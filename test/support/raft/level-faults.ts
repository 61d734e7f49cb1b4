import { Level } from 'level'

/**
 * What the disk does with a batch: `refused` leaves nothing of it; `stored` tells of a failure (its sync failed) though LevelDB
 * finds the batch in its log when it is opened again.
 */
export type BatchFault = 'refused' | 'stored'

/** LevelDB on a disk with faults: the next batches meet those in the list, one each. Ends with the test. */
export function levelFaults(t: { teardown(run: () => void): void }): BatchFault[] {
  const faults: BatchFault[] = []
  const prototype = Level.prototype as unknown as Record<string, (...args: unknown[]) => unknown>
  const name = 'batch'
  const real = prototype[name] as (...args: unknown[]) => Promise<unknown>
  const isOwn = Object.hasOwn(prototype, name)
  prototype[name] = async function (this: unknown, ...args) {
    const fault = faults.shift()
    if (fault !== 'refused') await real.apply(this, args)
    if (fault !== undefined) throw new Error('EIO')
  }
  t.teardown(() => {
    if (isOwn) prototype[name] = real
    else delete prototype[name]
  })
  return faults
}
