/**
 * Image references as Docker reads them: `nginx`, `ghcr.io/owner/app:1.2@sha256:…`. Grammar: distribution/reference, with the
 * familiar names' defaults (`docker.io`, `library/`).
 */
export interface ImageReference {
  /** Registry host with port, `docker.io` by default. */
  domain: string
  /** Path under the registry, e.g. `library/nginx`. */
  path: string
  tag?: string
  /** `algorithm:hex`. */
  digest?: string
}

const REPOSITORY_LENGTH_MAX = 255

const component = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*'
const PATH = new RegExp(`^${component}(?:/${component})*$`)
const TAG = /^\w[\w.-]{0,127}$/
const DIGEST = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/
const DOMAIN =
  /^(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[0-9a-fA-F:]+\])(?::\d+)?$/
/** An id is not a name: Docker refuses it in a reference. */
const IDENTIFIER = /^[0-9a-f]{64}$/

/** The parts of a reference, or undefined when it is not valid. */
export const parseImageReference = (text: string): ImageReference | undefined => {
  if (IDENTIFIER.test(text)) return undefined
  const [beforeDigest = '', digest, ...rest] = text.split('@')
  if (rest.length > 0 || (digest !== undefined && !DIGEST.test(digest))) return undefined
  const colon = beforeDigest.lastIndexOf(':')
  const hasTag = colon > beforeDigest.lastIndexOf('/')
  const tag = hasTag ? beforeDigest.slice(colon + 1) : undefined
  if (tag !== undefined && !TAG.test(tag)) return undefined
  const { domain, path } = splitDomain(hasTag ? beforeDigest.slice(0, colon) : beforeDigest)
  if (!DOMAIN.test(domain) || !PATH.test(path)) return undefined
  if (`${domain}/${path}`.length > REPOSITORY_LENGTH_MAX) return undefined
  return {
    domain,
    path,
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
  }
}

/** The first component is a registry when it looks like a host: a dot, a port, upper case or `localhost`. */
const splitDomain = (name: string): { domain: string; path: string } => {
  const slash = name.indexOf('/')
  const first = name.slice(0, slash)
  const isDomain =
    slash > 0 && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase())
  const domain = isDomain ? first : 'docker.io'
  const path = isDomain ? name.slice(slash + 1) : name
  if (domain === 'index.docker.io') return { domain: 'docker.io', path: official(path) }
  return { domain, path: domain === 'docker.io' ? official(path) : path }
}

const official = (path: string): string => (path.includes('/') ? path : `library/${path}`)
