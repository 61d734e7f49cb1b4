import { X509Certificate } from 'node:crypto'
import { CERTIFICATE_UNITS } from '../../api/certificate-unit.ts'
import type { Clock } from '../../api/clock.ts'
import { toSwarmctlError, unavailable } from '../../api/errors.ts'
import type { Cluster } from '../../api/swarm.ts'
import { normalCertificates, trustedIssuer } from '../../pki/certificate-chain.ts'
import { readCsr } from '../../pki/csr.ts'
import {
  NODE_KEY_USAGES,
  type NodeCertificateRequest,
  signNodeCertificate,
} from '../../pki/root-ca.ts'
import { intermediatesOf, signingCA, trustRootOf } from './cluster-ca.ts'
import { type ExternalSigner, type SignRequest, signersOf, timeProblem } from './external-ca.ts'

export interface NodeSignerDeps {
  clock: Clock
  /** Absent where there are no signers outside. */
  external?: ExternalSigner
}

/**
 * A node's certificate with what has to stand behind it, PEM. Where the settings name signers for the present CA they sign (as with
 * swarmkit also when the managers have the key), tried in order. Rejects with INVALID_ARGUMENT (request), UNAVAILABLE (signers).
 */
export const signNode = async (
  { clock, external }: NodeSignerDeps,
  cluster: Cluster,
  request: NodeCertificateRequest,
): Promise<string> => {
  const ca = signingCA(cluster)
  const intermediates = intermediatesOf(cluster.Swarmctl)
  const urls = signersOf(cluster.Spec.CAConfig?.ExternalCAs ?? [], ca.certPem, cluster.Swarmctl)
  if (urls.length > 0 && external) {
    const { publicKeyId } = await readCsr(request.csrPem)
    const roots = trustRootOf(cluster.Swarmctl)
    const certPem = await atFirst(urls, async (url) => {
      const signed = await external.sign(url, roots, signRequest(request))
      checkSigned(url, signed, request, {
        publicKeyId,
        caCertPem: ca.certPem,
        nowMs: clock.nowMs(),
      })
      // As it was sent it could be text between which nothing may be put.
      return normalCertificates(signed)
    })
    return certPem + intermediates
  }
  if (ca.keyPem !== '') return (await signNodeCertificate(ca, request, clock)) + intermediates
  throw unavailable(
    'nobody signs certificates: the CA has its key outside, and no external CA is set for it; name one with `swarmctl swarm update --external-ca`',
  )
}

const signRequest = ({ csrPem, nodeId, role, clusterId }: NodeCertificateRequest): SignRequest => {
  const unit = CERTIFICATE_UNITS[role]
  return {
    hosts: [unit, nodeId],
    certificate_request: csrPem,
    subject: { CN: nodeId, names: [{ OU: unit, O: clusterId }] },
    profile: '',
  }
}

/** The first answer; when none comes, the last reason. */
const atFirst = async <T>(
  urls: readonly string[],
  ask: (url: string) => Promise<T>,
): Promise<T> => {
  let last = unavailable('no external CA is set')
  for (const url of urls) {
    try {
      return await ask(url)
    } catch (error) {
      last = toSwarmctlError(error)
    }
  }
  throw last
}

/** What a signer gave is not handed out unless it says what was asked: it may be set up for something else. */
const checkSigned = (
  url: string,
  signedPem: string,
  { nodeId, role, clusterId }: NodeCertificateRequest,
  expected: { publicKeyId: string; caCertPem: string; nowMs: number },
): void => {
  const wrong = (why: string) => unavailable(`the external CA at ${url} answered with ${why}`)
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(signedPem)
  } catch {
    throw wrong('something that is no certificate')
  }
  if (trustedIssuer(signedPem, expected.caCertPem) === undefined) {
    throw wrong("a certificate that is not of the cluster's CA")
  }
  const key = certificate.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')
  if (key !== expected.publicKeyId) throw wrong('a certificate of another key')
  const unit = CERTIFICATE_UNITS[role]
  for (const [name, value] of Object.entries({ CN: nodeId, OU: unit, O: clusterId })) {
    // Of two of them nobody knows which one counts.
    const given = certificate.subject.split('\n').filter((line) => line.startsWith(`${name}=`))
    if (given.length === 1 && given[0] === `${name}=${value}`) continue
    throw wrong(`a certificate without ${name}=${value} alone in its subject`)
  }
  if (certificate.ca) throw wrong('the certificate of a CA')
  // Without the extension it is good for anything.
  const uses = certificate.keyUsage ?? NODE_KEY_USAGES
  if (!NODE_KEY_USAGES.every((use) => uses.includes(use))) {
    throw wrong('a certificate that is not for servers and clients alike: set its profile so')
  }
  const problem = timeProblem(certificate, expected.nowMs)
  if (problem !== undefined) throw wrong(`a certificate ${problem}`)
}
