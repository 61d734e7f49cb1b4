import { invalid, SwarmctlError, toSwarmctlError } from '../api/errors.ts'
import type { Service } from '../api/service.ts'
import { ServiceSpec } from '../api/service-spec.ts'
import { isOlder } from './api-version.ts'
import { readJson } from './body.ts'
import { hasLocalNetwork } from './engine-networks.ts'
import { parseFilters } from './filters.ts'
import { LogStream, parseLogQuery } from './logs.ts'
import { withoutNewerFields } from './newer-fields.ts'
import { randomName } from './random-name.ts'
import { sendEmpty, sendJson } from './reply.ts'
import type { Exchange, Route } from './routes.ts'
import { param, queryBool } from './routes.ts'

/** Versions are Go's `uint64`. */
const VERSION_MAX = 2n ** 64n - 1n

/** The `version` query parameter of an update: the object's Version.Index that the client saw. */
export const versionOf = (query: URLSearchParams, noun: string): number => {
  const text = query.get('version') ?? ''
  const isNumber = /^\d+$/.test(text)
  if (isNumber && BigInt(text) <= VERSION_MAX) return Number(text)
  const problem = isNumber ? 'value out of range' : 'invalid syntax'
  const reason = `strconv.ParseUint: parsing "${text}": ${problem}`
  throw invalid(`invalid ${noun} version '${text}': ${reason}`)
}

/** Older clients did not know `?status=true`. */
const STATUS_SINCE = '1.41'
/** Older clients look for a service's networks in the spec itself. */
const TASK_NETWORKS_SINCE = '1.25'

/** A header's one value, or none. */
const header = (exchange: Exchange, name: string): string | undefined => {
  const value = exchange.request.headers[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

const registryAuth = (exchange: Exchange) => {
  const registryAuth = header(exchange, 'x-registry-auth')
  return registryAuth === undefined ? {} : { registryAuth }
}

const readSpec = async ({ request, version }: Exchange): Promise<unknown> =>
  withoutNewerFields(await readJson(request, ServiceSpec), version)

/** Docker names what has no name. */
const withName = (spec: unknown): unknown => {
  if (typeof spec !== 'object' || spec === null || Array.isArray(spec)) return spec
  if ('Name' in spec && spec.Name) return spec
  return { ...spec, Name: randomName() }
}

/** What the swarm does not have may be a network of this Engine's: moby says why it will not do (`daemon/cluster/networks.go`). */
const explained = async <T>({ engine }: Exchange, asked: Promise<T>): Promise<T> => {
  try {
    return await asked
  } catch (thrown) {
    const { code, message } = toSwarmctlError(thrown)
    const name = /^network (.+) not found$/.exec(message)?.[1] ?? ''
    if (code !== 'NOT_FOUND' || !(await hasLocalNetwork(engine, name))) throw thrown
    throw new SwarmctlError(
      'PERMISSION_DENIED',
      `The network ${name} cannot be used with services. Only networks scoped to the swarm can be used, such as those created with the overlay driver.`,
      { cause: thrown },
    )
  }
}

const createService = async (exchange: Exchange): Promise<void> => {
  const spec = withName(await readSpec(exchange))
  const control = exchange.port.control()
  const created = await explained(exchange, control.createService(spec, registryAuth(exchange)))
  sendJson(exchange.response, 201, created)
}

const oneOf = <T extends string>(
  query: URLSearchParams,
  name: string,
  values: readonly T[],
  complain: (value: string) => string,
): T | undefined => {
  const value = query.get(name)
  if (!value) return undefined
  if (!values.includes(value as T)) throw invalid(complain(value))
  return value as T
}

const updateService = async (exchange: Exchange): Promise<void> => {
  const { query } = exchange
  const registryAuthFrom = oneOf(
    query,
    'registryAuthFrom',
    ['spec', 'previous-spec'] as const,
    (value) => `invalid registryAuthFrom '${value}'`,
  )
  const rollback = oneOf(
    query,
    'rollback',
    ['previous', 'none'] as const,
    (value) => `unrecognized rollback option ${value}`,
  )
  const version = versionOf(query, 'service')
  const spec = await readSpec(exchange)
  const control = exchange.port.control()
  const updated = await explained(
    exchange,
    control.updateService(param(exchange, 'id'), version, spec, {
      ...registryAuth(exchange),
      ...(registryAuthFrom && { registryAuthFrom }),
      ...(rollback && { rollback }),
      keepsExtensions: exchange.version !== undefined,
    }),
  )
  sendJson(exchange.response, 200, updated)
}

const withNetworks = (spec: ServiceSpec): ServiceSpec =>
  spec.TaskTemplate.Networks === undefined
    ? spec
    : { ...spec, Networks: spec.TaskTemplate.Networks }

/** A service as the client's version of the API has it. */
const shown = ({ version }: Exchange, service: Service): Service =>
  isOlder(version, TASK_NETWORKS_SINCE)
    ? {
        ...service,
        Spec: withNetworks(service.Spec),
        ...(service.PreviousSpec && { PreviousSpec: withNetworks(service.PreviousSpec) }),
      }
    : service

const serviceLogs = async (exchange: Exchange): Promise<void> => {
  const query = parseLogQuery(exchange.query)
  const control = exchange.port.control()
  const service = await control.getService(param(exchange, 'id'))
  const tasks = await control.listTasks({ service: [service.ID] })
  const tty = service.Spec.TaskTemplate.ContainerSpec?.TTY === true
  await new LogStream(exchange, query, tty).run(
    tasks,
    query.follow ? (task) => task.ServiceID === service.ID : undefined,
  )
}

const taskLogs = async (exchange: Exchange): Promise<void> => {
  const query = parseLogQuery(exchange.query)
  const task = await exchange.port.control().getTask(param(exchange, 'id'))
  const tty = task.Spec.ContainerSpec?.TTY === true
  await new LogStream(exchange, query, tty).run([task], undefined)
}

/** `/services` and `/tasks`. */
export const serviceRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/services',
    place: 'state',
    async handle(exchange) {
      const services = await exchange.port
        .control()
        .listServices(parseFilters(exchange.query.get('filters')), {
          ...exchange.read,
          status: !isOlder(exchange.version, STATUS_SINCE) && queryBool(exchange.query, 'status'),
        })
      sendJson(
        exchange.response,
        200,
        services.map((service) => shown(exchange, service)),
      )
    },
  },
  { method: 'POST', path: '/services/create', place: 'leader', handle: createService },
  {
    method: 'GET',
    path: '/services/:id',
    place: 'state',
    async handle(exchange) {
      const service = await exchange.port.control().getService(param(exchange, 'id'), {
        ...exchange.read,
        insertDefaults: queryBool(exchange.query, 'insertDefaults'),
      })
      sendJson(exchange.response, 200, shown(exchange, service))
    },
  },
  { method: 'POST', path: '/services/:id/update', place: 'leader', handle: updateService },
  {
    method: 'DELETE',
    path: '/services/:id',
    place: 'leader',
    async handle(exchange) {
      await exchange.port.control().removeService(param(exchange, 'id'))
      sendEmpty(exchange.response, 200)
    },
  },
  {
    method: 'GET',
    path: '/services/:id/logs',
    place: 'leader',
    endsWithClient: true,
    handle: serviceLogs,
  },
  {
    method: 'GET',
    path: '/tasks',
    place: 'state',
    async handle(exchange) {
      const tasks = await exchange.port
        .control()
        .listTasks(parseFilters(exchange.query.get('filters')), exchange.read)
      sendJson(exchange.response, 200, tasks)
    },
  },
  {
    method: 'GET',
    path: '/tasks/:id',
    place: 'state',
    async handle(exchange) {
      const task = await exchange.port.control().getTask(param(exchange, 'id'), exchange.read)
      sendJson(exchange.response, 200, task)
    },
  },
  {
    method: 'GET',
    path: '/tasks/:id/logs',
    place: 'leader',
    endsWithClient: true,
    handle: taskLogs,
  },
]
