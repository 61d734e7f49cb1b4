import assert from 'node:assert/strict'
import { CERTIFICATE_UNITS } from '../api/certificate-unit.ts'
import type { Clock } from '../api/clock.ts'
import { importCAKey } from './ca-key.ts'
import { trustedIssuer } from './certificate-chain.ts'
import { readCsr } from './csr.ts'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  generateKeys,
  KeyUsageFlags,
  KeyUsagesExtension,
  privateKeyPem,
  randomSerialNumber,
  SIGNING_ALGORITHM,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from './x509.ts'

const HOUR_MS = 3_600_000

/** Life of the root certificate: 20 years of 365 days (swarmkit `RootCAExpiration`). */
export const ROOT_LIFETIME_MS = 20 * 365 * 24 * HOUR_MS
/** Default life of a node's certificate: 90 days (swarmkit `DefaultNodeCertExpiration`). */
export const NODE_LIFETIME_MS = 90 * 24 * HOUR_MS
/** A shorter life is refused (swarmkit `MinNodeCertExpiration`). */
export const NODE_LIFETIME_MS_MIN = HOUR_MS
/** Certificates are valid from this long before they were made, so that clocks may differ (swarmkit `CertBackdate`). */
export const BACKDATE_MS = HOUR_MS

/** Extended key usages of a node's certificate: it is a server and a client. */
export const NODE_KEY_USAGES: readonly string[] = [
  ExtendedKeyUsage.serverAuth,
  ExtendedKeyUsage.clientAuth,
]

/** The cluster's certificate authority, PEM; the key is PKCS #8. */
export interface RootCA {
  certPem: string
  keyPem: string
}

/** What is to be certified about a node. */
export interface NodeCertificateRequest {
  csrPem: string
  nodeId: string
  role: 'worker' | 'manager'
  clusterId: string
  /** From now on; `BACKDATE_MS` comes before. */
  lifetimeMs: number
}

const dates = (clock: Clock, lifetimeMs: number) => ({
  notBefore: new Date(clock.nowMs() - BACKDATE_MS),
  notAfter: new Date(clock.nowMs() + lifetimeMs),
})

/**
 * A new self-signed root, CN `swarm-ca`. Besides nodes' certificates it may sign one more CA: the next root, when it is rotated (path
 * length 1).
 */
export const createRootCA = async (clock: Clock): Promise<RootCA> => {
  const keys = await generateKeys()
  const cert = await X509CertificateGenerator.createSelfSigned({
    ...dates(clock, ROOT_LIFETIME_MS),
    serialNumber: randomSerialNumber(),
    name: [{ CN: ['swarm-ca'] }],
    keys,
    signingAlgorithm: SIGNING_ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, 1, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { certPem: `${cert.toString('pem')}\n`, keyPem: await privateKeyPem(keys.privateKey) }
}

/**
 * Signs a node's certificate, PEM. Only the public key is taken from the request: subject and names are what the cluster says.
 * Throws INVALID_ARGUMENT for a request that is malformed or not signed by its own key.
 */
export const signNodeCertificate = async (
  root: RootCA,
  request: NodeCertificateRequest,
  clock: Clock,
): Promise<string> => {
  const csr = await readCsr(request.csrPem)
  const issuer = new X509Certificate(root.certPem)
  const unit = CERTIFICATE_UNITS[request.role]
  const signing = await importCAKey(root.keyPem)
  const cert = await X509CertificateGenerator.create({
    ...dates(clock, request.lifetimeMs),
    serialNumber: randomSerialNumber(),
    subject: [{ CN: [request.nodeId] }, { OU: [unit] }, { O: [request.clusterId] }],
    issuer: issuer.subjectName,
    publicKey: csr.publicKey,
    signingKey: signing.key,
    signingAlgorithm: signing.algorithm,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([...NODE_KEY_USAGES]),
      new SubjectAlternativeNameExtension([
        { type: 'dns', value: request.nodeId },
        { type: 'dns', value: unit },
      ]),
      await SubjectKeyIdentifierExtension.create(csr.publicKey),
      await authorityKeyOf(issuer),
    ],
  })
  return `${cert.toString('pem')}\n`
}

/** Names the key of an issuer as its certificate does: another CA's software may have numbered it otherwise. */
export const authorityKeyOf = (
  issuer: X509Certificate,
): Promise<AuthorityKeyIdentifierExtension> | AuthorityKeyIdentifierExtension => {
  const own = issuer.getExtension(SubjectKeyIdentifierExtension)
  return own
    ? new AuthorityKeyIdentifierExtension(own.keyId)
    : AuthorityKeyIdentifierExtension.create(issuer.publicKey)
}

/** What the Engine API shows of the CA behind a certificate. */
export interface TLSInfo {
  /** PEM. */
  TrustRoot: string
  /** Base64 DER. */
  CertIssuerSubject: string
  CertIssuerPublicKey: string
}

/** The part of `TLSInfo` that says by whom certificates are signed. */
export const issuerInfoOf = (caCertPem: string): Omit<TLSInfo, 'TrustRoot'> => {
  const ca = new X509Certificate(caCertPem)
  return {
    CertIssuerSubject: Buffer.from(ca.subjectName.toArrayBuffer()).toString('base64'),
    CertIssuerPublicKey: Buffer.from(ca.publicKey.rawData).toString('base64'),
  }
}

/** What a node tells of its own certificate and of whom it trusts. */
export const tlsInfoOf = ({
  certPem,
  rootCAPem,
}: {
  certPem: string
  rootCAPem: string
}): TLSInfo => {
  const issuer = trustedIssuer(certPem, rootCAPem)
  assert(issuer, 'credentials are read only when they belong together')
  return { TrustRoot: rootCAPem, ...issuerInfoOf(String(issuer)) }
}
