import type { IncomingMessage, ServerResponse } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import { unavailable } from '../api/errors.ts'
import { sendError } from '../http/reply.ts'
import type { Credentials } from '../pki/credentials.ts'
import { splitHostPort } from './addresses.ts'

/** Marks a request that came from another manager: it is answered here or not at all, never sent on again. */
export const FORWARDED_HEADER = 'x-swarmctl-forwarded'

/** Kept-alive connections to the leader. */
const SOCKETS_MAX = 64

/** Requests of this node's socket that the leader answers, over the cluster port with this node's certificate. */
export class Forwarder {
  #agent: Agent | undefined
  #credentials: Credentials

  constructor(credentials: Credentials) {
    this.#credentials = credentials
  }

  setCredentials(credentials: Credentials): void {
    this.#credentials = credentials
    this.#agent?.destroy()
    this.#agent = undefined
  }

  close(): void {
    this.#agent?.destroy()
    this.#agent = undefined
  }

  /** Sends `request` to a manager and its answer back, both streamed. Resolves when the answer is through. */
  send(
    target: { nodeId: string; addr: string },
    request: IncomingMessage,
    response: ServerResponse,
    body?: Buffer,
  ): Promise<void> {
    const { host, port } = splitHostPort(target.addr, 2377)
    return new Promise((resolve) => {
      const upstream = httpsRequest({
        agent: this.#agentOf(),
        host,
        port,
        servername: target.nodeId,
        method: request.method,
        path: request.url,
        headers: { ...request.headers, [FORWARDED_HEADER]: '1' },
        // The certificate has to be the leader's; names play no part, the node id does.
        checkServerIdentity: (_name, certificate) =>
          certificate.subject.CN === target.nodeId
            ? undefined
            : unavailable(`the node at ${target.addr} is not the leader ${target.nodeId}`),
      })
      upstream.on('response', (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        response.flushHeaders()
        answer.pipe(response)
        answer.on('error', () => response.destroy())
      })
      upstream.on('error', (error) => {
        sendError(
          response,
          unavailable(`the leader at ${target.addr} does not answer (${error.message}): try again`),
        )
        resolve()
      })
      response.on('close', () => {
        upstream.destroy()
        resolve()
      })
      if (body) upstream.end(body)
      else request.pipe(upstream)
    })
  }

  #agentOf(): Agent {
    const { keyPem, certPem, rootCAPem } = this.#credentials
    this.#agent ??= new Agent({
      key: keyPem,
      cert: certPem,
      ca: rootCAPem,
      minVersion: 'TLSv1.3',
      keepAlive: true,
      maxSockets: Number.POSITIVE_INFINITY,
      maxFreeSockets: SOCKETS_MAX,
    })
    return this.#agent
  }
}
