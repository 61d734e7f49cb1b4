import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import type { Clock } from '../api/clock.ts'
import { unavailable } from '../api/errors.ts'
import { answerHeaders } from '../http/engine-proxy.ts'
import { sendError } from '../http/reply.ts'
import type { Credentials } from '../pki/credentials.ts'
import { splitHostPort } from './addresses.ts'

/** Marks a request that came from another manager: it is answered here or not at all, never sent on again. */
export const FORWARDED_HEADER = 'x-swarmctl-forwarded'

/** Kept-alive connections to the leader. */
const SOCKETS_MAX = 64
/**
 * A leader begins every answer at once, streams too, or says that it is still at work (`http/still-at-work.ts`); one whose host died says
 * nothing for as long as TCP hopes. Counts from the last that went to it or came from it.
 */
const SILENCE_LIMIT_MS = 30_000

/** Requests of this node's socket that the leader answers, over the cluster port with this node's certificate. */
export class Forwarder {
  readonly #clock: Clock
  /** What gives up the requests that wait for a manager, by the request. */
  readonly #waiting = new Map<IncomingMessage, { nodeId: string; giveUp: () => void }>()
  #agent: Agent | undefined
  #credentials: Credentials

  constructor(deps: { clock: Clock }, credentials: Credentials) {
    this.#clock = deps.clock
    this.#credentials = credentials
  }

  /** Who leads is known anew: what still waits for another manager would wait for one that may be gone. */
  onLeader(leaderId: string): void {
    for (const { nodeId, giveUp } of this.#waiting.values()) if (nodeId !== leaderId) giveUp()
  }

  /** New connections use these; requests under way go on. */
  setCredentials(credentials: Credentials): void {
    this.#credentials = credentials
    if (this.#agent) retire(this.#agent)
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
    // It went away while the leader was looked for: nobody would end what is begun for it.
    if (response.destroyed) return Promise.resolve()
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
      const giveUp = (why: string) => upstream.destroy(new Error(why))
      this.#waiting.set(request, {
        nodeId: target.nodeId,
        giveUp: () => giveUp('it leads no more'),
      })
      limitSilence(this.#clock, request, upstream, () =>
        giveUp(`silent for ${SILENCE_LIMIT_MS / 1000} s`),
      )
      upstream.on('close', () => this.#waiting.delete(request))
      upstream.on('response', (answer) => {
        // Of this node and its Engine, which the client speaks to: another manager's may have other versions.
        const { 'api-version': _, server: __, ostype: ___, ...headers } = answerHeaders(answer)
        response.writeHead(answer.statusCode ?? 502, headers)
        response.flushHeaders()
        answer.pipe(response)
        answer.on('error', () => response.destroy())
      })
      upstream.on('error', (error) => {
        sendError(
          response,
          unavailable(
            `the leader at ${target.addr} does not answer (${error.message}): look whether the command took effect, and try again`,
          ),
        )
        resolve()
      })
      response.on('close', () => {
        upstream.destroy()
        resolve()
      })
      if (body) return void upstream.end(body)
      // The first byte of a body may wait for the answer: the input of a command.
      if (request.headers['transfer-encoding']) upstream.flushHeaders()
      request.pipe(upstream)
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

/** Calls `giveUp` when the leader neither takes of the request's body nor says anything, until its answer begins. */
const limitSilence = (
  clock: Clock,
  request: IncomingMessage,
  upstream: ClientRequest,
  giveUp: () => void,
): void => {
  let cancel = clock.schedule(SILENCE_LIMIT_MS, giveUp)
  const anew = () => {
    cancel()
    cancel = clock.schedule(SILENCE_LIMIT_MS, giveUp)
  }
  const end = () => {
    cancel()
    request.off('data', anew)
    upstream.off('finish', anew).off('information', anew)
  }
  // Who takes no more of the body stops these: the pipe reads on when there is room.
  request.on('data', anew)
  upstream.on('finish', anew).on('information', anew)
  upstream.once('response', end).once('close', end)
}

/** Closes the agent's idle connections now, and each other one when its request is through. */
const retire = (agent: Agent): void => {
  agent.maxFreeSockets = 0
  for (const sockets of Object.values(agent.freeSockets)) {
    for (const socket of sockets ?? []) socket.destroy()
  }
}
