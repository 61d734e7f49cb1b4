import { CERTIFICATE_UNITS } from '../api/certificate-unit.ts'
import type { Clock } from '../api/clock.ts'
import { readCsr } from './csr.ts'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  generateKeys,
  importPrivateKey,
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

/** A new self-signed root, CN `swarm-ca`. It signs leaves only (path length 0). */
export const createRootCA = async (clock: Clock): Promise<RootCA> => {
  const keys = await generateKeys()
  const cert = await X509CertificateGenerator.createSelfSigned({
    ...dates(clock, ROOT_LIFETIME_MS),
    serialNumber: randomSerialNumber(),
    name: [{ CN: ['swarm-ca'] }],
    keys,
    signingAlgorithm: SIGNING_ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
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
  const cert = await X509CertificateGenerator.create({
    ...dates(clock, request.lifetimeMs),
    serialNumber: randomSerialNumber(),
    subject: [{ CN: [request.nodeId] }, { OU: [unit] }, { O: [request.clusterId] }],
    issuer: issuer.subjectName.toJSON(),
    publicKey: csr.publicKey,
    signingKey: await importPrivateKey(root.keyPem),
    signingAlgorithm: SIGNING_ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension([
        { type: 'dns', value: request.nodeId },
        { type: 'dns', value: unit },
      ]),
      await SubjectKeyIdentifierExtension.create(csr.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  })
  return `${cert.toString('pem')}\n`
}

/** What the Engine API shows of the root (`TLSInfo`): PEM, and base64 DER of the subject and the public key. */
export const tlsInfoOf = (
  rootCAPem: string,
): { TrustRoot: string; CertIssuerSubject: string; CertIssuerPublicKey: string } => {
  const root = new X509Certificate(rootCAPem)
  return {
    TrustRoot: rootCAPem,
    CertIssuerSubject: Buffer.from(root.subjectName.toArrayBuffer()).toString('base64'),
    CertIssuerPublicKey: Buffer.from(root.publicKey.rawData).toString('base64'),
  }
}
