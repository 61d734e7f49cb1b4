import { reasonOf, StackFileProblem } from '../stack-error.ts'
import type { Path } from '../value.ts'

/** How stack files, and the files that they name, are reached. Paths are absolute; a rejection's message is shown to the user. */
export interface StackFiles {
  readText(path: string): Promise<string>
  readBytes(path: string): Promise<Uint8Array>
}

/** Files' bytes as text: UTF-8, or UTF-16 where a byte order mark says so, as PowerShell's `>` writes it. Thrown: Error. */
export const decodeText = (bytes: Uint8Array): string => {
  const [first, second] = bytes
  const mark = `${first},${second}`
  const encoding = mark === '255,254' ? 'utf-16le' : mark === '254,255' ? 'utf-16be' : 'utf-8'
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new Error(`it is not text in ${encoding.toUpperCase()}`, { cause })
  }
}

/** A file's text; `named` is what the stack file at `place` calls it. Thrown: StackFileProblem. */
export const readNamed = async (
  io: StackFiles,
  path: string,
  named: string,
  place: Path,
): Promise<string> => {
  try {
    return await io.readText(path)
  } catch (cause) {
    throw new StackFileProblem(place, `${named}: cannot be read: ${reasonOf(cause)}`, { cause })
  }
}
