import { SwarmctlError } from '../api/errors.ts'
import type { Network } from '../api/network.ts'
import { parseJson, readBody } from './body.ts'
import { engineJson, proxyToEngine } from './engine-proxy.ts'
import { parseFilters } from './filters.ts'
import { atLeader } from './leader.ts'
import { isManager, requireManager } from './membership.ts'
import { OVERLAY_BRIDGE_LABEL, renderNetwork } from './render-network.ts'
import { sendEmpty, sendJson } from './reply.ts'
import type { Exchange, Route } from './routes.ts'
import { param } from './routes.ts'

interface LocalNetwork {
  Labels?: Record<string, string> | null
  Driver: string
  Scope: string
}

const isUnavailable = (error: unknown): boolean =>
  error instanceof SwarmctlError && error.code === 'UNAVAILABLE'

/**
 * The swarm's network of this name, or none: then it is a local one. What this manager has is enough for a hit; before a miss it asks
 * for the latest. Without a leader local networks are still to be had.
 */
const findSwarmNetwork = async (exchange: Exchange, ref: string): Promise<Network | undefined> => {
  if (!isManager(exchange.port.status())) return undefined
  const control = exchange.port.control()
  const isAbsent = (error: unknown): undefined => {
    if (error instanceof SwarmctlError && error.code === 'NOT_FOUND') return undefined
    throw error
  }
  return (
    (await control.getNetwork(ref, { stale: true }).catch(isAbsent)) ??
    (await control
      .getNetwork(ref)
      .catch((error) => (isUnavailable(error) ? undefined : isAbsent(error))))
  )
}

const passOn = ({ engine, request, response, engineUrl }: Exchange, body?: Buffer): void =>
  proxyToEngine(engine, request, response, { url: engineUrl, ...(body && { body }) })

const list = async (exchange: Exchange): Promise<void> => {
  const text = exchange.query.get('filters')
  const filters = parseFilters(text)
  const wantsLocal = !filters.scope || filters.scope.includes('local')
  const wantsSwarm = !filters.scope || filters.scope.includes('swarm')
  const local = wantsLocal
    ? ((await engineJson(exchange.engine, exchange.engineUrl)) as LocalNetwork[])
    : []
  const swarm =
    wantsSwarm && isManager(exchange.port.status())
      ? await exchange.port.control().listNetworks(filters, exchange.read)
      : []
  sendJson(exchange.response, 200, [
    ...local.filter((network) => network.Labels?.[OVERLAY_BRIDGE_LABEL] === undefined),
    ...swarm.map(renderNetwork),
  ])
}

const inspect = async (exchange: Exchange): Promise<void> => {
  const ref = param(exchange, 'id')
  switch (exchange.query.get('scope')) {
    case 'swarm': {
      // Clients ask so before they create a service, which may name `host` too.
      requireManager(exchange.port.status())
      const options = { ...exchange.read, predefined: true }
      const network = await exchange.port.control().getNetwork(ref, options)
      return sendJson(exchange.response, 200, renderNetwork(network))
    }
    case 'local':
      return passOn(exchange)
    default: {
      const network = await findSwarmNetwork(exchange, ref)
      if (network) return sendJson(exchange.response, 200, renderNetwork(network))
      return passOn(exchange)
    }
  }
}

/** Whether a create request is for the cluster: Docker's overlay driver, or any with the swarm's scope. */
const isSwarmScoped = (body: unknown): boolean => {
  const { Driver, Scope } = (body ?? {}) as { Driver?: unknown; Scope?: unknown }
  return Driver === 'overlay' || Scope === 'swarm'
}

/** The body tells whose network it will be, so it is read before the request goes anywhere. */
const create = async (exchange: Exchange): Promise<void> => {
  const bytes = await readBody(exchange.request)
  const body = parseJson(bytes)
  if (!isSwarmScoped(body)) {
    return passOn(exchange, bytes)
  }
  requireManager(exchange.port.status())
  return atLeader(
    exchange,
    async () => {
      sendJson(exchange.response, 201, await exchange.port.control().createNetwork(body))
    },
    bytes,
  )
}

const remove = async (exchange: Exchange): Promise<void> => {
  const network = await findSwarmNetwork(exchange, param(exchange, 'id'))
  if (!network) return passOn(exchange)
  return atLeader(exchange, async () => {
    await exchange.port.control().removeNetwork(network.ID)
    sendEmpty(exchange.response, 204)
  })
}

/** `/networks`: swarm-scoped ones are the cluster's, all others the local Engine's. */
export const networkRoutes: readonly Route[] = [
  { method: 'GET', path: '/networks', place: 'mixed', handle: list },
  { method: 'GET', path: '/networks/:id', place: 'mixed', handle: inspect },
  { method: 'POST', path: '/networks/create', place: 'mixed', handle: create },
  { method: 'DELETE', path: '/networks/:id', place: 'mixed', handle: remove },
]
