import { invalid } from '../api/errors.ts'
import {
  generateKeys,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  privateKeyPem,
  SIGNING_ALGORITHM,
} from './x509.ts'

/** Characters of a certificate request that is read at all; a P-256 request has about 400. */
const CSR_CHARACTERS_MAX = 8192

/** A private key and the request to certify its public half, both PEM. The key never leaves the node. */
export interface KeyAndCsr {
  keyPem: string
  csrPem: string
}

/** A new key with its certificate request. The subject is empty: the cluster decides who the node is. */
export const createKeyAndCsr = async (): Promise<KeyAndCsr> => {
  const keys = await generateKeys()
  const csr = await Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: ['swarm-node'] }],
    keys,
    signingAlgorithm: SIGNING_ALGORITHM,
  })
  return { keyPem: await privateKeyPem(keys.privateKey), csrPem: csr.toString('pem') }
}

/** A checked certificate request. */
export interface ReadCsr {
  publicKey: Pkcs10CertificateRequest['publicKey']
  /** Base64 DER: the identity of the key, equal for a repeated request. */
  publicKeyId: string
}

/** Reads a request and checks that it is signed by its own P-256 key. Throws INVALID_ARGUMENT. */
export const readCsr = async (csrPem: string): Promise<ReadCsr> => {
  if (csrPem.length > CSR_CHARACTERS_MAX) throw invalid('the certificate request is too large')
  let csr: Pkcs10CertificateRequest
  let signed: boolean
  try {
    csr = new Pkcs10CertificateRequest(csrPem)
    signed = await csr.verify()
  } catch (cause) {
    throw invalid(`the certificate request can't be read: ${(cause as Error).message}`)
  }
  const algorithm = csr.publicKey.algorithm as { name: string; namedCurve?: string }
  if (algorithm.name !== 'ECDSA' || algorithm.namedCurve !== 'P-256') {
    throw invalid('the certificate request must have an ECDSA P-256 key')
  }
  if (!signed) throw invalid('the certificate request is not signed by its own key')
  return {
    publicKey: csr.publicKey,
    publicKeyId: Buffer.from(csr.publicKey.rawData).toString('base64'),
  }
}
