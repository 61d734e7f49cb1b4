// @peculiar/x509 resolves its algorithms through tsyringe, which throws unless reflect-metadata was loaded before it:
// every other file imports the library from here.
import 'reflect-metadata'
import type { webcrypto } from 'node:crypto'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'

export {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
}

/** The only key type of the cluster: ECDSA on P-256, as swarmkit's. */
export const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const

/** How certificates and requests are signed. */
export const SIGNING_ALGORITHM = { name: 'ECDSA', hash: 'SHA-256' } as const

/** A new P-256 key pair whose private key can be exported. */
export const generateKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  crypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify'])

/** PKCS #8 PEM of a private key. */
export const privateKeyPem = async (key: webcrypto.CryptoKey): Promise<string> =>
  PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')

/** 127 random bits, positive as RFC 5280 §4.1.2.2 wants serial numbers, in hexadecimal. */
export const randomSerialNumber = (): string => {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[0] = (bytes[0]! & 0x7f) | 0x01
  return Buffer.from(bytes).toString('hex')
}
