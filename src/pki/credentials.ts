import { createPrivateKey, X509Certificate } from 'node:crypto'
import { roleOfUnit } from '../api/certificate-unit.ts'
import type { Clock } from '../api/clock.ts'
import { SwarmctlError } from '../api/errors.ts'
import { trustedIssuer } from './certificate-chain.ts'

/** What a node proves itself with, and what it checks others by. */
export interface Credentials {
  /** PKCS #8. */
  keyPem: string
  /** The node's certificate; while the root is rotated, behind it the new root's as the old one signed it. */
  certPem: string
  /** One or more certificates: what peers' certificates must chain to. */
  rootCAPem: string
  nodeId: string
  role: 'worker' | 'manager'
  clusterId: string
  /** Milliseconds since the epoch between which the certificate is valid. */
  notBefore: number
  notAfter: number
}

/** The PEM parts of credentials: what is stored; everything else is read from the certificate. */
export type CredentialsPem = Pick<Credentials, 'keyPem' | 'certPem' | 'rootCAPem'>

/** Stands for the private key of a manager that waits for the unlock key: who the node is can be read, nothing can be proven. */
export const LOCKED_KEY = ''

const broken = (why: string, cause?: unknown, hint = ''): SwarmctlError =>
  new SwarmctlError(
    'UNAUTHENTICATED',
    `this node's certificate is unusable: ${why}. Leave the cluster and join it again${hint}`,
    { cause },
  )

/** Leaving would be the end of a swarm that has no other manager. */
const LAST_MANAGER = `; if no other manager is left, keep the swarm: "swarmctl init --force-new-cluster" on this one`

/** The values of a distinguished name as node:crypto prints it: one `KEY=value` a line. */
const subjectOf = (cert: X509Certificate): Map<string, string> =>
  new Map(
    cert.subject.split('\n').map((line) => {
      const at = line.indexOf('=')
      return [line.slice(0, at), line.slice(at + 1)]
    }),
  )

/**
 * Reads credentials from their PEM parts and checks that they belong together: the key is the certificate's, the
 * certificate is signed by the root and names a node. Does not look at the time. Throws UNAUTHENTICATED.
 */
export const readCredentials = (pem: CredentialsPem): Credentials => {
  let cert: X509Certificate
  try {
    cert = new X509Certificate(pem.certPem)
    if (pem.keyPem !== LOCKED_KEY && !cert.checkPrivateKey(createPrivateKey(pem.keyPem))) {
      throw new Error("the private key is not the certificate's")
    }
    if (trustedIssuer(pem.certPem, pem.rootCAPem) === undefined) {
      throw new Error("it is not signed by the cluster's root")
    }
  } catch (cause) {
    throw broken((cause as Error).message, cause)
  }
  const subject = subjectOf(cert)
  const nodeId = subject.get('CN')
  const role = roleOfUnit(subject.get('OU'))
  const clusterId = subject.get('O')
  if (!nodeId || !role || !clusterId) throw broken('it names no node, role and cluster')
  return {
    keyPem: pem.keyPem,
    certPem: pem.certPem,
    rootCAPem: pem.rootCAPem,
    nodeId,
    role,
    clusterId,
    notBefore: cert.validFromDate.getTime(),
    notAfter: cert.validToDate.getTime(),
  }
}

/** Throws UNAUTHENTICATED with what to do when the certificate is not valid at this time. */
export const checkValidity = (
  credentials: Credentials,
  clock: Clock,
  { mayHaveExpired = false } = {},
): void => {
  const nowMs = clock.nowMs()
  const now = new Date(nowMs).toISOString()
  if (nowMs > credentials.notAfter && !mayHaveExpired) {
    throw broken(
      `it expired at ${new Date(credentials.notAfter).toISOString()} and this machine's clock says ${now}`,
      undefined,
      credentials.role === 'manager' ? LAST_MANAGER : '',
    )
  }
  if (nowMs < credentials.notBefore) {
    throw new SwarmctlError(
      'UNAUTHENTICATED',
      `this node's certificate is valid from ${new Date(credentials.notBefore).toISOString()}, but this machine's clock says ${now}: set the clocks of the machines right (NTP)`,
    )
  }
}
