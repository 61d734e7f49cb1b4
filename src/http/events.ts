import type { IncomingMessage } from 'node:http'
import { request as httpRequest } from 'node:http'
import { answerHeaders, engineUnavailable } from './engine-proxy.ts'
import type { EventHistory } from './event-history.ts'
import { parseFilters } from './filters.ts'
import { passHalfClose } from './half-close.ts'
import { sendError } from './reply.ts'
import type { Exchange } from './routes.ts'
import { eventMatches, type SwarmEvent, swarmEvent } from './swarm-events.ts'

/** Events a slow client may leave unread before it is cut, in bytes. */
export const EVENT_BUFFER_BYTES_MAX = 1 << 20

/** How often a stream on a node that is no manager looks whether it is one now: nobody says when that is. */
const MANAGER_POLL_MS = 200

/** `GET /events`: the swarm's past events that are asked for, then the Engine's own stream with the swarm's new ones between its lines. */
export const streamEvents = (exchange: Exchange, history: EventHistory): void => {
  const { engine, engineUrl, request, response, query } = exchange
  const filters = parseFilters(query.get('filters'))
  const write = (text: string | Buffer) => {
    // The Engine's stream may have ended while a slow client still reads: to write then would be an error that nobody handles.
    if (response.writableEnded || response.destroyed) return
    response.write(text)
    if (response.writableLength > EVENT_BUFFER_BYTES_MAX) response.destroy()
  }
  const upstream = httpRequest({ ...engine.address(), path: engineUrl, agent: false })
  upstream.on('error', (error) => sendError(response, engineUnavailable(error)))
  upstream.on('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, answerHeaders(answer))
    response.flushHeaders()
    if (answer.statusCode !== 200) return answer.pipe(response)
    const send = (event: SwarmEvent | undefined) => {
      if (event && eventMatches(event, filters)) write(`${JSON.stringify(event)}\n`)
    }
    for (const event of history.since(query)) send(event)
    watchSwarm(exchange, history, send)
    copyLines(answer, write, () => response.end())
    return undefined
  })
  response.on('close', () => upstream.destroy())
  passHalfClose(request, response, upstream)
  upstream.end()
}

/** The swarm's events from now on, or from when this node becomes a manager. */
const watchSwarm = (
  { port, clock, response }: Exchange,
  history: EventHistory,
  send: (event: SwarmEvent | undefined) => void,
): void => {
  let cancel = (): void => {}
  const begin = (): void => {
    // What others ask for later begins with what this reader sees.
    history.follow()
    const unwatch = port.watch(
      (changes) => {
        for (const change of changes) send(swarmEvent(change, clock.nowMs()))
      },
      // The reader would wait for events that never come; who asks again gets those of the state that there is then.
      () => response.end(),
    )
    cancel = unwatch ?? clock.schedule(MANAGER_POLL_MS, begin)
  }
  begin()
  response.on('close', () => cancel())
}

/** Whole lines only: a swarm event must not fall into the middle of an Engine's. */
const copyLines = (
  source: IncomingMessage,
  write: (lines: Buffer) => void,
  end: () => void,
): void => {
  let rest: Buffer = Buffer.alloc(0)
  source.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    const at = rest.lastIndexOf(10) + 1
    if (at > 0) write(rest.subarray(0, at))
    rest = rest.subarray(at)
    if (rest.length > EVENT_BUFFER_BYTES_MAX) source.destroy()
  })
  source.on('end', end)
  source.on('error', end)
}
