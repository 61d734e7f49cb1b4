import { request as httpRequest, type ServerResponse } from 'node:http'
import { engineUnavailable } from './engine-proxy.ts'
import { passHalfClose } from './half-close.ts'
import type { Exchange } from './routes.ts'

/** A whole answer of the Engine to a request that is not passed on as it is. */
export interface EngineAnswer {
  status: number
  type: string
  body: Buffer
}

/**
 * Has the Engine answer a client's request in another form, with the client's headers. It may take as long as the client waits.
 * @throws SwarmctlError ENGINE_UNAVAILABLE
 */
export const callEngine = (
  { engine, engineUrl, request, response }: Exchange,
  instead: { url?: string; body?: object | Buffer },
): Promise<EngineAnswer> =>
  new Promise((resolve, reject) => {
    const gone = () => new Error('the client went away')
    // Nobody would end the call: 'close' is told once.
    if (response.destroyed) return reject(engineUnavailable(gone()))
    const { 'content-length': _, 'transfer-encoding': __, ...headers } = request.headers
    const { body: content = Buffer.alloc(0) } = instead
    const body = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content))
    const upstream = httpRequest({
      ...engine.address(),
      method: request.method,
      path: instead.url ?? engineUrl,
      headers: { ...headers, 'content-length': body.length },
      agent: false,
    })
    const onClose = () => upstream.destroy(gone())
    const fail = (error: Error) => {
      response.off('close', onClose)
      reject(engineUnavailable(error))
    }
    upstream.on('response', (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('error', fail)
      answer.on('end', () => {
        response.off('close', onClose)
        resolve({
          status: answer.statusCode ?? 502,
          type: answer.headers['content-type'] ?? 'application/json',
          body: Buffer.concat(chunks),
        })
      })
    })
    upstream.on('error', fail)
    response.on('close', onClose)
    passHalfClose(request, response, upstream)
    upstream.end(body)
  })

/** Sends an answer of the Engine to the client. */
export const sendAnswer = (
  response: ServerResponse,
  { status, type, body }: EngineAnswer,
): void => {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': body.length })
  response.end(body)
}
