import { SwarmctlError } from '../api/errors.ts'
import { type Locations, type Place, placeText } from './location.ts'
import { type Path, pathText } from './value.ts'

/** An error in one place of a stack file: `services.web.ports.0: …`, without the file, which the caller adds. */
export class StackFileProblem extends Error {
  override readonly name = 'StackFileProblem'
  readonly path: Path
  /** Where it stands, if that is known better than from the path. */
  readonly line: number | undefined

  constructor(path: Path, message: string, options?: { cause?: unknown; line?: number }) {
    super(message, options)
    this.path = path
    this.line = options?.line
  }
}

/** Thrown when a file is refused: one line that names file, line, key and reason. */
export const stackFileError = (place: Place, text: string, cause?: unknown): SwarmctlError =>
  new SwarmctlError('INVALID_ARGUMENT', `${placeText(place)}: ${text.replaceAll('\n', ' ')}`, {
    cause,
  })

/** A thrown problem as the error that names its place; anything else as it is. */
export const located = (thrown: unknown, locations: Locations): unknown => {
  if (!(thrown instanceof StackFileProblem)) return thrown
  const known = locations.of(thrown.path)
  const place = thrown.line === undefined ? known : { file: known.file, line: thrown.line }
  const key = thrown.path.length === 0 ? '' : `${pathText(thrown.path)}: `
  return stackFileError(place, key + thrown.message, thrown)
}

/** Runs `read`; a problem becomes the error that names file and line. Anything else passes. */
export const inFile = <T>(locations: Locations, read: () => T): T => {
  try {
    return read()
  } catch (thrown) {
    throw located(thrown, locations)
  }
}

/** As `inFile`, for what reads files. */
export const inFileAsync = async <T>(locations: Locations, read: () => Promise<T>): Promise<T> => {
  try {
    return await read()
  } catch (thrown) {
    throw located(thrown, locations)
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

/** What a thrown thing says. */
export const reasonOf = (thrown: unknown): string =>
  thrown instanceof Error ? thrown.message : String(thrown)
