import { SwarmctlError } from '../api/errors.ts'
import { certificateProblem } from './peer-certificate.ts'

const NETWORK_PROBLEMS: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there: is the swarmctl daemon running?',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to the network',
  ETIMEDOUT: 'it does not answer: is a firewall in the way?',
  ENOTFOUND: 'the name is unknown',
  EAI_AGAIN: 'the name can not be resolved now',
  ECONNRESET: 'it closed the connection: is this the cluster port of a manager?',
  EPROTO: 'it does not speak TLS 1.3: is this the cluster port of a manager?',
}

const isCertificateCode = (code: string): boolean =>
  code.startsWith('CERT_') ||
  code.startsWith('UNABLE_TO_') ||
  code.startsWith('SELF_SIGNED_') ||
  code.startsWith('DEPTH_ZERO_') ||
  code.startsWith('INVALID_') ||
  code === 'ERROR_IN_CERT_NOT_AFTER_FIELD'

/** One line of why a connection could not be made: UNAUTHENTICATED when the peer is not who it should be, else UNAVAILABLE. */
export const connectError = (addr: string, cause: unknown, nowMs: number): SwarmctlError => {
  if (cause instanceof SwarmctlError) return cause
  const thrown = (cause ?? {}) as { code?: unknown; message?: string }
  // A DOMException's code, of an aborted signal, is a number.
  const code = typeof thrown.code === 'string' ? thrown.code : ''
  const message = thrown.message ?? String(cause)
  if (isCertificateCode(code)) {
    return new SwarmctlError('UNAUTHENTICATED', `${addr}: its ${certificateProblem(code, nowMs)}`, {
      cause,
    })
  }
  const isSilent = message.includes('handshake has timed out')
  const problem = NETWORK_PROBLEMS[isSilent ? 'ETIMEDOUT' : code] ?? tlsProblem(code, message)
  return new SwarmctlError('UNAVAILABLE', `can't connect to ${addr}: ${problem}`, { cause })
}

const tlsProblem = (code: string, message: string): string =>
  code.startsWith('ERR_SSL_') || message.startsWith('socket hang up')
    ? `it does not speak TLS 1.3 as a swarmctl node does (${code || message})`
    : message
