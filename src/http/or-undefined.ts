import { type ErrorCode, toSwarmctlError } from '../api/errors.ts'

/** What is asked for, or undefined when it fails in one of these ways. */
export const orUndefined = async <T>(
  ask: Promise<T>,
  codes: readonly ErrorCode[] = ['NOT_FOUND'],
): Promise<T | undefined> => {
  try {
    return await ask
  } catch (error) {
    if (codes.includes(toSwarmctlError(error).code)) return undefined
    throw error
  }
}
