import { importCAKey } from './ca-key.ts'
import type { RootCA } from './root-ca.ts'
import {
  BasicConstraintsExtension,
  Pkcs10CertificateRequestGenerator,
  X509Certificate,
} from './x509.ts'

/** The parts of a name that a CFSSL signer takes besides the CN. */
const NAME_PARTS = ['C', 'ST', 'L', 'O', 'OU'] as const

/** What a signer has to know to certify a CA. */
export interface CARequest {
  /** PEM, signed by the CA's own key. */
  csrPem: string
  subject: { CN: string; names: Record<string, string>[] }
  /** That it is a CA, as an extension: in hexadecimal DER. */
  basicConstraints: { id: string; critical: boolean; value: string }
}

/** The request to certify a CA whose key is at hand: another root is to vouch for it. */
export const createCARequest = async (ca: RootCA): Promise<CARequest> => {
  const certificate = new X509Certificate(ca.certPem)
  const { key: privateKey, algorithm } = await importCAKey(ca.keyPem)
  const publicKey = await certificate.publicKey.export(
    { ...certificate.publicKey.algorithm, ...algorithm },
    ['verify'],
  )
  const constraints = new BasicConstraintsExtension(true, 0, true)
  const csr = await Pkcs10CertificateRequestGenerator.create({
    name: certificate.subjectName,
    keys: { privateKey, publicKey },
    signingAlgorithm: algorithm,
    extensions: [constraints],
  })
  const values = (part: string) => certificate.subjectName.getField(part)
  return {
    csrPem: csr.toString('pem'),
    subject: {
      CN: values('CN')[0] ?? '',
      names: NAME_PARTS.flatMap((part) => values(part).map((value) => ({ [part]: value }))),
    },
    basicConstraints: {
      id: constraints.type,
      critical: true,
      value: Buffer.from(constraints.value).toString('hex'),
    },
  }
}
