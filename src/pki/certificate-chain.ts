import { X509Certificate } from 'node:crypto'

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** The certificates in a PEM text, in its order. Throws for what is no certificate between the markers. */
export const certificatesOf = (pem: string): X509Certificate[] =>
  (pem.match(CERTIFICATE) ?? []).map((one) => new X509Certificate(one))

/** The certificates of a PEM text and nothing else, each in the same form: equal ones are equal texts. */
export const normalCertificates = (pem: string): string => certificatesOf(pem).map(String).join('')

/**
 * Who signed the first certificate of `chainPem`: one of the trusted roots, or a certificate further on in the chain that one of them
 * signed (while the root is rotated). Undefined when it is not to be trusted.
 */
export const trustedIssuer = (chainPem: string, rootCAPem: string): X509Certificate | undefined => {
  const [leaf, ...intermediates] = certificatesOf(chainPem)
  if (leaf === undefined) return undefined
  const roots = certificatesOf(rootCAPem)
  const signedBy = (certificate: X509Certificate) => (issuer: X509Certificate) =>
    issuer.ca && certificate.verify(issuer.publicKey)
  return (
    roots.find(signedBy(leaf)) ??
    intermediates.filter((one) => roots.some(signedBy(one))).find(signedBy(leaf))
  )
}
