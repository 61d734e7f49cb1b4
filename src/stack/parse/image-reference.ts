/** The grammar of image references (distribution/reference). */
const DOMAIN_COMPONENT = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])'
const DOMAIN = `(?:${DOMAIN_COMPONENT}(?:\\.${DOMAIN_COMPONENT})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`
const PATH_COMPONENT = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*'
const TAG = '[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}'
const DIGEST = '[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}'
const PATH = `${PATH_COMPONENT}(?:/${PATH_COMPONENT})*`
const REFERENCE = new RegExp(`^(?:${DOMAIN}/)?${PATH}(?::${TAG})?(?:@${DIGEST})?$`)
const IDENTIFIER = /^[a-f0-9]{64}$/
const NAME_LENGTH_MAX = 255

/** Checks that an image can be pulled by this name. Thrown: an Error with the reason. */
export const checkImageReference = (image: string): void => {
  if (image === '') throw new Error('no image specified')
  if (IDENTIFIER.test(image)) return
  const remainder = withoutDomain(image)
  const name = remainder.split(':')[0]?.split('@')[0] ?? ''
  if (name !== name.toLowerCase()) {
    throw new Error(`invalid reference format: repository name (${name}) must be lowercase`)
  }
  if (!REFERENCE.test(image)) throw new Error(`invalid reference format: ${image}`)
  if (name.length > NAME_LENGTH_MAX) {
    throw new Error(`repository name must not be more than ${NAME_LENGTH_MAX} characters`)
  }
}

/**
 * The image as the Engine shows it: without Docker Hub's own prefixes, with `:latest` where it has neither tag nor digest. The
 * reference must have passed `checkImageReference`.
 */
export const familiarImage = (image: string): string => {
  if (IDENTIFIER.test(image)) return image
  const remainder = withoutDomain(image)
  const domain = image.slice(0, image.length - remainder.length)
  const isHub = domain === '' || HUB_DOMAINS.has(domain)
  const name = isHub ? remainder.replace(/^library\/(?=[^/]+$)/, '') : image
  return /[:@]/.test(remainder) ? name : `${name}:latest`
}

const HUB_DOMAINS = new Set(['docker.io/', 'index.docker.io/'])

/** The part before the first `/` is a registry when it looks like a host or is not lower case. */
const withoutDomain = (image: string): string => {
  const slash = image.indexOf('/')
  const first = image.slice(0, Math.max(slash, 0))
  const isDomain = first === 'localhost' || /[.:]/.test(first) || first !== first.toLowerCase()
  return slash > 0 && isDomain ? image.slice(slash + 1) : image
}
