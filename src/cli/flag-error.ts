import { SwarmctlError } from '../api/errors.ts'

/** Exit code of a flag that is unknown or can't be read, as Docker's. */
export const USAGE_EXIT_CODE = 125

/** The value of a flag can't be read. Nothing was asked of the daemon, so scripts can tell it from what failed. */
export class FlagError extends SwarmctlError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('INVALID_ARGUMENT', message, options)
  }

  override get exitCode(): number {
    return USAGE_EXIT_CODE
  }
}
