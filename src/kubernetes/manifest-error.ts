import { SwarmctlError } from '../api/errors.ts'

/** Something that a manifest says and that is not taken, in one of its fields. */
export class ManifestProblem extends Error {
  override readonly name = 'ManifestProblem'
  /** Keys and indexes from the object's root. */
  readonly path: readonly (string | number)[]

  constructor(path: readonly (string | number)[], message: string) {
    super(message)
    this.path = path
  }
}

/** Runs what reads a part of an object that stands at `place`: its problems are there. */
export const within = <T>(place: readonly (string | number)[], read: () => T): T => {
  try {
    return read()
  } catch (thrown) {
    if (!(thrown instanceof ManifestProblem)) throw thrown
    throw new ManifestProblem([...place, ...thrown.path], thrown.message)
  }
}

/** Runs a check of the API's; what it refuses is a problem at `path`, told after `lead`. */
export const asProblem = <T>(path: readonly (string | number)[], check: () => T, lead = ''): T => {
  try {
    return check()
  } catch (thrown) {
    if (!(thrown instanceof SwarmctlError)) throw thrown
    throw new ManifestProblem(path, `${lead}${thrown.message}`)
  }
}

/** Thrown when a file is refused: one line that names file, line, object, field and reason. */
export const manifestError = (
  place: { file: string; line: number },
  text: string,
  cause?: unknown,
): SwarmctlError =>
  new SwarmctlError('INVALID_ARGUMENT', `${place.file}:${place.line}: ${text}`, { cause })
