import { invalid } from '../api/errors.ts'

/** The newest Engine API version that this surface knows. */
export const API_VERSION_MAX = '1.51'
/** The oldest one that an Engine of today still answers. */
export const API_VERSION_MIN = '1.24'

const numbers = (version: string): [number, number] => {
  const [major, minor] = version.split('.')
  return [Number(major), Number(minor)]
}

/** Negative when `a` is older than `b`; both as `1.41`. */
const compareApiVersions = (a: string, b: string): number => {
  const [aMajor, aMinor] = numbers(a)
  const [bMajor, bMinor] = numbers(b)
  return aMajor - bMajor || aMinor - bMinor
}

/** Whether `version` is older than `since`; a client that names none takes everything there is. */
export const isOlder = (version: string | undefined, since: string): boolean =>
  version !== undefined && compareApiVersions(version, since) < 0

/** The version that a client may use at most: the Engine gets no field that it does not know. */
export const advertisedApiVersion = (engineVersion: string): string =>
  compareApiVersions(engineVersion, API_VERSION_MAX) < 0 ? engineVersion : API_VERSION_MAX

/** Splits `/v1.41/services` into its version and `/services`. */
export const splitVersion = (path: string): { version: string | undefined; path: string } => {
  const match = /^\/v(\d+\.\d+)(\/.*)$/.exec(path)
  return match
    ? { version: match[1] as string, path: match[2] as string }
    : { version: undefined, path }
}

/** @throws SwarmctlError INVALID_ARGUMENT, with Docker's text, for a version out of the range that the swarm's endpoints know */
export const requireKnownVersion = (version: string | undefined): void => {
  if (version === undefined) return
  if (compareApiVersions(version, API_VERSION_MAX) > 0) {
    throw invalid(
      `client version ${version} is too new. Maximum supported API version is ${API_VERSION_MAX}`,
    )
  }
  if (compareApiVersions(version, API_VERSION_MIN) < 0) {
    throw invalid(
      `client version ${version} is too old. Minimum supported API version is ${API_VERSION_MIN}, please upgrade your client to a newer version`,
    )
  }
}

/** What an Engine answers, as `1.24` and `1.51`. */
export interface ApiVersions {
  oldest: string
  newest: string
}

/** The request's URL for an Engine: a version that it does not know is taken down to its newest, and up to `oldest`. */
export const engineUrl = (
  url: string,
  { oldest = API_VERSION_MIN, newest }: Partial<ApiVersions> & { newest: string },
): string =>
  url.replace(/^\/v(\d+\.\d+)\//, (prefix, version: string) => {
    if (compareApiVersions(version, newest) > 0) return `/v${newest}/`
    return compareApiVersions(version, oldest) < 0 ? `/v${oldest}/` : prefix
  })
