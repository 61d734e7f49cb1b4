import { request as httpsRequest } from 'node:https'
import { connect as tlsConnect } from 'node:tls'
import { z } from 'zod'
import { SwarmctlError } from '../api/errors.ts'
import type { ExternalSigner, SignRequest } from '../manager/ca/external-ca.ts'
import type { CredentialsPem } from '../pki/credentials.ts'

/** For a whole request, milliseconds (swarmkit `ca.DefaultExternalCARequestTimeout`: 5 s). */
const TIMEOUT_MS = 5_000
/** Of an answer that is read (swarmkit `ca.CertificateMaxSize`), bytes. */
const ANSWER_BYTES_MAX = 256 * 1024
const HTTPS_PORT = 443

const Answer = z.object({
  success: z.boolean(),
  result: z.object({ certificate: z.string() }).nullish(),
  errors: z.array(z.object({ message: z.string() })).nullish(),
})

/** Asks CFSSL signers for certificates, with this manager's own certificate. */
export class CfsslClient implements ExternalSigner {
  readonly #credentials: () => CredentialsPem

  constructor(deps: { credentials: () => CredentialsPem }) {
    this.#credentials = deps.credentials
  }

  async sign(url: string, rootCAPem: string, request: SignRequest): Promise<string> {
    const { status, text } = await this.#post(url, rootCAPem, JSON.stringify(request))
    const answer = Answer.safeParse(jsonOf(text))
    const { success, result, errors } = answer.data ?? {}
    if (status === 200 && success && result) return result.certificate
    const why = errors?.[0]?.message ?? `HTTP status ${status}`
    throw failed(url, `refuses to sign: ${why}`)
  }

  reach(url: string, rootCAPem: string): Promise<void> {
    const { hostname, port } = new URL(url)
    return new Promise((resolve, reject) => {
      const host = hostname.replace(/^\[|\]$/g, '')
      const socket = tlsConnect({
        ...this.#tls(rootCAPem),
        host,
        port: Number(port) || HTTPS_PORT,
        servername: nameOf(host),
        timeout: TIMEOUT_MS,
      })
      const end = (settle: () => void) => {
        socket.destroy()
        settle()
      }
      socket.on('secureConnect', () => end(resolve))
      socket.on('timeout', () => end(() => reject(failed(url, 'does not answer in time'))))
      socket.on('error', (error) => end(() => reject(failed(url, `fails: ${error.message}`))))
    })
  }

  #post(url: string, rootCAPem: string, body: string): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const outgoing = httpsRequest(url, {
        ...this.#tls(rootCAPem),
        method: 'POST',
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        agent: false,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      outgoing.on('error', (error) => {
        const why = error.name === 'TimeoutError' || error.name === 'AbortError'
        reject(failed(url, why ? 'does not answer in time' : `fails: ${error.message}`))
      })
      outgoing.on('response', (incoming) => {
        let text = ''
        incoming.setEncoding('utf8')
        incoming.on('data', (chunk: string) => {
          text += chunk
          if (text.length > ANSWER_BYTES_MAX) incoming.destroy(new Error('its answer is too long'))
        })
        incoming.on('error', (error) => reject(failed(url, `fails: ${error.message}`)))
        incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, text }))
      })
      outgoing.end(body)
    })
  }

  #tls(rootCAPem: string) {
    const { keyPem, certPem } = this.#credentials()
    return { key: keyPem, cert: certPem, ca: rootCAPem, minVersion: 'TLSv1.2' as const }
  }
}

/** SNI carries no addresses. */
const nameOf = (host: string): string => (/^[\d.]+$|:/.test(host) ? '' : host)

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const failed = (url: string, why: string): SwarmctlError =>
  new SwarmctlError('UNAVAILABLE', `the external CA at ${url} ${why}`)
