import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { ContainerAnswer, ContainerCall, ContainerRequest } from '../../api/container-call.ts'
import { notFound, SwarmctlError, unavailable } from '../../api/errors.ts'
import { PATH_STAT_HEADER } from '../../api/path-stat.ts'
import { type EngineCall, engineCall } from './container-requests.ts'

/** The Engine's socket, for node:http. */
export type EngineAddress = { socketPath: string } | { host: string; port: number }

/** The part of an rpc stream that a call needs. */
export interface CallStream {
  send(message: unknown): Promise<void>
  messages(): AsyncIterable<unknown>
}

/** Headers of the Engine's that mean something to the asker. */
const HEADERS = ['content-type', PATH_STAT_HEADER]

const headOf = ({ statusCode, headers }: IncomingMessage): ContainerAnswer => ({
  status: statusCode === 101 ? 200 : (statusCode ?? 500),
  headers: Object.fromEntries(
    HEADERS.flatMap((name) => {
      const value = headers[name]
      return typeof value === 'string' ? [[name, value]] : []
    }),
  ),
})

const engineGone = (cause: Error): SwarmctlError =>
  new SwarmctlError('ENGINE_UNAVAILABLE', `the Docker Engine does not answer (${cause.message})`, {
    cause,
  })

const answerOf = (request: ClientRequest): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    request.on('response', resolve)
    request.on('error', (error) => reject(engineGone(error)))
  })

const sendAll = async (source: AsyncIterable<Buffer>, stream: CallStream): Promise<void> => {
  for await (const chunk of source) await stream.send(chunk)
}

/** What a peer sends, as bytes. */
async function* chunksOf(stream: CallStream): AsyncGenerator<Buffer> {
  for await (const message of stream.messages()) yield Buffer.from(message as Uint8Array)
}

const isCutOff = (error: unknown): boolean =>
  ['EPIPE', 'ECONNRESET'].includes((error as NodeJS.ErrnoException).code ?? '')

const ended = (source: Duplex): Promise<void> =>
  new Promise((resolve) => {
    source.once('close', resolve)
    source.once('error', () => resolve())
  })

export interface ContainerCallsDeps {
  /** Where the Engine listens. */
  address: () => EngineAddress
  /** The container of a task of this node; undefined when there is none (yet, or any more). */
  containerOf: (taskId: string) => string | undefined
}

/** Serves `agent.container`: managers' calls about the containers of this node's tasks, and of no others. */
export class ContainerCalls {
  readonly #deps: ContainerCallsDeps

  constructor(deps: ContainerCallsDeps) {
    this.#deps = deps
  }

  /** Handler of the rpc stream. @throws SwarmctlError NOT_FOUND, UNAVAILABLE, ENGINE_UNAVAILABLE */
  async serve(
    body: unknown,
    stream: CallStream,
    { signal }: { signal: AbortSignal },
  ): Promise<void> {
    const { taskId, call } = body as ContainerRequest
    const containerId = this.#deps.containerOf(taskId)
    if (containerId === undefined) {
      throw unavailable(`task ${taskId} has no container on this node (now)`)
    }
    if ('execId' in call) await this.#requireOwn(containerId, call)
    const wanted = engineCall(containerId, call)
    if (wanted.isHijacked) await this.#hijack(wanted, stream, signal)
    else await this.#exchange(wanted, stream, signal)
  }

  /** A command's id may be of any container of this Engine: only this task's is served. */
  async #requireOwn(containerId: string, call: Extract<ContainerCall, { execId: string }>) {
    const answer = await answerOf(
      this.#request(engineCall(containerId, { kind: 'exec-inspect', execId: call.execId })),
    )
    const body = await text(answer)
    const isOwn = answer.statusCode === 200 && JSON.parse(body).ContainerID === containerId
    if (!isOwn) throw notFound(`No such exec instance: ${call.execId}`)
  }

  #request({ method, path, body, takesBody, isHijacked }: EngineCall, signal?: AbortSignal) {
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
    const request = httpRequest({
      ...this.#deps.address(),
      method,
      path,
      agent: false,
      ...(signal && { signal }),
      headers: {
        Host: 'docker',
        ...(bytes && { 'Content-Type': 'application/json', 'Content-Length': bytes.length }),
        ...(takesBody && { 'Content-Type': 'application/x-tar', 'Transfer-Encoding': 'chunked' }),
        ...(isHijacked && { Connection: 'Upgrade', Upgrade: 'tcp' }),
      },
    })
    if (takesBody) request.flushHeaders()
    else request.end(bytes)
    return request
  }

  /** A plain request; the body comes from the peer where the call has one. */
  async #exchange(call: EngineCall, stream: CallStream, signal: AbortSignal): Promise<void> {
    const request = this.#request(call, signal)
    const answered = answerOf(request)
    if (call.takesBody) void this.#feed(request, stream)
    const answer = await answered
    await stream.send(headOf(answer))
    await sendAll(answer, stream)
  }

  async #feed(
    target: NodeJS.WritableStream & { destroy(error?: Error): unknown },
    stream: CallStream,
  ) {
    try {
      for await (const chunk of chunksOf(stream)) {
        if (!target.write(chunk)) await new Promise((resolve) => target.once('drain', resolve))
      }
      target.end()
    } catch (error) {
      target.destroy(error as Error)
    }
  }

  /** The connection carries the command's input and output once the Engine has agreed. */
  async #hijack(call: EngineCall, stream: CallStream, signal: AbortSignal): Promise<void> {
    const request = this.#request(call, signal)
    const begun = await new Promise<{ head: IncomingMessage; socket?: Duplex; first?: Buffer }>(
      (resolve, reject) => {
        request.on('upgrade', (head, socket, first) => resolve({ head, socket, first }))
        request.on('response', (head) => resolve({ head }))
        request.on('error', (error) => reject(engineGone(error)))
      },
    )
    await stream.send(headOf(begun.head))
    const { socket } = begun
    if (!socket) return sendAll(begun.head, stream)
    const close = () => socket.destroy()
    signal.addEventListener('abort', close, { once: true })
    const over = ended(socket)
    try {
      void this.#feed(socket, stream)
      if (begun.first && begun.first.length > 0) await stream.send(begun.first)
      await sendAll(socket, stream)
    } catch (error) {
      // A command may end before it has read all of its input: what is still sent then meets a closed connection.
      if (!isCutOff(error)) throw error
    } finally {
      signal.removeEventListener('abort', close)
      socket.destroy()
      await over
    }
  }
}
