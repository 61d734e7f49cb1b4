import { SwarmctlError } from '../../api/errors.ts'

/** A template that can't be read or that asks for what is not there: one line for the user. */
export const badTemplate = (message: string): SwarmctlError =>
  new SwarmctlError('INVALID_ARGUMENT', `invalid --format: ${message}`)
