// Ours, beyond the Engine API: what reaches into a task's container on whichever node it runs, in the shape of the Engine's own calls.
import { type ContainerCall, type ContainerExchange, ExecConfig } from '../api/container-call.ts'
import { invalid, toSwarmctlError } from '../api/errors.ts'
import { parseBody } from '../api/validate/body.ts'
import { readJson } from './body.ts'
import { sendJson, writePart } from './reply.ts'
import { type Exchange, param, queryFlag, type Route } from './routes.ts'

/** How long all nodes together may take to say what they use, milliseconds. */
const USAGE_LIMIT_MS = 4_000

/** The client's bytes go to the node as they come. */
const feed = async (exchange: Exchange, call: ContainerExchange): Promise<void> => {
  try {
    for await (const chunk of exchange.request as AsyncIterable<Buffer>) await call.send(chunk)
    call.end()
  } catch (error) {
    call.abort(toSwarmctlError(error))
  }
}

/** Makes a call about the task's container and passes its answer on, both ways streamed. */
const passOn = async (exchange: Exchange, call: ContainerCall, hasBody = false): Promise<void> => {
  const { port, response } = exchange
  const task = await port.control().getTask(param(exchange, 'id'))
  // Nobody would end the call of a client that went away while its task was looked up: 'close' is told once.
  if (response.destroyed) return
  const under = port.taskContainer(task.ID, call)
  response.on('close', () => under.abort())
  if (hasBody) void feed(exchange, under)
  const { status, headers } = await under.answer
  response.writeHead(status, headers)
  response.flushHeaders()
  for await (const chunk of under.body()) await writePart(response, chunk)
  response.end()
}

const requirePath = ({ query }: Exchange): string => {
  const path = query.get('path') ?? ''
  if (path === '') throw invalid('missing "path" parameter')
  return path
}

const consoleSize = ({ query }: Exchange): { consoleSize?: [number, number] } => {
  const [height, width] = ['h', 'w'].map((name) => Number(query.get(name) ?? 0))
  return height && width ? { consoleSize: [height, width] } : {}
}

const execStart = (exchange: Exchange): Promise<void> => {
  const { query } = exchange
  const call: ContainerCall = {
    kind: 'exec-start',
    execId: param(exchange, 'exec'),
    detach: queryFlag(query, 'detach'),
    tty: queryFlag(query, 'tty'),
    ...consoleSize(exchange),
  }
  return passOn(exchange, call, true)
}

const resize = (exchange: Exchange): Promise<void> => {
  const [height, width] = ['h', 'w'].map((name) => Number(exchange.query.get(name)))
  if (!height || !width)
    throw invalid('invalid size of a terminal: h and w are its lines and columns')
  return passOn(exchange, { kind: 'exec-resize', execId: param(exchange, 'exec'), height, width })
}

const archivePut = (exchange: Exchange): Promise<void> => {
  const { query } = exchange
  const call: ContainerCall = {
    kind: 'archive-put',
    path: requirePath(exchange),
    noOverwriteDirNonDir: queryFlag(query, 'noOverwriteDirNonDir'),
    copyUidGid: queryFlag(query, 'copyUIDGID'),
  }
  return passOn(exchange, call, true)
}

const execCreate = async (exchange: Exchange): Promise<void> => {
  const config = parseBody(ExecConfig, await readJson(exchange.request, ExecConfig))
  if (config.Cmd.length === 0) throw invalid('No exec command specified')
  return passOn(exchange, { kind: 'exec-create', config })
}

const usage = async ({ port, response, clock }: Exchange): Promise<void> => {
  const limit = new AbortController()
  const cancel = clock.schedule(USAGE_LIMIT_MS, () => limit.abort())
  response.on('close', () => limit.abort())
  try {
    sendJson(response, 200, await port.usage(limit.signal))
  } finally {
    cancel()
  }
}

/** `/tasks/{id}/…` beyond the Engine API, `/services/{id}/placement` and `/swarmctl/usage`. */
export const containerRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/tasks/:id/container',
    place: 'leader',
    handle: (exchange) => passOn(exchange, { kind: 'inspect' }),
  },
  { method: 'POST', path: '/tasks/:id/exec', place: 'leader', handle: execCreate },
  { method: 'POST', path: '/tasks/:id/exec/:exec/start', place: 'leader', handle: execStart },
  { method: 'POST', path: '/tasks/:id/exec/:exec/resize', place: 'leader', handle: resize },
  {
    method: 'GET',
    path: '/tasks/:id/exec/:exec/json',
    place: 'leader',
    handle: (exchange) =>
      passOn(exchange, { kind: 'exec-inspect', execId: param(exchange, 'exec') }),
  },
  {
    method: 'HEAD',
    path: '/tasks/:id/archive',
    place: 'leader',
    handle: (exchange) => passOn(exchange, { kind: 'archive-stat', path: requirePath(exchange) }),
  },
  {
    method: 'GET',
    path: '/tasks/:id/archive',
    place: 'leader',
    handle: (exchange) => passOn(exchange, { kind: 'archive-get', path: requirePath(exchange) }),
  },
  { method: 'PUT', path: '/tasks/:id/archive', place: 'leader', handle: archivePut },
  { method: 'GET', path: '/swarmctl/usage', place: 'leader', handle: usage },
  {
    method: 'GET',
    path: '/services/:id/placement',
    place: 'state',
    async handle(exchange) {
      const { response, port, read } = exchange
      sendJson(response, 200, await port.control().placement(param(exchange, 'id'), read))
    },
  },
]
