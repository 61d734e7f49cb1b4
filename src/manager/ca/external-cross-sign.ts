import { X509Certificate } from 'node:crypto'
import { unavailable } from '../../api/errors.ts'
import { createCARequest } from '../../pki/ca-request.ts'
import { trustedIssuer } from '../../pki/certificate-chain.ts'
import type { RootCA } from '../../pki/root-ca.ts'
import { type ExternalSigner, timeProblem } from './external-ca.ts'

/** The profile of a signer for certificates of CAs (swarmkit `ExternalCrossSignProfile`). */
const PROFILE = 'CA'

/**
 * The new root's certificate as the signer of the present one signs it, PEM: the managers don't have that key. Rejects with UNAVAILABLE.
 */
export const crossSignExternally = async (
  external: ExternalSigner,
  url: string,
  rootCACert: string,
  next: RootCA,
  nowMs: number,
): Promise<string> => {
  const { csrPem, subject, basicConstraints } = await createCARequest(next)
  const signed = await external.sign(url, rootCACert, {
    hosts: [],
    certificate_request: csrPem,
    subject,
    profile: PROFILE,
    extensions: [basicConstraints],
  })
  const wrong = (why: string) =>
    unavailable(
      `the external CA at ${url} does not vouch for the new root: ${why}; its profile "${PROFILE}" has to allow CA certificates`,
    )
  if (trustedIssuer(signed, rootCACert) === undefined) throw wrong('it answered with another CA')
  const [certificate, root] = [new X509Certificate(signed), new X509Certificate(next.certPem)]
  if (!certificate.ca) throw wrong('what it signed is the certificate of no CA')
  if (certificate.subject !== root.subject || !certificate.publicKey.equals(root.publicKey)) {
    throw wrong('name or key of what it signed are others')
  }
  const problem = timeProblem(certificate, nowMs)
  if (problem !== undefined) throw wrong(`what it signed is ${problem}`)
  return signed
}
