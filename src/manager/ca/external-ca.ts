import type { X509Certificate } from 'node:crypto'
import type { Cluster, ExternalCA } from '../../api/swarm.ts'
import { certificatesOf } from '../../pki/certificate-chain.ts'
import { NODE_LIFETIME_MS_MIN } from '../../pki/root-ca.ts'

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

/** What is wrong with the time of a certificate that a signer gave, if it is: clocks differ, and profiles have lives of their own. */
export const timeProblem = (
  { validFrom, validFromDate, validTo, validToDate }: X509Certificate,
  nowMs: number,
): string | undefined =>
  validFromDate.getTime() <= nowMs && validToDate.getTime() >= nowMs + NODE_LIFETIME_MS_MIN
    ? undefined
    : `valid from ${validFrom} to ${validTo}, which must be from now on for an hour at least: set clocks and the profile's expiry so`
