import { open, rename } from 'node:fs/promises'

/** Replaces a file's content so that after a crash it holds either the old or the new one. Readable by the owner only. */
export const replaceFile = async (path: string, text: string): Promise<void> => {
  const draft = `${path}.new`
  const file = await open(draft, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(draft, path)
}
