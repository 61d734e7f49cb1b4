/** Certificates for etcd, of the same kind as the cluster's own: ECDSA on P-256. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { importCAKey } from '../../../src/pki/ca-key.ts'
import { createKeyAndCsr, readCsr } from '../../../src/pki/csr.ts'
import { createRootCA } from '../../../src/pki/root-ca.ts'
import {
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  randomSerialNumber,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '../../../src/pki/x509.ts'

/** For clients that can't ask for an address. */
export const SERVER_NAME = 'localhost'
const LIFETIME_MS = 24 * 3_600_000

/** PEM files of one identity that every member and client shares. */
export interface CertificateFiles {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** Makes an authority and one certificate for all the addresses. */
export const createCertificates = async (
  directory: string,
  addresses: readonly string[],
): Promise<CertificateFiles> => {
  const root = await createRootCA({ nowMs: () => Date.now(), schedule: () => () => {} })
  const { keyPem, csrPem } = await createKeyAndCsr()
  const { publicKey } = await readCsr(csrPem)
  const signing = await importCAKey(root.keyPem)
  const certificate = await X509CertificateGenerator.create({
    notBefore: new Date(Date.now() - LIFETIME_MS),
    notAfter: new Date(Date.now() + LIFETIME_MS),
    serialNumber: randomSerialNumber(),
    subject: [{ CN: ['bench'] }],
    issuer: new X509Certificate(root.certPem).subjectName.toJSON(),
    publicKey,
    signingKey: signing.key,
    signingAlgorithm: signing.algorithm,
    extensions: [
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension([
        { type: 'dns', value: SERVER_NAME },
        ...['127.0.0.1', ...addresses].map((value) => ({ type: 'ip' as const, value })),
      ]),
    ],
  })
  const files = {
    ca: join(directory, 'ca.pem'),
    cert: join(directory, 'cert.pem'),
    key: join(directory, 'key.pem'),
  }
  writeFileSync(files.ca, root.certPem)
  writeFileSync(files.cert, `${certificate.toString('pem')}\n`)
  writeFileSync(files.key, keyPem, { mode: 0o600 })
  return files
}
