import { open, rename, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Makes a rename or a creation in a directory durable. */
export const syncDirectory = async (path: string): Promise<void> => {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/**
 * Replaces a file so that a crash leaves either the old or the new content: written beside it with mode 0600, synced,
 * renamed, and the directory synced. One writer per path at a time.
 */
export const writeFileAtomic = async (path: string, data: string | Uint8Array): Promise<void> => {
  const temporary = `${path}.new`
  // A leftover of a crash could have other permissions: it is not reused.
  await unlink(temporary).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  const file = await open(temporary, 'wx', 0o600)
  try {
    await file.writeFile(data)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  await syncDirectory(dirname(path))
}
