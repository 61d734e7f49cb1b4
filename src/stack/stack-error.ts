import { SwarmctlError } from '../api/errors.ts'
import { type Path, pathText } from './value.ts'

/** An error in one place of a stack file: `services.web.ports.0: …`, without the file, which the caller adds. */
export class StackFileProblem extends Error {
  override readonly name = 'StackFileProblem'
  readonly path: Path

  constructor(path: Path, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.path = path
  }
}

/** Thrown when a file is refused: one line (or one a problem) that names file, key and reason. */
export const stackFileError = (file: string, text: string, cause?: unknown): SwarmctlError =>
  new SwarmctlError('INVALID_ARGUMENT', `${file}: ${text}`, { cause })

/** Runs `read`; a problem becomes the error that names `file`. Anything else passes. */
export const inFile = <T>(file: string, read: () => T): T => {
  try {
    return read()
  } catch (thrown) {
    if (!(thrown instanceof StackFileProblem)) throw thrown
    throw stackFileError(file, `${pathText(thrown.path)}: ${thrown.message}`, thrown)
  }
}

/** Runs a parser that throws plain errors; its message gets the place `path`. */
export const at = <T>(path: Path, parse: () => T): T => {
  try {
    return parse()
  } catch (thrown) {
    if (thrown instanceof StackFileProblem || !(thrown instanceof Error)) throw thrown
    throw new StackFileProblem(path, thrown.message, { cause: thrown })
  }
}
