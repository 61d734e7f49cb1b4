import { identify, isAlive } from '../../test/support/lab/process-table.ts'
import { sweepSlots } from '../../test/support/lab/slot.ts'
import { endProcess } from './end-process.ts'
import { removeMachineSite } from './machine-site.ts'
import { type LabState, loadState, removeState } from './state.ts'

const END_TIMEOUT_MS = 60_000

/** Whether the demo that keeps its notes in `dir` runs. */
export const isUp = (dir: string): boolean => {
  const state = loadState(dir)
  if (state === undefined) return false
  return isAlive(state.kind === 'lab' ? state.keeper : state.daemon)
}

/**
 * Removes everything of the demo in `dir`; returns whether there was one. `keeperPid` is a keeper that may not have written
 * its notes yet.
 */
export const takeDown = async (
  dir: string,
  options: { readonly keeperPid?: number | undefined } = {},
): Promise<boolean> => {
  const keeper = options.keeperPid === undefined ? undefined : identify(options.keeperPid)
  if (keeper !== undefined) await endProcess(keeper, END_TIMEOUT_MS)
  const state = loadState(dir)
  switch (state?.kind) {
    case 'lab':
      await removeLab(state)
      break
    case 'machine':
      await removeMachineSite(dir, state)
      break
    case undefined:
      break
    default:
      state satisfies never
  }
  removeState(dir)
  return state !== undefined
}

/** The keeper removes its hosts as it ends; after a keeper that was killed the sweep does, by the slot's owner. */
const removeLab = async ({ keeper }: LabState): Promise<void> => {
  await endProcess(keeper, END_TIMEOUT_MS)
  sweepSlots()
}
