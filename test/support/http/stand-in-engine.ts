/** A real HTTP server on a Unix socket in the place of a Docker Engine: what the surface asks of one, and what it passes on. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { isOlder } from '../../../src/http/api-version.ts'
import type { EnginePort } from '../../../src/http/ports.ts'

export const DIGEST = `sha256:${'a'.repeat(64)}`

const LOCAL_NETWORKS = [
  { Id: 'b'.repeat(64), Name: 'bridge', Driver: 'bridge', Scope: 'local', Labels: {} },
  {
    Id: 'c'.repeat(64),
    Containers: { c1: { Name: 'web.1.t1', IPv4Address: '10.0.1.3/24' } },
    Name: 'swarmctl-1',
    Driver: 'bridge',
    Scope: 'local',
    Labels: { 'swarmctl.network': 'n1', 'com.docker.swarm.network.name': 'back' },
  },
]

/** Only the bridges of overlays have a label, which tells whose they are. */
const localNetworks = (url: string, overlayId: string) => {
  const filters = new URLSearchParams(url.replace(/^[^?]*\??/, '')).get('filters') ?? ''
  const asked = /"label":\["swarmctl\.network(?:=(\w+))?"\]/.exec(filters)
  if (asked !== null) {
    const isWanted = asked[1] === undefined || asked[1] === overlayId
    return LOCAL_NETWORKS.filter(({ Name }) => Name === 'swarmctl-1' && isWanted)
  }
  return filters.includes('"label"') ? [] : LOCAL_NETWORKS
}

/** A request as it arrived. */
export interface Seen {
  method: string
  url: string
  headers: IncomingMessage['headers']
  body: string
}

const json = (response: ServerResponse, status: number, body: unknown) => {
  response.writeHead(status, { 'Content-Type': 'application/json' })
  response.end(JSON.stringify(body))
}

export class StandInEngine implements EnginePort {
  readonly socketPath: string
  readonly seen: Seen[] = []
  version: string
  /** What is older is refused. */
  oldestVersion = '1.24'
  isDown = false
  /** The swarm's network whose bridge it has. */
  overlayId = ''
  /** Where the images run that a registry has. */
  imagePlatforms: { architecture: string; os: string; variant?: string }[] = []
  /** What it says to `METHOD /path`, before all else that it knows. */
  readonly answers = new Map<string, { status: number; body: unknown }>()
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #listeners = new Set<ServerResponse>()

  constructor(socketPath: string, version = '1.51') {
    this.socketPath = socketPath
    this.version = version
    this.#server = createServer({ maxHeaderSize: 1 << 20 }, (request, response) => {
      void this.#answer(request, response)
    })
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
    // Attach: what comes in goes back in upper case; once the client closed its half it gets a last line.
    this.#server.on('upgrade', (request, socket, head) => {
      this.seen.push({
        method: request.method!,
        url: request.url!,
        headers: request.headers,
        body: '',
      })
      socket.write(
        'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n',
      )
      const echo = (chunk: Buffer) => socket.write(chunk.toString().toUpperCase())
      if (head.length > 0) echo(head)
      socket.on('data', echo)
      socket.on('end', () => socket.end('half-closed\n'))
      socket.on('error', () => socket.destroy())
    })
  }

  start(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(this.socketPath, resolve))
  }

  stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }

  address(): { socketPath: string } {
    return { socketPath: this.isDown ? `${this.socketPath}.gone` : this.socketPath }
  }

  async apiVersions() {
    return { oldest: this.oldestVersion, newest: this.version }
  }

  /** Streams that read `/events` now. */
  get eventReaders(): number {
    return this.#listeners.size
  }

  /** Sends text as it is to everybody who reads `/events`. */
  emit(text: string): void {
    for (const listener of this.#listeners) listener.write(text)
  }

  /** Ends the streams of everybody who reads `/events`, as an Engine that restarts does. */
  endEvents(): void {
    for (const listener of this.#listeners) listener.end()
  }

  requests(method: string, url: string | RegExp): Seen[] {
    return this.seen.filter(
      (one) =>
        one.method === method && (typeof url === 'string' ? one.url === url : url.test(one.url)),
    )
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url!.replace(/^\/v[\d.]+/, '').replace(/\?.*$/, '')
    const { method = '', url = '', headers } = request
    if (path === '/build') {
      // Each chunk is answered before the next comes: neither body is collected on the way.
      response.writeHead(200)
      response.flushHeaders()
      request.on('data', (chunk: Buffer) => response.write(`got ${chunk}`))
      request.on('end', () => response.end('built'))
      return
    }
    let body = ''
    for await (const chunk of request) body += chunk
    this.seen.push({ method, url, headers, body })
    const [, version] = /^\/v([\d.]+)\//.exec(url) ?? []
    if (isOlder(version, this.oldestVersion)) {
      return json(response, 400, { message: `client version ${version} is too old` })
    }
    this.#route(method, path, url, response)
  }

  #route(method: string, path: string, url: string, response: ServerResponse): void {
    const network = LOCAL_NETWORKS.find(
      ({ Name, Id }) => path === `/networks/${Name}` || path === `/networks/${Id}`,
    )
    const answer = this.answers.get(`${method} ${path}`)
    if (answer) json(response, answer.status, answer.body)
    else if (path === '/_ping') {
      response.writeHead(200, { 'Builder-Version': '2', 'Docker-Experimental': 'true' })
      response.end('OK')
    } else if (path === '/version') {
      const { version } = this
      json(response, 200, {
        ...{ Version: '28.0.0', ApiVersion: version, MinAPIVersion: this.oldestVersion },
        Components: [{ Name: 'Engine', Details: { ApiVersion: version } }],
      })
    } else if (path === '/info') {
      const Swarm = { LocalNodeState: 'inactive' }
      json(response, 200, { ID: 'engine', Name: 'h1', ServerVersion: '28.0.0', NCPU: 2, Swarm })
    } else if (path === '/networks' && method === 'GET') {
      json(response, 200, localNetworks(url, this.overlayId))
    } else if (path === '/networks/prune') json(response, 200, { NetworksDeleted: ['unused'] })
    else if (path === '/networks/create') json(response, 201, { Id: 'd'.repeat(64), Warning: '' })
    else if (network) json(response, 200, network)
    else if (path === '/containers/json') json(response, 200, [])
    else if (path === '/events') this.#events(url, response)
    else if (/^\/distribution\/.*app.*\/json$/.test(path)) {
      json(response, 200, { Descriptor: { digest: DIGEST }, Platforms: this.imagePlatforms })
    } else json(response, 404, { message: `no such thing on the engine: ${path}` })
  }

  #events(url: string, response: ServerResponse): void {
    if (url.includes('bad-filter')) return json(response, 400, { message: 'invalid filter' })
    response.writeHead(200, { 'Content-Type': 'application/json' })
    response.flushHeaders()
    this.#listeners.add(response)
    response.on('close', () => this.#listeners.delete(response))
  }
}
