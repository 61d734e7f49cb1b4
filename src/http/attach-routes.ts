import { z } from 'zod'
import { SwarmctlError } from '../api/errors.ts'
import { parseJson, readBody } from './body.ts'
import { passToEngine } from './engine-proxy.ts'
import { findSwarmNetwork } from './find-network.ts'
import type { Exchange, Route } from './routes.ts'
import { param } from './routes.ts'

/** Network modes that name no network of a user's. */
const NO_NETWORK = /^(?:default|bridge|host|none|nat|container:.*|)$/

/** What of a container's create request names networks. */
const ContainerCreate = z.object({
  HostConfig: z.object({ NetworkMode: z.unknown() }).nullish(),
  NetworkingConfig: z
    .object({ EndpointsConfig: z.record(z.string(), z.unknown()).nullish() })
    .nullish(),
})
type ContainerCreate = z.infer<typeof ContainerCreate>

const networksOf = (body: unknown): string[] => {
  const { HostConfig, NetworkingConfig } = (body ?? {}) as Partial<ContainerCreate>
  const names = [HostConfig?.NetworkMode, ...Object.keys(NetworkingConfig?.EndpointsConfig ?? {})]
  const texts = names.filter((name) => typeof name === 'string')
  return [...new Set(texts)].filter((name) => !NO_NETWORK.test(name))
}

/** @throws SwarmctlError for a network of the cluster's: the Engine would only say that it does not know it, and leave a container behind */
const requireLocal = async (exchange: Exchange, name: string): Promise<void> => {
  const network = await findSwarmNetwork(exchange, name)
  if (network === undefined) return
  throw network.Spec.Attachable
    ? new SwarmctlError(
        'UNIMPLEMENTED',
        `Could not attach to network ${name}: containers on it have to be a service's tasks, run it with "service create --network ${name}"`,
      )
    : new SwarmctlError(
        'PERMISSION_DENIED',
        `Could not attach to network ${name}: network ${name} not manually attachable`,
      )
}

/** The Engine's own endpoints, where a request may name a network of the cluster's. */
export const attachRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/containers/create',
    place: 'mixed',
    async handle(exchange) {
      const bytes = await readBody(exchange.request)
      for (const name of networksOf(parseJson(bytes, ContainerCreate)))
        await requireLocal(exchange, name)
      passToEngine(exchange, bytes)
    },
  },
  {
    method: 'POST',
    path: '/networks/:id/connect',
    place: 'mixed',
    async handle(exchange) {
      await requireLocal(exchange, param(exchange, 'id'))
      passToEngine(exchange)
    },
  },
]
