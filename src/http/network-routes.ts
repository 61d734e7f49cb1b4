import { SwarmctlError } from '../api/errors.ts'
import { type Filters, matchesAny, matchesPattern, requireFilterKeys } from '../api/filters.ts'
import { type Network, NetworkCreate } from '../api/network.ts'
import { isNodeLocal } from '../api/node-local-network.ts'
import { OVERLAY_DRIVER, PREDEFINED_NETWORKS } from '../api/validate/network.ts'
import { isOlder } from './api-version.ts'
import { parseJson, readBody, requireJsonType } from './body.ts'
import { callEngine, sendAnswer } from './engine-call.ts'
import {
  findOverlayBridge,
  hasLocalNetwork,
  localPart,
  overlayBridges,
  parseNames,
  pruneEngine,
  requireConfigNetwork,
} from './engine-networks.ts'
import { engineJson, passToEngine } from './engine-proxy.ts'
import { parseFilters } from './filters.ts'
import { findSwarmNetwork } from './find-network.ts'
import { atLeader } from './leader.ts'
import { isManager, requireManager } from './membership.ts'
import type { NodeStatus } from './ports.ts'
import {
  IPV4_SINCE,
  isBridge,
  type LocalNetwork,
  renderBridge,
  renderNetwork,
} from './render-network.ts'
import { sendEmpty, sendJson } from './reply.ts'
import type { Exchange, Route } from './routes.ts'
import { param, queryBool } from './routes.ts'

const list = async (exchange: Exchange): Promise<void> => {
  const { engine, engineUrl, port, query, version } = exchange
  const filters = parseFilters(query.get('filters'))
  const wants = (scope: string) => matchesAny(filters.scope, scope)
  const local = wants('local') ? ((await engineJson(engine, engineUrl)) as LocalNetwork[]) : []
  const shown = local.filter((network) => !isBridge(network))
  if (!wants('swarm')) return sendJson(exchange.response, 200, shown)
  if (!isManager(port.status())) {
    const isWorker = port.status().localNodeState === 'active'
    const overlays = (isWorker ? await overlayBridges(engine) : [])
      .map(renderBridge)
      .filter((network) => matchesList(filters, network))
    return sendJson(exchange.response, 200, [...shown, ...overlays])
  }
  const swarm = await port.control().listNetworks(filters, exchange.read)
  sendJson(exchange.response, 200, [
    ...shown,
    ...swarm.map((network) => renderNetwork(network, version)),
  ])
}

/** The filters that a worker can apply to what it knows of an overlay. */
const matchesList = (filters: Filters, { Id, Name, Driver }: LocalNetwork): boolean =>
  matchesPattern(filters.id, Id) &&
  matchesPattern(filters.name, Name) &&
  matchesAny(filters.driver, Driver) &&
  matchesAny(filters.type, 'custom') &&
  filters.label === undefined &&
  filters.dangling === undefined

/** A network of the cluster's with what this node and the managers know of its use. */
const sendSwarmNetwork = async (exchange: Exchange, network: Network): Promise<void> => {
  const use = exchange.port.control().networkUse(network)
  const isVerbose = queryBool(exchange.query, 'verbose')
  const local = await localPart(exchange.engine, network.ID)
  // Peers are an overlay's.
  const isOwn = isNodeLocal(network)
  sendJson(exchange.response, 200, {
    ...renderNetwork(network, exchange.version),
    ...(isOwn && local && renderBridge(local)),
    Containers: local?.Containers ?? {},
    ...(use.Peers.length > 0 && !isOwn && { Peers: use.Peers }),
    ...(isVerbose && { Services: use.Services }),
  })
}

const inspect = async (exchange: Exchange): Promise<void> => {
  const ref = param(exchange, 'id')
  switch (exchange.query.get('scope')) {
    case 'swarm': {
      // Clients ask so before they create a service, which may name `host` too.
      requireManager(exchange.port.status())
      const options = { ...exchange.read, predefined: true }
      return sendSwarmNetwork(exchange, await exchange.port.control().getNetwork(ref, options))
    }
    case 'local':
      return passToEngine(exchange)
    default: {
      const network = await findSwarmNetwork(exchange, ref)
      if (network) return sendSwarmNetwork(exchange, network)
      const bridge = isManager(exchange.port.status())
        ? undefined
        : await findOverlayBridge(exchange.engine, ref)
      return bridge
        ? sendJson(exchange.response, 200, renderBridge(bridge))
        : passToEngine(exchange)
    }
  }
}

/** Whether a create request is for the cluster: Docker's overlay driver, or any with the swarm's scope. Mere settings are local. */
const isSwarmScoped = (body: unknown): boolean => {
  const { Driver, Scope, ConfigOnly } = (body ?? {}) as Record<string, unknown>
  return ConfigOnly !== true && (Driver === 'overlay' || Scope === 'swarm')
}

/** @throws SwarmctlError with Docker's texts */
const requireCreator = (status: NodeStatus): void => {
  if (status.localNodeState === 'active' && status.role === 'worker') {
    throw new SwarmctlError(
      'PERMISSION_DENIED',
      'Cannot create a multi-host network from a worker node. Please create the network from a manager node.',
    )
  }
  requireManager(status)
}

/** Refused with a reason of its own. */
const isPredefined = (name: string): boolean =>
  (PREDEFINED_NETWORKS as readonly string[]).includes(name)

/**
 * One name would stand for two networks otherwise: a stack's `app_default` and that of a Compose project. The Engine looks among its own.
 * @throws SwarmctlError ALREADY_EXISTS in moby's words
 */
const requireFreeName = async (
  { engine, port }: Exchange,
  name: string,
  scope: 'swarm' | 'local',
): Promise<void> => {
  const isTaken =
    scope === 'swarm'
      ? !isPredefined(name) && (await hasLocalNetwork(engine, name))
      : isManager(port.status()) &&
        (await port.control().listNetworks({}, { stale: true })).some(
          ({ Spec }) => Spec.Name === name,
        )
  if (isTaken) throw new SwarmctlError('ALREADY_EXISTS', `network with name ${name} already exists`)
}

/** Moby drops the field of older clients (`postNetworkCreate`). */
const knownBody = (body: unknown, version: string | undefined): unknown => {
  if (!isOlder(version, IPV4_SINCE)) return body
  const { EnableIPv4: _, ...known } = (body ?? {}) as Record<string, unknown>
  return known
}

/** Mere settings have no driver, but an Engine that is no manager refuses the overlay's for them too (moby `daemon/network.go`). */
const createLocally = async (exchange: Exchange, body: unknown, bytes: Buffer): Promise<void> => {
  const { Driver } = (body ?? {}) as Partial<NetworkCreate>
  if (Driver !== OVERLAY_DRIVER) return passToEngine(exchange, bytes)
  const settings = { ...(body as object), Driver: 'bridge' }
  sendAnswer(exchange.response, await callEngine(exchange, { body: settings }))
}

/** The body tells whose network it will be, so it is read before the request goes anywhere. */
const create = async (exchange: Exchange): Promise<void> => {
  const bytes = await readBody(exchange.request)
  const body = knownBody(parseJson(bytes, NetworkCreate), exchange.version)
  const name = String((body as { Name?: unknown } | null)?.Name ?? '')
  if (!isSwarmScoped(body)) {
    await requireFreeName(exchange, name, 'local')
    return createLocally(exchange, body, bytes)
  }
  requireJsonType(exchange.request)
  requireCreator(exchange.port.status())
  await requireFreeName(exchange, name, 'swarm')
  const { ConfigFrom, Driver } = (body ?? {}) as Partial<NetworkCreate>
  const from = ConfigFrom?.Network
  // An overlay takes none, whether it is there or not.
  if (from && Driver !== OVERLAY_DRIVER) await requireConfigNetwork(exchange.engine, from)
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
  if (!network) return passToEngine(exchange)
  return atLeader(exchange, async () => {
    await exchange.port.control().removeNetwork(network.ID)
    sendEmpty(exchange.response, 204)
  })
}

/** Names of this node's networks that the leader is to put into the answer: its own Engine has nothing to do with it. */
const PRUNED_HERE = 'prunedHere'

const PRUNE_KEYS = ['label', 'label!', 'until'] as const

/** The Engine's unused networks, then the cluster's. */
const prune = async (exchange: Exchange): Promise<void> => {
  const { query, engine, engineUrl, request, response, port } = exchange
  const filters = parseFilters(query.get('filters'))
  requireFilterKeys(filters, PRUNE_KEYS)
  const carried = query.get(PRUNED_HERE)
  const local = carried === null ? await pruneEngine(engine, engineUrl) : parseNames(carried)
  const send = (names: string[]) => sendJson(response, 200, { NetworksDeleted: names })
  if (!isManager(port.status())) return send(local)
  const run = async () => {
    send([...(await port.control().pruneNetworks(filters)), ...local])
  }
  query.set(PRUNED_HERE, JSON.stringify(local))
  request.url = `/networks/prune?${query}`
  return atLeader(exchange, run, Buffer.alloc(0))
}

/** `/networks`: swarm-scoped ones are the cluster's, all others the local Engine's. */
export const networkRoutes: readonly Route[] = [
  { method: 'GET', path: '/networks', place: 'mixed', handle: list },
  { method: 'GET', path: '/networks/:id', place: 'mixed', handle: inspect },
  { method: 'POST', path: '/networks/create', place: 'mixed', handle: create },
  { method: 'POST', path: '/networks/prune', place: 'mixed', handle: prune },
  { method: 'DELETE', path: '/networks/:id', place: 'mixed', handle: remove },
]
