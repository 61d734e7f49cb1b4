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

/** Thrown when a file is refused: one line that names file, line, object, field and reason. */
export const manifestError = (
  place: { file: string; line: number },
  text: string,
  cause?: unknown,
): SwarmctlError =>
  new SwarmctlError('INVALID_ARGUMENT', `${place.file}:${place.line}: ${text}`, { cause })
