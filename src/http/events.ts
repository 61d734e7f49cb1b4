import type { IncomingMessage, ServerResponse } from 'node:http'
import { request as httpRequest } from 'node:http'
import type { Clock } from '../api/clock.ts'
import { parseFilters } from './filters.ts'
import type { EnginePort, SwarmPort } from './ports.ts'
import { eventMatches, swarmEvent } from './swarm-events.ts'

/** Events a slow client may leave unread before it is cut, in bytes. */
export const EVENT_BUFFER_BYTES_MAX = 1 << 20

/** `GET /events`: the Engine's own stream with the swarm's events between its lines. */
export const streamEvents = (
  deps: { port: SwarmPort; engine: EnginePort; clock: Clock },
  request: IncomingMessage,
  response: ServerResponse,
  query: URLSearchParams,
): void => {
  const filters = parseFilters(query.get('filters'))
  response.writeHead(200, { 'Content-Type': 'application/json' })
  response.flushHeaders()
  const write = (text: string | Buffer) => {
    response.write(text)
    if (response.writableLength > EVENT_BUFFER_BYTES_MAX) response.destroy()
  }
  const unwatch = deps.port.watch((changes) => {
    for (const change of changes) {
      const event = swarmEvent(change, deps.clock.nowMs())
      if (event && eventMatches(event, filters)) write(`${JSON.stringify(event)}\n`)
    }
  })
  const upstream = httpRequest({ ...deps.engine.address(), path: request.url, agent: false })
  // Whole lines only: a swarm event must not fall into the middle of an Engine's.
  let rest = Buffer.alloc(0)
  upstream.on('response', (answer) => {
    answer.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk])
      const end = rest.lastIndexOf(10) + 1
      if (end > 0) write(rest.subarray(0, end))
      rest = rest.subarray(end)
    })
    answer.on('end', () => response.end())
    answer.on('error', () => response.end())
  })
  upstream.on('error', () => response.end())
  upstream.end()
  response.on('close', () => {
    unwatch()
    upstream.destroy()
  })
}
