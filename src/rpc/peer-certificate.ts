import type { PeerCertificate, TLSSocket } from 'node:tls'
import { roleOfUnit } from '../api/certificate-unit.ts'
import { SwarmctlError } from '../api/errors.ts'
import type { PeerIdentity } from './connection.ts'

/** A verified certificate's content. */
export interface VerifiedPeer {
  identity: PeerIdentity
  /** Milliseconds since the epoch. */
  notAfterMs: number
}

/** What the socket's peer showed: nothing, a certificate of the cluster, or one that is refused. */
export type PeerVerdict =
  | { kind: 'anonymous' }
  | { kind: 'node'; peer: VerifiedPeer }
  | { kind: 'refused'; error: SwarmctlError }

const refused = (message: string): PeerVerdict => ({
  kind: 'refused',
  error: new SwarmctlError('UNAUTHENTICATED', message),
})

/** The node that a certificate names; undefined when it is no node's certificate. */
export const identityOf = (certificate: PeerCertificate): PeerIdentity | undefined => {
  const { CN, OU, O } = certificate.subject ?? {}
  const role = roleOfUnit(OU)
  if (typeof CN !== 'string' || typeof O !== 'string' || !role) return undefined
  return { nodeId: CN, role, clusterId: O }
}

/** The verified peer of a TLS socket, whichever side it is on. */
export const verifiedPeer = (socket: TLSSocket): VerifiedPeer | undefined => {
  const certificate = socket.getPeerCertificate()
  const identity = identityOf(certificate)
  return identity && { identity, notAfterMs: Date.parse(certificate.valid_to) }
}

/**
 * Who is at the other end of sockets that were judged: reading a certificate costs more than a small request. TLS 1.3 has no
 * renegotiation, so a socket's peer stays who it is; only the certificate's time goes on.
 */
const known = new WeakMap<TLSSocket, VerifiedPeer>()

/** Judges what a client showed to a server that verifies but does not refuse by itself, so that the client is told why. */
export const judgeClient = (socket: TLSSocket, nowMs: number): PeerVerdict => {
  const before = known.get(socket)
  if (before !== undefined) {
    return nowMs <= before.notAfterMs
      ? { kind: 'node', peer: before }
      : refused(`your ${certificateProblem('CERT_HAS_EXPIRED', nowMs)}`)
  }
  const certificate = socket.getPeerCertificate()
  if (Object.keys(certificate ?? {}).length === 0) return { kind: 'anonymous' }
  if (!socket.authorized) {
    return refused(`your ${certificateProblem(String(socket.authorizationError), nowMs)}`)
  }
  const peer = verifiedPeer(socket)
  if (peer === undefined) return refused('your certificate names no node of a cluster')
  known.set(socket, peer)
  return { kind: 'node', peer }
}

/** One line of what is wrong with a certificate, from OpenSSL's code, and what to do. Begins with "certificate". */
export const certificateProblem = (code: string, nowMs: number): string => {
  const now = new Date(nowMs).toISOString()
  if (code === 'CERT_HAS_EXPIRED') {
    return `certificate has expired by the clock here (${now}): if the clocks of both machines are right (NTP), the node has to leave and join again`
  }
  if (code === 'CERT_NOT_YET_VALID') {
    return `certificate is not valid yet by the clock here (${now}): set the clocks of both machines right (NTP)`
  }
  return `certificate is not of this cluster (${code})`
}
