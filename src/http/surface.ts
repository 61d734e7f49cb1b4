import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:http'
import type { Duplex } from 'node:stream'
import findMyWay from 'find-my-way'
import type { Clock } from '../api/clock.ts'
import { SwarmctlError, toSwarmctlError } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import {
  advertisedApiVersion,
  engineUrl,
  requireKnownVersion,
  splitVersion,
} from './api-version.ts'
import { attachRoutes } from './attach-routes.ts'
import { autoscaleRoutes } from './autoscale-routes.ts'
import { backupRoutes } from './backup-routes.ts'
import { containerRoutes } from './container-routes.ts'
import { EnginePing } from './engine-ping.ts'
import { proxyToEngine, proxyUpgrade } from './engine-proxy.ts'
import { EventHistory } from './event-history.ts'
import { streamEvents } from './events.ts'
import { forecastRoutes } from './forecast-routes.ts'
import { onHalfClose } from './half-close.ts'
import { info, swarmHeader, version } from './info.ts'
import { atLeader } from './leader.ts'
import { localContainerRoutes } from './local-container-routes.ts'
import { requireManager } from './membership.ts'
import { networkRoutes } from './network-routes.ts'
import { nodeRoutes, secretAndConfigRoutes } from './object-routes.ts'
import type { EnginePort, SwarmPort } from './ports.ts'
import { sendError } from './reply.ts'
import { type Exchange, queryFlag, type Route } from './routes.ts'
import { serviceRoutes } from './service-routes.ts'
import { tellStillAtWork } from './still-at-work.ts'
import { swarmRoutes } from './swarm-routes.ts'

/** Registry credentials of a build come in one header; Go's servers take this much. */
const HEADER_BYTES_MAX = 1 << 20

const UPGRADE_HEADERS = ['connection', 'upgrade', 'http2-settings']

/** What the surface needs. */
export interface SurfaceDeps {
  port: SwarmPort
  engine: EnginePort
  clock: Clock
  log: Log
}

/** The Engine-API-compatible HTTP surface of a node: the swarm's half answered here, all else passed to the local Engine. */
export class Surface {
  readonly #deps: SurfaceDeps
  readonly #ping: EnginePing
  readonly #history: EventHistory
  /** Stands for the Engine in forwarded requests: knows its version, and is never asked. */
  readonly #notThisEngine: EnginePort = {
    address() {
      throw notForwarded()
    },
    apiVersions: () => this.#deps.engine.apiVersions(),
  }
  readonly #router = findMyWay({ ignoreTrailingSlash: true, maxParamLength: 500 })
  readonly #routes = new Map<unknown, Route>()
  /** Connections of clients that the Engine has hijacked. */
  readonly #hijacked = new Set<Duplex>()

  constructor(deps: SurfaceDeps) {
    this.#deps = deps
    this.#ping = new EnginePing(deps)
    this.#history = new EventHistory(deps)
    for (const route of [...this.#ownRoutes(), ...ALL_ROUTES]) {
      const handler = () => undefined
      this.#routes.set(handler, route)
      this.#router.on(route.method, route.path, handler)
    }
  }

  /** An HTTP server for the API socket. The caller listens and closes. */
  createServer(): Server {
    const options = {
      maxHeaderSize: HEADER_BYTES_MAX,
      // Some clients offer HTTP/2 with each request (Java's, `curl --http2`): what is answered here is answered by the version that they asked in.
      shouldUpgradeCallback: ({ method = '', url = '/' }: IncomingMessage) =>
        this.#find(method, splitUrl(originForm(url))[0]) === undefined,
    }
    const server = createServer(options, (request, response) => {
      request.url = originForm(request.url)
      // Of this connection alone: neither the leader nor the Engine is offered it.
      if (request.headers.upgrade !== undefined) {
        for (const name of UPGRADE_HEADERS) delete request.headers[name]
      }
      void this.handle(request, response)
    })
    // Node's own name for it, beside `allowHalfOpen` of its sockets: without it who ends its half gets nothing of what is not written yet.
    Object.assign(server, { httpAllowHalfOpen: true })
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
    // `docker logs -f`, `events` and `service create` may stay open for as long as they like.
    server.requestTimeout = 0
    server.timeout = 0
    // As Docker's: clients keep connections for later, and one that is closed as they use it again fails their call.
    server.keepAliveTimeout = 0
    return server
  }

  /** Answers one request of the socket. */
  handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    return this.#handle(request, response, this.#deps.engine)
  }

  /** Answers one request that another manager forwarded: it may ask for the cluster's state, for nothing of this machine. */
  handleForwarded(request: IncomingMessage, response: ServerResponse): Promise<void> {
    return this.#handle(request, response, this.#notThisEngine)
  }

  async #handle(
    request: IncomingMessage,
    response: ServerResponse,
    engine: EnginePort,
  ): Promise<void> {
    // What is written to an answer that is over is lost to its reader alone: it must not end the daemon.
    response.on('error', (error) =>
      this.#deps.log.debug({ path: request.url, error: error.message }, 'an answer broke'),
    )
    try {
      await this.#answer(request, response, engine)
    } catch (thrown) {
      const error = toSwarmctlError(thrown)
      if (error.code === 'INTERNAL') {
        this.#deps.log.error({ err: thrown, path: request.url }, 'API request failed')
      }
      sendError(response, error)
    }
  }

  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    engine: EnginePort,
  ): Promise<void> {
    const { port, clock } = this.#deps
    this.#history.follow()
    const { oldest, newest } = await engine.apiVersions()
    // Nobody would end what is begun for a client that went away meanwhile: 'close' is told once.
    if (response.destroyed) return
    const [pathname, search] = splitUrl(request.url ?? '/')
    response.setHeader('Api-Version', advertisedApiVersion(newest))
    response.setHeader('Ostype', 'linux')
    response.setHeader('Server', 'swarmctl')
    const found = this.#find(request.method ?? '', pathname)
    if (!found) {
      for (const name of ['Api-Version', 'Ostype', 'Server']) response.removeHeader(name)
      return proxyToEngine(engine, request, response)
    }
    const { route, params, version } = found
    requireKnownVersion(version)
    const query = new URLSearchParams(search)
    const read = queryFlag(query, 'stale') ? { stale: true } : {}
    // What is half the swarm's is answered in every version that the swarm's half knows.
    const known = route.place === 'mixed' ? { oldest, newest } : { newest }
    const forEngine = engineUrl(request.url ?? '/', known)
    const exchange = { request, response, params, query, version, read, port, engine, clock }
    await this.#place(route, { ...exchange, engineUrl: forEngine })
  }

  /** The own route of a request; undefined for what the Engine answers. */
  #find(method: string, pathname: string) {
    const { version, path } = splitVersion(pathname)
    const found = this.#router.find(method as Route['method'], path)
    if (found === null) return undefined
    const route = this.#routes.get(found.handler)
    return route && { route, params: found.params as Record<string, string>, version }
  }

  async #place(route: Route, exchange: Exchange): Promise<void> {
    const { request, response } = exchange
    if (route.endsWithClient) {
      onHalfClose(request, response, () => response.destroy())
      if (exchange.engine === this.#notThisEngine) tellStillAtWork(exchange)
    }
    switch (route.place) {
      case 'local':
        if (exchange.engine === this.#notThisEngine) throw notForwarded()
        return route.handle(exchange)
      case 'mixed':
        return route.handle(exchange)
      case 'state':
        requireManager(this.#deps.port.status())
        return exchange.read.stale
          ? route.handle(exchange)
          : atLeader(exchange, () => route.handle(exchange))
      case 'leader':
        requireManager(this.#deps.port.status())
        return atLeader(exchange, () => route.handle(exchange))
      default:
        return route.place satisfies never
    }
  }

  /** Ends what the server does not know any more, and would wait for when it is closed. */
  closeHijacked(): void {
    for (const socket of this.#hijacked) socket.destroy()
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    request.url = originForm(request.url)
    this.#hijacked.add(socket)
    socket.on('close', () => this.#hijacked.delete(socket))
    proxyUpgrade(this.#deps.engine, request, socket, head)
  }

  #ownRoutes(): Route[] {
    const ping = (exchange: Exchange) => this.#pong(exchange)
    const events = (exchange: Exchange) => streamEvents(exchange, this.#history)
    return [
      { method: 'GET', path: '/_ping', place: 'local', handle: ping },
      { method: 'HEAD', path: '/_ping', place: 'local', handle: ping },
      { method: 'GET', path: '/info', place: 'mixed', handle: info },
      { method: 'GET', path: '/version', place: 'mixed', handle: version },
      { method: 'GET', path: '/events', place: 'mixed', handle: events },
    ]
  }

  async #pong({ response, request }: Exchange): Promise<void> {
    const headers = await this.#ping.headers()
    response.writeHead(200, {
      ...headers,
      'Content-Type': 'text/plain; charset=utf-8',
      'Cache-Control': 'no-cache, no-store, must-revalidate',
      Pragma: 'no-cache',
      Swarm: swarmHeader(this.#deps.port.status()),
    })
    response.end(request.method === 'HEAD' ? undefined : 'OK')
  }
}

const notForwarded = (): SwarmctlError =>
  new SwarmctlError(
    'PERMISSION_DENIED',
    "this is for the machine's own socket: other managers may only forward what concerns the cluster",
  )

/** A server takes `GET http://host/services` as it does `GET /services` (RFC 9112 §3.2.2); what goes between proxies names the host so. */
const originForm = (url = '/'): string => {
  const [, path] = /^https?:\/\/[^/?]*(.*)$/i.exec(url) ?? []
  if (path === undefined) return url
  return path.startsWith('/') ? path : `/${path}`
}

const splitUrl = (url: string): [path: string, search: string] => {
  const at = url.indexOf('?')
  return at < 0 ? [url, ''] : [url.slice(0, at), url.slice(at + 1)]
}

const ALL_ROUTES: readonly Route[] = [
  ...swarmRoutes,
  ...backupRoutes,
  ...nodeRoutes,
  ...serviceRoutes,
  ...containerRoutes,
  ...autoscaleRoutes,
  ...forecastRoutes,
  ...secretAndConfigRoutes,
  ...networkRoutes,
  ...attachRoutes,
  ...localContainerRoutes,
]
