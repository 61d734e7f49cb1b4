import { createPrivateKey } from 'node:crypto'
import { invalid } from '../api/errors.ts'
import { normalCAKey } from './ca-key.ts'
import { certificatesOf } from './certificate-chain.ts'
import { NODE_KEY_USAGES, type RootCA } from './root-ca.ts'
import { BasicConstraintsExtension, ExtendedKeyUsageExtension, X509Certificate } from './x509.ts'

/** A CA's certificate has to be valid for this much longer (swarmkit `minRootExpiration`): one year. */
const VALID_MS_MIN = 365 * 24 * 3_600_000

/** Limits the names of what is below; nodes have theirs. */
const NAME_CONSTRAINTS = '2.5.29.30'
/** Critical extensions that OpenSSL knows and that keep no node's certificate from being verified (RFC 5280 §4.2.1). */
const KNOWN_CRITICAL: ReadonlySet<string> = new Set([
  '2.5.29.15', // key usage
  '2.5.29.17', // subject alternative name
  '2.5.29.19', // basic constraints
  '2.5.29.32', // certificate policies
  '2.5.29.36', // policy constraints
  '2.5.29.37', // extended key usage
  '2.5.29.54', // inhibit any policy
])

/**
 * Checks a CA certificate that somebody brings, and its key if there is one ('' otherwise), and gives both in the form that they are
 * kept in. Throws INVALID_ARGUMENT with what is wrong.
 */
export const readSuppliedCA = (
  supplied: { certPem: string; keyPem: string },
  nowMs: number,
): RootCA => {
  const [certificate, ...others] = readCertificates(supplied.certPem)
  if (others.length > 0) {
    throw invalid('the desired CA certificate cannot contain multiple certificates')
  }
  if (!certificate!.ca) throw invalid('the desired CA certificate is not the certificate of a CA')
  if (!certificate!.verify(certificate!.publicKey)) {
    throw invalid('the desired CA certificate is not a root: it must be signed by its own key')
  }
  if (certificate!.validFromDate.getTime() > nowMs) {
    throw invalid('the desired CA certificate is not valid yet')
  }
  if (certificate!.validToDate.getTime() < nowMs + VALID_MS_MIN) {
    throw invalid('CA certificate expires too soon')
  }
  const certPem = String(certificate)
  requireRoomBelow(certPem)
  requireVerifiable(certPem)
  if (supplied.keyPem === '') return { certPem, keyPem: '' }
  const keyPem = normalCAKey(supplied.keyPem)
  if (!certificate!.checkPrivateKey(createPrivateKey(keyPem))) {
    throw invalid("certificate key mismatch: the CA's key is not that of its certificate")
  }
  return { certPem, keyPem }
}

const readCertificates = (certPem: string) => {
  try {
    const certificates = certificatesOf(certPem)
    if (certificates.length > 0) return certificates
  } catch {
    // What stands between the markers is told as what has none.
  }
  throw invalid('could not parse the desired CA certificate')
}

/** The next rotation needs it: the CA then signs its successor. */
const requireRoomBelow = (certPem: string): void => {
  const { pathLength } = new X509Certificate(certPem).getExtension(BasicConstraintsExtension) ?? {}
  if (pathLength !== 0) return
  throw invalid(
    'the desired CA certificate allows no CA below it (path length 0), so that it could not be rotated away again: make one with a path length of 1 or without a limit',
  )
}

/** OpenSSL judges each certificate of a chain, the root's as well: by one that it refuses the nodes would lose each other one by one. */
const requireVerifiable = (certPem: string): void => {
  const { extensions } = new X509Certificate(certPem)
  for (const { type, critical } of extensions) {
    const isKnown = type !== NAME_CONSTRAINTS && (!critical || KNOWN_CRITICAL.has(type))
    if (!isKnown) throw unverifiable(`its extension ${type} limits it`)
  }
  const usages = extensions.find((one) => one instanceof ExtendedKeyUsageExtension)?.usages
  if (usages !== undefined && !NODE_KEY_USAGES.every((usage) => usages.includes(usage))) {
    throw unverifiable('its extended key usage is not for servers and clients alike')
  }
}

const unverifiable = (why: string) =>
  invalid(
    `the desired CA certificate is not for this: ${why}, so that nodes could not verify each other by it`,
  )
