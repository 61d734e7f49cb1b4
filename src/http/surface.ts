import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:http'
import type { Duplex } from 'node:stream'
import findMyWay from 'find-my-way'
import type { Clock } from '../api/clock.ts'
import { SwarmctlError, toSwarmctlError } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import { advertisedApiVersion, splitVersion } from './api-version.ts'
import { engineJson, proxyToEngine, proxyUpgrade } from './engine-proxy.ts'
import { streamEvents } from './events.ts'
import { renderSwarmInfo, swarmHeader } from './info.ts'
import { networkRoutes } from './network-routes.ts'
import { nodeRoutes, secretAndConfigRoutes } from './object-routes.ts'
import type { EnginePort, SwarmPort } from './ports.ts'
import { sendError, sendJson } from './reply.ts'
import type { Exchange, Route } from './routes.ts'
import { serviceRoutes } from './service-routes.ts'
import { swarmRoutes } from './swarm-routes.ts'

/** Docker's own words, which clients show as they are. */
const NOT_IN_SWARM =
  'This node is not a swarm manager. Use "swarmctl init" or "swarmctl join" (or "docker swarm init" or "docker swarm join") to connect this node to swarm and try again.'
const WORKER =
  "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node or promote the current node to a manager."
const LOCKED =
  'Swarm is encrypted and needs to be unlocked before it can be used. Please use "swarmctl unlock" (or "docker swarm unlock") to unlock it.'

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
  readonly #router = findMyWay({ ignoreTrailingSlash: true, maxParamLength: 500 })
  readonly #routes = new Map<unknown, Route>()

  constructor(deps: SurfaceDeps) {
    this.#deps = deps
    for (const route of [...this.#ownRoutes(), ...ALL_ROUTES]) {
      const handler = () => undefined
      this.#routes.set(handler, route)
      this.#router.on(route.method, route.path, handler)
    }
  }

  /** An HTTP server for the API socket. The caller listens and closes. */
  createServer(): Server {
    const server = createServer((request, response) => {
      void this.handle(request, response)
    })
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
    // `docker logs -f`, `events` and `service create` may stay open for as long as they like.
    server.requestTimeout = 0
    server.timeout = 0
    return server
  }

  /** Answers one request: also called for those that another manager forwarded to this one. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#answer(request, response)
    } catch (thrown) {
      const error = toSwarmctlError(thrown)
      if (error.code === 'INTERNAL') {
        this.#deps.log.error({ err: thrown, path: request.url }, 'API request failed')
      }
      sendError(response, error)
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { engine, port, clock } = this.#deps
    const advertised = advertisedApiVersion(await engine.apiVersion())
    const url = new URL(request.url ?? '/', 'http://localhost')
    response.setHeader('Api-Version', advertised)
    response.setHeader('Ostype', 'linux')
    response.setHeader('Server', 'swarmctl')
    const { version, path } = splitVersion(url.pathname, advertised)
    const found = this.#router.find(request.method as Route['method'], path)
    const route = found && this.#routes.get(found.handler)
    if (!found || !route) {
      for (const name of ['Api-Version', 'Ostype', 'Server']) response.removeHeader(name)
      return proxyToEngine(engine, request, response)
    }
    const params = found.params as Record<string, string>
    const query = url.searchParams
    await this.#place(route, { request, response, params, query, version, port, engine, clock })
  }

  async #place(route: Route, exchange: Exchange): Promise<void> {
    switch (route.place) {
      case 'local':
      case 'mixed':
        return route.handle(exchange)
      case 'leader':
        return this.#atLeader(route, exchange)
      default:
        return route.place satisfies never
    }
  }

  async #atLeader(route: Route, exchange: Exchange): Promise<void> {
    const { port } = this.#deps
    const status = port.status()
    if (status.localNodeState === 'locked') throw new SwarmctlError('UNAVAILABLE', LOCKED)
    if (status.localNodeState !== 'active') throw new SwarmctlError('UNAVAILABLE', NOT_IN_SWARM)
    if (status.role !== 'manager') throw new SwarmctlError('UNAVAILABLE', WORKER)
    const leader = await port.route()
    switch (leader.kind) {
      case 'self':
        return route.handle(exchange)
      case 'forward':
        return port.forward(exchange.request, exchange.response, leader.nodeId)
      case 'none':
        throw new SwarmctlError('UNAVAILABLE', leader.message)
      default:
        return leader satisfies never
    }
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    proxyUpgrade(this.#deps.engine, request, socket, head)
  }

  #ownRoutes(): Route[] {
    return [
      { method: 'GET', path: '/_ping', place: 'local', handle: (exchange) => this.#ping(exchange) },
      {
        method: 'HEAD',
        path: '/_ping',
        place: 'local',
        handle: (exchange) => this.#ping(exchange),
      },
      { method: 'GET', path: '/info', place: 'mixed', handle: (exchange) => this.#info(exchange) },
      {
        method: 'GET',
        path: '/version',
        place: 'mixed',
        handle: (exchange) => this.#version(exchange),
      },
      {
        method: 'GET',
        path: '/events',
        place: 'mixed',
        handle: ({ request, response, query }) =>
          streamEvents(this.#deps, request, response, query),
      },
    ]
  }

  #ping({ response, request }: Exchange): void {
    response.writeHead(200, {
      'Content-Type': 'text/plain; charset=utf-8',
      'Cache-Control': 'no-cache, no-store, must-revalidate',
      Pragma: 'no-cache',
      Swarm: swarmHeader(this.#deps.port.status()),
      'Docker-Experimental': 'false',
      'Builder-Version': '1',
    })
    response.end(request.method === 'HEAD' ? undefined : 'OK')
  }

  async #info({ response }: Exchange): Promise<void> {
    const { engine, port } = this.#deps
    const info = (await engineJson(engine, '/info')) as object
    const status = port.status()
    const isManager = status.localNodeState === 'active' && status.role === 'manager'
    const control = isManager ? port.control() : undefined
    const swarm = control
      ? renderSwarmInfo(
          status,
          await control.getCluster({ stale: true }),
          await control.listNodes({}, { stale: true }),
        )
      : renderSwarmInfo(status, undefined, [])
    sendJson(response, 200, { ...info, Swarm: swarm })
  }

  async #version({ response }: Exchange): Promise<void> {
    const { engine } = this.#deps
    const version = (await engineJson(engine, '/version')) as { ApiVersion: string }
    sendJson(response, 200, { ...version, ApiVersion: advertisedApiVersion(version.ApiVersion) })
  }
}

const ALL_ROUTES: readonly Route[] = [
  ...swarmRoutes,
  ...nodeRoutes,
  ...serviceRoutes,
  ...secretAndConfigRoutes,
  ...networkRoutes,
]
