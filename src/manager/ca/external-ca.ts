import type { Cluster, ExternalCA } from '../../api/swarm.ts'
import { certificatesOf } from '../../pki/certificate-chain.ts'

/** What a CFSSL signer is asked (cfssl `signer.SignRequest`): a certificate of this content for the request's key. */
export interface SignRequest {
  /** DNS names. */
  hosts: string[]
  /** PEM. */
  certificate_request: string
  subject: { CN: string; names: Record<string, string>[] }
  /** Empty: the signer's default. */
  profile: string
  /** With the value in hexadecimal DER. */
  extensions?: { id: string; critical: boolean; value: string }[]
}

/** Talks to signers outside the cluster, over mutual TLS with this manager's certificate; `rootCAPem` is whom it trusts. */
export interface ExternalSigner {
  /** The certificate, PEM. Rejects with UNAVAILABLE, in one line that names the signer. */
  sign(url: string, rootCAPem: string, request: SignRequest): Promise<string>
  /** Whether a signer answers that shows a certificate of this CA. Rejects as `sign`. */
  reach(url: string, rootCAPem: string): Promise<void>
}

/** The signers for a CA among those that the settings name. One that names no CA is the present root's. */
export const signersOf = (
  externalCAs: readonly ExternalCA[],
  caCertPem: string,
  { RootCACert }: Pick<Cluster['Swarmctl'], 'RootCACert'>,
): string[] => {
  const wanted = certificatesOf(caCertPem).map(String)
  const isFor = ({ CACert }: ExternalCA) =>
    readable(CACert || RootCACert).some((certificate) => wanted.includes(certificate))
  return externalCAs.filter(isFor).map(({ URL }) => URL ?? '')
}

/** What a client sent as certificates need not be any: it fits no CA then. */
const readable = (pem: string): string[] => {
  try {
    return certificatesOf(pem).map(String)
  } catch {
    return []
  }
}
