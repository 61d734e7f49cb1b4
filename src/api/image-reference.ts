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

const HUB = 'docker.io'
const REPOSITORY_LENGTH_MAX = 255

const component = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*'
const PATH = new RegExp(`^${component}(?:/${component})*$`)
const TAG = /^\w[\w.-]{0,127}$/
const DIGEST = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/
const DOMAIN =
  /^(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[0-9a-fA-F:]+\])(?::\d+)?$/
/** An id is not a name: Docker refuses it in a reference. */
const IDENTIFIER = /^[0-9a-f]{64}$/

/** A whole image id: the Engine takes it where it takes a reference. */
export const isImageId = (text: string): boolean => IDENTIFIER.test(text)

/** The parts of a reference, or undefined when it is not valid. */
export const parseImageReference = (text: string): ImageReference | undefined => {
  if (isImageId(text)) return undefined
  const { name, tag, digest } = cut(text)
  if (digest !== undefined && !DIGEST.test(digest)) return undefined
  if (tag !== undefined && !TAG.test(tag)) return undefined
  const { domain, path } = splitDomain(name)
  if (!DOMAIN.test(domain) || !PATH.test(path)) return undefined
  if (`${domain}/${path}`.length > REPOSITORY_LENGTH_MAX) return undefined
  return {
    domain,
    path,
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
  }
}

/** Why a text is no reference, in Docker's words; undefined when it is one. */
export const imageReferenceProblem = (text: string): string | undefined => {
  if (parseImageReference(text) !== undefined) return undefined
  const { path } = splitDomain(cut(text).name)
  if (path !== path.toLowerCase())
    return `invalid reference format: repository name (${path}) must be lowercase`
  return path.length > REPOSITORY_LENGTH_MAX
    ? `repository name must not be more than ${REPOSITORY_LENGTH_MAX} characters`
    : `invalid reference format: ${text}`
}

/** As the Engine shows it: without Docker Hub's own prefixes, with `:latest` where it has neither tag nor digest. */
export const formatFamiliar = ({ domain, path, tag, digest }: ImageReference): string => {
  const name = domain === HUB ? path.replace(/^library\/(?=[^/]+$)/, '') : `${domain}/${path}`
  const suffix = [tag && `:${tag}`, digest && `@${digest}`].filter((part) => part !== undefined)
  return name + (suffix.length > 0 ? suffix.join('') : ':latest')
}

/** `name:tag@digest` in its parts, none of them checked. */
const cut = (text: string): { name: string; tag?: string; digest?: string } => {
  const at = text.indexOf('@')
  const beforeDigest = at < 0 ? text : text.slice(0, at)
  const colon = beforeDigest.lastIndexOf(':')
  const hasTag = colon > beforeDigest.lastIndexOf('/')
  return {
    name: hasTag ? beforeDigest.slice(0, colon) : beforeDigest,
    ...(hasTag && { tag: beforeDigest.slice(colon + 1) }),
    ...(at >= 0 && { digest: text.slice(at + 1) }),
  }
}

/** The first component is a registry when it looks like a host: a dot, a port, upper case or `localhost`. */
const splitDomain = (name: string): { domain: string; path: string } => {
  const slash = name.indexOf('/')
  const first = name.slice(0, slash)
  const isDomain =
    slash > 0 && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase())
  const domain = isDomain ? first : HUB
  const path = isDomain ? name.slice(slash + 1) : name
  if (domain === 'index.docker.io') return { domain: HUB, path: official(path) }
  return { domain, path: domain === HUB ? official(path) : path }
}

const official = (path: string): string => (path.includes('/') ? path : `library/${path}`)
