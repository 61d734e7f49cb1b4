import { z } from 'zod'
import { invalid } from '../api/errors.ts'
import { InitRequest, JoinRequest, SwarmSpec } from '../api/swarm.ts'
import { parseBody } from '../api/validate/body.ts'
import { parseSwarmSpec } from '../api/validate/swarm.ts'
import { readJson } from './body.ts'
import { renderCluster } from './info.ts'
import { requireLocked, requireNoSwarm, requireSwarm } from './membership.ts'
import { withoutNewerInit } from './newer-fields.ts'
import { sendEmpty, sendJson } from './reply.ts'
import type { Exchange, Route } from './routes.ts'
import { queryBool, queryFlag } from './routes.ts'
import { versionOf } from './service-routes.ts'

const init = async (exchange: Exchange): Promise<void> => {
  const body = await readJson(exchange.request, InitRequest)
  const request = parseBody(InitRequest, withoutNewerInit(body, exchange.version))
  if (!request.ForceNewCluster) requireNoSwarm(exchange.port.status())
  // Swarm finds out only when the cluster is there.
  parseSwarmSpec(request.Spec)
  sendJson(exchange.response, 200, await exchange.port.init(request))
}

const join = async (exchange: Exchange): Promise<void> => {
  requireNoSwarm(exchange.port.status())
  const request = parseBody(JoinRequest, await readJson(exchange.request, JoinRequest))
  if (request.RemoteAddrs.length === 0) {
    throw invalid('at least 1 RemoteAddr is required to join')
  }
  if (request.RemoteAddrs.includes('')) {
    throw invalid('invalid remoteAddr "": invalid empty address')
  }
  await exchange.port.join(request)
  sendEmpty(exchange.response, 200)
}

const UnlockRequest = z.object({ UnlockKey: z.string().default('') })

const unlock = async (exchange: Exchange): Promise<void> => {
  requireLocked(exchange.port.status())
  const { UnlockKey } = parseBody(UnlockRequest, await readJson(exchange.request, UnlockRequest))
  await exchange.port.unlock(UnlockKey)
  sendEmpty(exchange.response, 200)
}

const update = async (exchange: Exchange): Promise<void> => {
  const { query, port } = exchange
  const version = versionOf(query, 'swarm')
  const body = await readJson(exchange.request, SwarmSpec)
  await port.control().updateCluster(version, body, {
    rotateWorkerToken: queryBool(query, 'rotateWorkerToken'),
    rotateManagerToken: queryBool(query, 'rotateManagerToken'),
    rotateManagerUnlockKey: queryBool(query, 'rotateManagerUnlockKey'),
  })
  sendEmpty(exchange.response, 200)
}

/** `/swarm`. */
export const swarmRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/swarm',
    place: 'state',
    async handle(exchange) {
      const cluster = await exchange.port.control().getCluster(exchange.read)
      sendJson(exchange.response, 200, renderCluster(cluster, true))
    },
  },
  { method: 'POST', path: '/swarm/init', place: 'local', handle: init },
  { method: 'POST', path: '/swarm/join', place: 'local', handle: join },
  {
    method: 'POST',
    path: '/swarm/leave',
    place: 'local',
    async handle(exchange) {
      requireSwarm(exchange.port.status())
      await exchange.port.leave(queryFlag(exchange.query, 'force'))
      sendEmpty(exchange.response, 200)
    },
  },
  { method: 'POST', path: '/swarm/unlock', place: 'local', handle: unlock },
  {
    method: 'GET',
    path: '/swarm/unlockkey',
    place: 'leader',
    async handle(exchange) {
      sendJson(exchange.response, 200, { UnlockKey: await exchange.port.control().unlockKey() })
    },
  },
  { method: 'POST', path: '/swarm/update', place: 'leader', handle: update },
]
