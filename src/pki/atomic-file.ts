import { mkdir, open, rename, unlink } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

/** Makes a rename or a creation in a directory durable. */
export const syncDirectory = async (path: string): Promise<void> => {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** Makes a directory, and those above it, durable: files in it are worth nothing when a power cut takes its name. */
export const makeDirectory = async (path: string, mode: number): Promise<void> => {
  const first = await mkdir(path, { recursive: true, mode })
  if (first === undefined) return
  for (let made = resolve(path); ; made = dirname(made)) {
    await syncDirectory(dirname(made))
    if (made === resolve(first) || made === dirname(made)) return
  }
}

/**
 * Replaces a file so that a crash leaves either the old or the new content: written beside it (mode 0600 if no other is asked for), synced,
 * renamed, and the directory synced. One writer per path at a time.
 */
export const writeFileAtomic = async (
  path: string,
  data: string | Uint8Array,
  mode = 0o600,
): Promise<void> => {
  const temporary = `${path}.new`
  // A leftover of a crash could have other permissions: it is not reused.
  await unlink(temporary).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  const file = await open(temporary, 'wx', mode)
  try {
    await file.writeFile(data)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  await syncDirectory(dirname(path))
}
