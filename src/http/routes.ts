import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HTTPMethod } from 'find-my-way'
import type { Clock } from '../api/clock.ts'
import { invalid } from '../api/errors.ts'
import type { ReadOptions } from '../manager/control/context.ts'
import type { EnginePort, SwarmPort } from './ports.ts'

/** One request on its way through the surface. */
export interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  /** Path parameters, decoded. */
  params: Record<string, string>
  query: URLSearchParams
  /** API version that the path names; undefined for a client that takes everything there is. */
  version: string | undefined
  /** The request's URL as the local Engine understands it: with no newer version than its own. */
  engineUrl: string
  /** How fresh what is read must be. */
  read: ReadOptions
  port: SwarmPort
  engine: EnginePort
  clock: Clock
}

/**
 * Where a route is answered: `local` by this node whatever it is; `leader` by the leader, to whom other managers forward; `state` also
 * by the leader, but with `?stale=1` by any manager from what it has; `mixed` decides itself, since its answer is part swarm, part
 * local Engine.
 */
export type Place = 'local' | 'leader' | 'state' | 'mixed'

/** One row of the routing table. */
export interface Route {
  method: HTTPMethod
  path: string
  place: Place
  /** It may wait for long without writing anything, and so must end when its client ends its sending half. */
  endsWithClient?: true
  handle(exchange: Exchange): Promise<void> | void
}

/** The value of a path parameter that the route's path names. */
export const param = (exchange: Exchange, name: string): string => exchange.params[name] as string

/** Whether a query parameter is set to what the Engine takes for true: anything but these (moby `httputils.BoolValue`). */
export const queryFlag = (query: URLSearchParams, name: string): boolean =>
  !['', '0', 'no', 'false', 'none'].includes((query.get(name) ?? '').toLowerCase())

/** As `queryFlag`, for the parameters that the Engine reads strictly. @throws SwarmctlError INVALID_ARGUMENT */
export const queryBool = (query: URLSearchParams, name: string): boolean => {
  const value = query.get(name) ?? ''
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)) return true
  if (['', '0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value)) return false
  throw invalid(`invalid value for ${name}: ${value}`)
}
