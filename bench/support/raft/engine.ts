/** Says what the daemons ask of a Docker Engine when nothing runs. No container is started in this benchmark. */
import { createServer, type Server, type ServerResponse } from 'node:http'
import { cpus, totalmem } from 'node:os'

const ANSWERS: Readonly<Record<string, unknown>> = {
  '/version': { ApiVersion: '1.43', MinAPIVersion: '1.12', Version: '24.0.0' },
  '/info': {
    Name: 'bench',
    OSType: 'linux',
    Architecture: 'x86_64',
    NCPU: cpus().length,
    MemTotal: totalmem(),
    ServerVersion: '24.0.0',
    Labels: [],
    Swarm: { LocalNodeState: 'inactive' },
  },
  '/containers/json': [],
  '/networks': [],
}

/** An empty Engine on a Unix socket. */
export const startEngine = (socketPath: string): Promise<Server> => {
  const server = createServer((request, response) => answer(request.url ?? '/', response))
  server.requestTimeout = 0
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(socketPath, () => resolve(server))
  })
}

const answer = (url: string, response: ServerResponse): void => {
  const path = url.replace(/^\/v[\d.]+/, '').replace(/\?.*$/, '')
  if (path === '/_ping') response.end('OK')
  // A stream in which nothing ever happens.
  else if (path === '/events') response.writeHead(200).flushHeaders()
  else if (path in ANSWERS) {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(ANSWERS[path]))
  } else {
    response.writeHead(404, { 'content-type': 'application/json' })
    response.end('{"message":"not found"}')
  }
}
