// LevelDB's tables, looked at before it opens them. It compares no sums (its binding can't ask for that) and takes what it finds for
// what it wrote: a damaged length of a key fails an assertion, which ends the process, at this start and at each one after it.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { StorageCorruptError, StorageFailedError } from './errors.ts'
import { tablesIn } from './level-manifest.ts'
import { checkTable } from './level-table.ts'

/** What LevelDB's CURRENT says: which file is the list of its tables. */
const CURRENT = /^(MANIFEST-\d+)\n$/

/**
 * Throws StorageCorruptError when a table in use is damaged. Others may be: a crash leaves them half written, and LevelDB removes
 * them.
 */
export async function checkTables(directory: string): Promise<void> {
  const current = await readIfThere(join(directory, 'CURRENT'))
  if (current === undefined) return
  const [, name] = CURRENT.exec(current.toString()) ?? []
  // Written whole, or not at all: an empty one, or zeros, is damage, and no path to read.
  if (name === undefined) throw new StorageCorruptError('the state is damaged')
  const manifest = await readIfThere(join(directory, name))
  if (manifest === undefined) return
  for (const number of soundly(() => tablesIn(manifest))) {
    const table = await readIfThere(join(directory, `${String(number).padStart(6, '0')}.ldb`))
    if (table !== undefined) soundly(() => checkTable(table))
  }
}

/** Damaged numbers lead anywhere: whatever a look stumbles over is damage. */
function soundly<T>(look: () => T): T {
  try {
    return look()
  } catch (cause) {
    throw new StorageCorruptError('the state is damaged', { cause })
  }
}

/** What is gone LevelDB misses itself. */
async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    throw new StorageFailedError(`the state could not be read (${String(cause)})`, { cause })
  }
}
