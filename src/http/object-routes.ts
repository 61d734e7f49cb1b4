import type { z } from 'zod'
import { ConfigSpec } from '../api/config.ts'
import { invalid } from '../api/errors.ts'
import type { Filters } from '../api/filters.ts'
import { NodeSpec } from '../api/node.ts'
import { SecretSpec } from '../api/secret.ts'
import { isOlder } from './api-version.ts'
import { readJson } from './body.ts'
import { parseFilters } from './filters.ts'
import { sendEmpty, sendJson } from './reply.ts'
import type { Exchange, Route } from './routes.ts'
import { param, queryFlag } from './routes.ts'
import { versionOf } from './service-routes.ts'

/** The verbs that secrets and configs share. */
interface Verbs {
  schema: z.ZodType
  list(exchange: Exchange, filters: Filters): Promise<unknown>
  create(exchange: Exchange, body: unknown): Promise<unknown>
  get(exchange: Exchange, ref: string): Promise<unknown>
  update(exchange: Exchange, ref: string, version: number, body: unknown): Promise<unknown>
  remove(exchange: Exchange, ref: string): Promise<unknown>
}

/** Older clients can't mean a template. */
const TEMPLATING_SINCE = '1.37'

const requireNoTemplate = ({ version }: Exchange, noun: string, body: unknown): void => {
  if (!isOlder(version, TEMPLATING_SINCE) || !(body as { Templating?: unknown } | null)?.Templating)
    return
  throw invalid(`${noun} templating is not supported on the specified API version: ${version}`)
}

const verbRoutes = (noun: string, base: string, verbs: Verbs): Route[] => [
  {
    method: 'GET',
    path: base,
    place: 'state',
    async handle(exchange) {
      const filters = parseFilters(exchange.query.get('filters'))
      sendJson(exchange.response, 200, await verbs.list(exchange, filters))
    },
  },
  {
    method: 'POST',
    path: `${base}/create`,
    place: 'leader',
    async handle(exchange) {
      const body = await readJson(exchange.request, verbs.schema)
      requireNoTemplate(exchange, noun, body)
      sendJson(exchange.response, 201, await verbs.create(exchange, body))
    },
  },
  {
    method: 'GET',
    path: `${base}/:id`,
    place: 'state',
    async handle(exchange) {
      sendJson(exchange.response, 200, await verbs.get(exchange, param(exchange, 'id')))
    },
  },
  {
    method: 'POST',
    path: `${base}/:id/update`,
    place: 'leader',
    async handle(exchange) {
      const version = versionOf(exchange.query, noun)
      const body = await readJson(exchange.request, verbs.schema)
      await verbs.update(exchange, param(exchange, 'id'), version, body)
      sendEmpty(exchange.response, 200)
    },
  },
  {
    method: 'DELETE',
    path: `${base}/:id`,
    place: 'leader',
    async handle(exchange) {
      await verbs.remove(exchange, param(exchange, 'id'))
      sendEmpty(exchange.response, 204)
    },
  },
]

/** `/secrets` and `/configs`. */
export const secretAndConfigRoutes: readonly Route[] = [
  ...verbRoutes('secret', '/secrets', {
    schema: SecretSpec,
    list: (exchange, filters) => exchange.port.control().listSecrets(filters, exchange.read),
    create: (exchange, body) => exchange.port.control().createSecret(body),
    get: (exchange, ref) => exchange.port.control().getSecret(ref, exchange.read),
    update: (exchange, ref, version, body) =>
      exchange.port.control().updateSecret(ref, version, body),
    remove: (exchange, ref) => exchange.port.control().removeSecret(ref),
  }),
  ...verbRoutes('config', '/configs', {
    schema: ConfigSpec,
    list: (exchange, filters) => exchange.port.control().listConfigs(filters, exchange.read),
    create: (exchange, body) => exchange.port.control().createConfig(body),
    get: (exchange, ref) => exchange.port.control().getConfig(ref, exchange.read),
    update: (exchange, ref, version, body) =>
      exchange.port.control().updateConfig(ref, version, body),
    remove: (exchange, ref) => exchange.port.control().removeConfig(ref),
  }),
]

/** `/nodes`. */
export const nodeRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/nodes',
    place: 'state',
    async handle(exchange) {
      const filters = parseFilters(exchange.query.get('filters'))
      sendJson(
        exchange.response,
        200,
        await exchange.port.control().listNodes(filters, exchange.read),
      )
    },
  },
  {
    method: 'GET',
    path: '/nodes/:id',
    place: 'state',
    async handle(exchange) {
      const node = await exchange.port.control().getNode(param(exchange, 'id'), exchange.read)
      sendJson(exchange.response, 200, node)
    },
  },
  {
    method: 'POST',
    path: '/nodes/:id/update',
    place: 'leader',
    async handle(exchange) {
      const version = versionOf(exchange.query, 'node')
      const body = await readJson(exchange.request, NodeSpec)
      await exchange.port.control().updateNode(param(exchange, 'id'), version, body)
      sendEmpty(exchange.response, 200)
    },
  },
  {
    method: 'DELETE',
    path: '/nodes/:id',
    place: 'leader',
    async handle(exchange) {
      const force = queryFlag(exchange.query, 'force')
      await exchange.port.control().removeNode(param(exchange, 'id'), force)
      sendEmpty(exchange.response, 200)
    },
  },
]
