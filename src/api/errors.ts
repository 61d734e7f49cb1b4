/**
 * The one catalogue of operating errors. Each code says when it is thrown; the HTTP status and the CLI's exit code are
 * derived here and nowhere else. Source of the statuses: the Engine API's mapping of swarmkit's gRPC codes.
 */
const CATALOGUE = {
  /** A field of a request or a flag has a value that can't be accepted. */
  INVALID_ARGUMENT: { status: 400, exitCode: 1 },
  /** The request is well formed but the cluster's state forbids it (in use, last manager, port taken). */
  FAILED_PRECONDITION: { status: 400, exitCode: 1 },
  /** A remote API client has no right to do this. */
  PERMISSION_DENIED: { status: 403, exitCode: 1 },
  /** A wrong join token or unlock key. */
  UNAUTHENTICATED: { status: 401, exitCode: 1 },
  /** This node was removed from the cluster, says one of its managers. */
  NODE_REMOVED: { status: 401, exitCode: 1 },
  /** No object with this id, name or id prefix. */
  NOT_FOUND: { status: 404, exitCode: 1 },
  /** An object of this name exists, or the Engine says that what is asked of it conflicts with what it is doing. */
  ALREADY_EXISTS: { status: 409, exitCode: 1 },
  /** The object changed since the version that the request names. Docker answers 500 and clients match the text. */
  OUT_OF_SEQUENCE: { status: 500, exitCode: 1 },
  /** Docker does not support this change (mode change, rename). */
  UNIMPLEMENTED: { status: 501, exitCode: 1 },
  /** Not in a swarm, not a manager, no leader, no quorum, locked: try elsewhere or later. */
  UNAVAILABLE: { status: 503, exitCode: 1 },
  /** A disk that holds the cluster's state is full. Writes are refused, the daemon stays up. */
  DISK_FULL: { status: 507, exitCode: 1 },
  /** The local Docker Engine does not answer. */
  ENGINE_UNAVAILABLE: { status: 503, exitCode: 1 },
  /** A wait ended at its limit; whether the request took effect is unknown. */
  TIMEOUT: { status: 504, exitCode: 1 },
  /** What should not happen. */
  INTERNAL: { status: 500, exitCode: 1 },
} as const

/** A stable error code, the same on the wire, in logs and in the CLI. */
export type ErrorCode = keyof typeof CATALOGUE

/** An operating error: one line that says what is wrong and what to do. */
export class SwarmctlError extends Error {
  override readonly name = 'SwarmctlError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }

  /** The HTTP status that the Engine API gives this error. */
  get httpStatus(): number {
    return CATALOGUE[this.code].status
  }

  /** The process exit code of a CLI command that fails with this error. */
  get exitCode(): number {
    return CATALOGUE[this.code].exitCode
  }
}

/** Whether `value` is a code of the catalogue: for errors that arrive over the wire. */
export const isErrorCode = (value: unknown): value is ErrorCode =>
  typeof value === 'string' && Object.hasOwn(CATALOGUE, value)

/** Any thrown value as a SwarmctlError; what is not one becomes INTERNAL with its cause kept. */
export const toSwarmctlError = (thrown: unknown): SwarmctlError =>
  thrown instanceof SwarmctlError
    ? thrown
    : new SwarmctlError('INTERNAL', thrown instanceof Error ? thrown.message : String(thrown), {
        cause: thrown,
      })

export const invalid = (message: string): SwarmctlError =>
  new SwarmctlError('INVALID_ARGUMENT', message)
export const precondition = (message: string): SwarmctlError =>
  new SwarmctlError('FAILED_PRECONDITION', message)
export const notFound = (message: string): SwarmctlError => new SwarmctlError('NOT_FOUND', message)
export const unavailable = (message: string): SwarmctlError =>
  new SwarmctlError('UNAVAILABLE', message)
