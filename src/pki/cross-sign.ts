import { precondition } from '../api/errors.ts'
import { importCAKey } from './ca-key.ts'
import { authorityKeyOf, type RootCA } from './root-ca.ts'
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  randomSerialNumber,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from './x509.ts'

/**
 * The new root's certificate signed by the old root, PEM: with it behind a node's certificate, who trusts only the old root trusts what
 * the new one signed. Name, key and time are the new root's own. Throws FAILED_PRECONDITION when the old root can't vouch for the new.
 */
export const crossSign = async (old: RootCA, newCertPem: string): Promise<string> => {
  const [issuer, ca] = [new X509Certificate(old.certPem), new X509Certificate(newCertPem)]
  requireRoom(issuer, ca)
  const signing = await importCAKey(old.keyPem)
  const keyId = ca.getExtension(SubjectKeyIdentifierExtension)
  const cert = await X509CertificateGenerator.create({
    notBefore: ca.notBefore,
    notAfter: ca.notAfter,
    serialNumber: randomSerialNumber(),
    subject: ca.subjectName,
    issuer: issuer.subjectName,
    publicKey: ca.publicKey,
    signingKey: signing.key,
    signingAlgorithm: signing.algorithm,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ...(keyId ? [keyId] : [await SubjectKeyIdentifierExtension.create(ca.publicKey)]),
      await authorityKeyOf(issuer),
    ],
  })
  return `${cert.toString('pem')}\n`
}

/** A root that may have no CA below it has room for one of its own name only (RFC 5280 §4.2.1.9: self-issued ones don't count). */
const requireRoom = (old: X509Certificate, ca: X509Certificate): void => {
  const pathLength = old.getExtension(BasicConstraintsExtension)?.pathLength
  const isSameName = Buffer.from(old.subjectName.toArrayBuffer()).equals(
    Buffer.from(ca.subjectName.toArrayBuffer()),
  )
  if (pathLength !== 0 || isSameName) return
  throw precondition(
    `the current root CA allows no CA below it (path length 0), so that it can't vouch for one with another name than its own (${old.subject}): rotate without --ca-cert first`,
  )
}
