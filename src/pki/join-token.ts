import { createHash, timingSafeEqual, X509Certificate } from 'node:crypto'
import { invalid } from '../api/errors.ts'
import { type NewId, newId } from '../api/id.ts'

/** Characters of a SHA-256 in base 36, padded. */
const DIGEST_CHARACTERS = 50
const TOKEN = /^SWMTKN-1-([0-9a-z]{50})-([0-9a-z]{25})$/

/** A join token's parts. */
export interface JoinToken {
  /** Base 36 SHA-256 of the root certificate's DER, 50 characters. */
  rootDigest: string
  /** 25 characters of base 36 (129 bits): what admits a node. */
  secret: string
}

/** The digest that a token carries of a root certificate (the first in a bundle). Throws for what is no certificate. */
export const rootDigest = (rootCAPem: string): string => {
  const hash = createHash('sha256').update(new X509Certificate(rootCAPem).raw).digest('hex')
  return BigInt(`0x${hash}`).toString(36).padStart(DIGEST_CHARACTERS, '0')
}

/** A new token `SWMTKN-1-<root digest>-<secret>`. `newSecret` makes the secret; the default is cryptographically random. */
export const newJoinToken = (rootCAPem: string, newSecret: NewId = newId): string =>
  `SWMTKN-1-${rootDigest(rootCAPem)}-${newSecret()}`

/** Takes a token apart. Throws INVALID_ARGUMENT for what is no token. */
export const parseJoinToken = (token: string): JoinToken => {
  const match = TOKEN.exec(token.trim())
  if (!match) {
    throw invalid(
      'invalid join token: it reads SWMTKN-1-…-…; print it on a manager with `swarmctl swarm join-token`',
    )
  }
  return { rootDigest: match[1]!, secret: match[2]! }
}

/** Whether two tokens are the same, in a time that does not depend on where they differ. */
export const sameToken = (a: string, b: string): boolean => {
  const left = createHash('sha256').update(a).digest()
  const right = createHash('sha256').update(b).digest()
  return timingSafeEqual(left, right)
}
