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

/** How long past events of the swarm wait for older ones of the Engine, which sends its own past at once. */
const PAST_WAIT_MS = 100

/** `GET /events`: the past events that are asked for, the swarm's and the Engine's in the order of their time, then the Engine's own stream with the swarm's new ones between its lines. */
export const streamEvents = (exchange: Exchange, history: EventHistory): void => {
  const { engine, engineUrl, request, response, query, clock } = exchange
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
    const matching = (event: SwarmEvent): boolean => eventMatches(event, filters)
    const past = mergePast(history.since(query).filter(matching), write)
    response.on('close', clock.schedule(PAST_WAIT_MS, past.writeRest))
    watchSwarm(exchange, history, (event) => {
      if (event === undefined || !matching(event)) return
      past.writeRest()
      write(lineOf(event))
    })
    copyLines(answer, past.writeEngineLines, () => {
      past.writeRest()
      response.end()
    })
    return undefined
  })
  response.on('close', () => upstream.destroy())
  passHalfClose(request, response, upstream)
  upstream.end()
}

const lineOf = (event: SwarmEvent): string => `${JSON.stringify(event)}\n`

/** Writes each past event of the swarm before the first of the Engine's that is later. */
const mergePast = (past: readonly SwarmEvent[], write: (text: string | Buffer) => void) => {
  const waiting = [...past]
  const writeUntil = (timeNano: number): void => {
    const later = waiting.findIndex((event) => event.timeNano > timeNano)
    const due = waiting.splice(0, later < 0 ? waiting.length : later)
    for (const event of due) write(lineOf(event))
  }
  return {
    writeRest: () => writeUntil(Number.POSITIVE_INFINITY),
    writeEngineLines: (lines: Buffer): void => {
      if (waiting.length === 0) return write(lines)
      for (const line of lines.toString().split(/(?<=\n)/)) {
        writeUntil(timeOf(line))
        write(line)
      }
    },
  }
}

/** When an event of the Engine was; one that nobody can read is of no time. */
const timeOf = (line: string): number => {
  try {
    return Number((JSON.parse(line) as { timeNano?: number } | null)?.timeNano ?? 0)
  } catch {
    return 0
  }
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
