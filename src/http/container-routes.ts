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

/** A call may wait for the node or its command for long, and says nothing meanwhile: it is one for as long as its client sends. */
const call = (
  method: Route['method'],
  path: string,
  handle: (exchange: Exchange) => Promise<void>,
): Route => ({ method, path, place: 'leader', endsWithClient: true, handle })

/** `/tasks/{id}/…` beyond the Engine API, `/services/{id}/placement` and `/swarmctl/usage`. */
export const containerRoutes: readonly Route[] = [
  call('GET', '/tasks/:id/container', (exchange) => passOn(exchange, { kind: 'inspect' })),
  call('POST', '/tasks/:id/exec', execCreate),
  call('POST', '/tasks/:id/exec/:exec/start', execStart),
  call('POST', '/tasks/:id/exec/:exec/resize', resize),
  call('GET', '/tasks/:id/exec/:exec/json', (exchange) =>
    passOn(exchange, { kind: 'exec-inspect', execId: param(exchange, 'exec') }),
  ),
  call('HEAD', '/tasks/:id/archive', (exchange) =>
    passOn(exchange, { kind: 'archive-stat', path: requirePath(exchange) }),
  ),
  call('GET', '/tasks/:id/archive', (exchange) =>
    passOn(exchange, { kind: 'archive-get', path: requirePath(exchange) }),
  ),
  call('PUT', '/tasks/:id/archive', archivePut),
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
