import { SwarmctlError } from '../api/errors.ts'
import type { Network } from '../api/network.ts'
import { parseJson, readBody } from './body.ts'
import { engineJson, proxyToEngine } from './engine-proxy.ts'
import { parseFilters } from './filters.ts'
import { OVERLAY_BRIDGE_LABEL, renderNetwork } from './render-network.ts'
import { sendEmpty, sendJson } from './reply.ts'
import type { Exchange, Route } from './routes.ts'
import { param } from './routes.ts'

interface LocalNetwork {
  Labels?: Record<string, string> | null
  Driver: string
  Scope: string
}

const isManager = (exchange: Exchange): boolean => {
  const status = exchange.port.status()
  return status.localNodeState === 'active' && status.role === 'manager'
}

/** Runs `swarm` where the leader is: here, or by forwarding the whole request. */
const atLeader = async (
  exchange: Exchange,
  swarm: () => Promise<void>,
  body?: Buffer,
): Promise<void> => {
  const route = await exchange.port.route()
  switch (route.kind) {
    case 'self':
      return swarm()
    case 'forward':
      return exchange.port.forward(exchange.request, exchange.response, route.nodeId, body)
    case 'none':
      throw new SwarmctlError('UNAVAILABLE', route.message)
    default:
      return route satisfies never
  }
}

/** The applied state of any manager is enough to tell whose network a name is. */
const findSwarmNetwork = async (exchange: Exchange, ref: string): Promise<Network | undefined> => {
  if (!isManager(exchange)) return undefined
  try {
    return await exchange.port.control().getNetwork(ref, { stale: true })
  } catch (error) {
    if (error instanceof SwarmctlError && error.code === 'NOT_FOUND') return undefined
    throw error
  }
}

const list = async (exchange: Exchange): Promise<void> => {
  const text = exchange.query.get('filters')
  const filters = parseFilters(text)
  const wantsLocal = !filters.scope || filters.scope.includes('local')
  const wantsSwarm = !filters.scope || filters.scope.includes('swarm')
  const path = `/networks${text ? `?filters=${encodeURIComponent(text)}` : ''}`
  const local = wantsLocal ? ((await engineJson(exchange.engine, path)) as LocalNetwork[]) : []
  const swarm =
    wantsSwarm && isManager(exchange) ? await exchange.port.control().listNetworks(filters) : []
  sendJson(exchange.response, 200, [
    ...local.filter((network) => network.Labels?.[OVERLAY_BRIDGE_LABEL] === undefined),
    ...swarm.map(renderNetwork),
  ])
}

const inspect = async (exchange: Exchange): Promise<void> => {
  const network =
    exchange.query.get('scope') === 'local'
      ? undefined
      : await findSwarmNetwork(exchange, param(exchange, 'id'))
  if (network) return sendJson(exchange.response, 200, renderNetwork(network))
  if (exchange.query.get('scope') === 'swarm') {
    throw new SwarmctlError('NOT_FOUND', `network ${param(exchange, 'id')} not found`)
  }
  return proxyToEngine(exchange.engine, exchange.request, exchange.response)
}

/** Whether a create request is for the cluster: Docker's overlay driver, or any with the swarm's scope. */
const isSwarmScoped = (body: unknown): boolean => {
  const { Driver, Scope } = body as { Driver?: unknown; Scope?: unknown }
  return Driver === 'overlay' || Scope === 'swarm'
}

/** The body tells whose network it will be, so it is read before the request goes anywhere. */
const create = async (exchange: Exchange): Promise<void> => {
  const bytes = await readBody(exchange.request)
  const body = parseJson(bytes)
  if (!isSwarmScoped(body)) {
    return proxyToEngine(exchange.engine, exchange.request, exchange.response, bytes)
  }
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
  if (!network) return proxyToEngine(exchange.engine, exchange.request, exchange.response)
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
