// What LevelDB's errors say of the stored state.

import { type RaftError, StorageCorruptError, StorageFailedError } from './errors.ts'

/** Why it could not be opened. */
export function openError(cause: unknown): RaftError {
  // The error that comes says only that; its cause says why.
  const inner = cause instanceof Error ? cause.cause : undefined
  if (isDamage(inner)) return damaged(cause)
  if (codeOf(inner) === 'LEVEL_LOCKED') {
    return new StorageFailedError('another process uses the data directory', { cause })
  }
  return new StorageFailedError('the state could not be opened', { cause })
}

/**
 * What is read, or why it can't be. LevelDB opens a table, and looks at a block of it, when something in it is asked for: it may
 * find damage long after it was opened.
 */
export async function reading<T>(read: Promise<T>): Promise<T> {
  try {
    return await read
  } catch (cause) {
    if (isDamage(cause)) throw damaged(cause)
    throw new StorageFailedError(`the state could not be read (${String(cause)})`, { cause })
  }
}

/** A table or the list of them that isn't there any more is reported as an error of reading. */
function isDamage(error: unknown): boolean {
  const code = codeOf(error)
  return (
    code === 'LEVEL_CORRUPTION' || (code === 'LEVEL_IO_ERROR' && /No such file/.test(String(error)))
  )
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

function damaged(cause: unknown): StorageCorruptError {
  return new StorageCorruptError('the state is damaged', { cause })
}
