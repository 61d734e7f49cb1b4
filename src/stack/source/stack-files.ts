import { reasonOf, StackFileProblem } from '../stack-error.ts'
import type { Path } from '../value.ts'

/** How stack files, and the files that they name, are reached. Paths are absolute; a rejection's message is shown to the user. */
export interface StackFiles {
  readText(path: string): Promise<string>
  readBytes(path: string): Promise<Uint8Array>
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
