/** A CFSSL signer: one CA, mutual TLS, its `sign` endpoint. What it certifies is the request's key, the rest as it is asked. */
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import type { SignRequest } from '../../../src/manager/ca/external-ca.ts'
import { importCAKey } from '../../../src/pki/ca-key.ts'
import { authorityKeyOf, type RootCA } from '../../../src/pki/root-ca.ts'
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  generateKeys,
  Pkcs10CertificateRequest,
  privateKeyPem,
  randomSerialNumber,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '../../../src/pki/x509.ts'

/** CFSSL's. */
export const SIGN_PATH = '/api/v1/cfssl/sign'
const LOOPBACK = '127.0.0.1'
const DAY_MS = 24 * 3_600_000
const life = () => ({
  notBefore: new Date(Date.now() - DAY_MS),
  notAfter: new Date(Date.now() + DAY_MS),
})

/** A certificate and key for the signer's own listener at this address. */
export const serverCertificate = async (root: RootCA, ip = LOOPBACK) => {
  const keys = await generateKeys()
  const signing = await importCAKey(root.keyPem)
  const certificate = await X509CertificateGenerator.create({
    ...life(),
    serialNumber: randomSerialNumber(),
    subject: [{ CN: ['signer'] }],
    issuer: new X509Certificate(root.certPem).subjectName,
    publicKey: keys.publicKey,
    signingKey: signing.key,
    signingAlgorithm: signing.algorithm,
    extensions: [
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension([{ type: 'ip', value: ip }]),
      await authorityKeyOf(new X509Certificate(root.certPem)),
    ],
  })
  return { cert: certificate.toString('pem'), key: await privateKeyPem(keys.privateKey) }
}

const certify = async (
  root: RootCA,
  request: SignRequest,
  valid: { notBefore: Date; notAfter: Date },
): Promise<string> => {
  const csr = new Pkcs10CertificateRequest(request.certificate_request)
  const issuer = new X509Certificate(root.certPem)
  const signing = await importCAKey(root.keyPem)
  const { CN, names } = request.subject
  const isCA = request.profile === 'CA' && request.extensions?.[0]?.id === '2.5.29.19'
  const certificate = await X509CertificateGenerator.create({
    ...valid,
    serialNumber: randomSerialNumber(),
    subject: [
      ...names.flatMap((name) =>
        Object.entries(name).map(([part, value]) => ({ [part]: [value] })),
      ),
      { CN: [CN] },
    ],
    issuer: issuer.subjectName,
    publicKey: csr.publicKey,
    signingKey: signing.key,
    signingAlgorithm: signing.algorithm,
    extensions: [
      new BasicConstraintsExtension(isCA, isCA ? 0 : undefined, true),
      ...(isCA
        ? []
        : [
            new ExtendedKeyUsageExtension([
              ExtendedKeyUsage.serverAuth,
              ExtendedKeyUsage.clientAuth,
            ]),
            new SubjectAlternativeNameExtension(
              request.hosts.map((value) => ({ type: 'dns' as const, value })),
            ),
          ]),
      await SubjectKeyIdentifierExtension.create(csr.publicKey),
      await authorityKeyOf(issuer),
    ],
  })
  return `${certificate.toString('pem')}\n`
}

export interface SignerOptions {
  ip: string
  /** 0: a free one. */
  port: number
  /** Whose certificates its clients have to show, PEM. */
  clientCA: string
}

/** Listens until it is stopped. */
export const listenAsSigner = async (root: RootCA, { ip, port, clientCA }: SignerOptions) => {
  const signer = {
    url: '',
    requests: [] as SignRequest[],
    /** Changes what is asked, or throws to refuse. */
    distort: (request: SignRequest): SignRequest => request,
    /** Of what it certifies. */
    life,
    stop: async () => {},
  }
  const server = createServer({
    ...(await serverCertificate(root, ip)),
    ca: clientCA,
    requestCert: true,
    rejectUnauthorized: true,
  })
  server.on('request', async (incoming, response) => {
    let text = ''
    for await (const chunk of incoming) text += String(chunk)
    const request = JSON.parse(text) as SignRequest
    signer.requests.push(request)
    const certified = async () => certify(root, signer.distort(request), signer.life())
    const answer = await certified().then(
      (certificate) => ({ success: true, result: { certificate }, errors: [], messages: [] }),
      (error: Error) => ({
        ...{ success: false, result: null, messages: [] },
        errors: [{ code: 5_000, message: error.message }],
      }),
    )
    response.writeHead(answer.success ? 200 : 400, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answer))
  })
  await new Promise<void>((resolve) => server.listen(port, ip, resolve))
  signer.url = `https://${ip}:${(server.address() as AddressInfo).port}${SIGN_PATH}`
  signer.stop = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return signer
}

/** Listens on this machine until the test ends. */
export const startSigner = async (t: Test, root: RootCA, clientCA: string) => {
  const signer = await listenAsSigner(root, { ip: LOOPBACK, port: 0, clientCA })
  t.teardown(() => signer.stop())
  return signer
}
