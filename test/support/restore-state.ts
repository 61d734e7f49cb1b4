import type { StoreState } from '../../src/manager/store/state.ts'

/** Replaces a store's state, as a start does. */
export const restoreState = async (
  state: StoreState,
  index: number,
  entries: Iterable<readonly [key: string, value: Uint8Array]>,
): Promise<void> => {
  const restore = state.beginRestore(index)
  restore.add(entries)
  await restore.commit(() => Promise.resolve())
}
