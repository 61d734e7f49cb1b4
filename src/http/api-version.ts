import { invalid } from '../api/errors.ts'

/** The newest Engine API version that this surface knows. */
export const API_VERSION_MAX = '1.47'
/** The oldest one that an Engine of today still answers. */
export const API_VERSION_MIN = '1.24'

const numbers = (version: string): [number, number] => {
  const [major, minor] = version.split('.')
  return [Number(major), Number(minor)]
}

/** Negative when `a` is older than `b`; both as `1.41`. */
export const compareApiVersions = (a: string, b: string): number => {
  const [aMajor, aMinor] = numbers(a)
  const [bMajor, bMinor] = numbers(b)
  return aMajor - bMajor || aMinor - bMinor
}

/** The version that a client may use at most: the Engine gets no field that it does not know. */
export const advertisedApiVersion = (engineVersion: string): string =>
  compareApiVersions(engineVersion, API_VERSION_MAX) < 0 ? engineVersion : API_VERSION_MAX

/**
 * Splits `/v1.41/services` into its version and `/services`; without one the client takes everything there is.
 * @throws SwarmctlError INVALID_ARGUMENT for a version out of range
 */
export const splitVersion = (
  path: string,
  advertised: string,
): { version: string | undefined; path: string } => {
  const match = /^\/v(\d+\.\d+)(\/.*)$/.exec(path)
  if (!match) return { version: undefined, path }
  const version = match[1] as string
  if (compareApiVersions(version, advertised) > 0) {
    throw invalid(
      `client version ${version} is too new. Maximum supported API version is ${advertised}`,
    )
  }
  if (compareApiVersions(version, API_VERSION_MIN) < 0) {
    throw invalid(
      `client version ${version} is too old. Minimum supported API version is ${API_VERSION_MIN}, please upgrade your client to a newer version`,
    )
  }
  return { version, path: match[2] as string }
}
