/** A node's API socket as users meet it: the real surface over a real store, on a Unix socket. */
import { mkdtempSync, rmSync } from 'node:fs'
import { request as httpRequest, type IncomingMessage, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../../../src/api/clock.ts'
import type { Log } from '../../../src/api/log.ts'
import { Surface } from '../../../src/http/surface.ts'
import { MemorySwarm } from './memory-swarm.ts'
import { StandInEngine } from './stand-in-engine.ts'

export interface Answer {
  status: number
  headers: IncomingMessage['headers']
  // biome-ignore lint/suspicious/noExplicitAny: bodies are compared, not typed.
  body: any
}

export interface CallOptions {
  body?: unknown
  headers?: Record<string, string>
}

/** Drops every line. */
export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLog,
}

interface StartOptions {
  engineVersion?: string
  seed?: boolean
  /** What requests wait by. */
  clock?: Clock
}

export class ApiNode {
  readonly swarm = new MemorySwarm()
  readonly engine: StandInEngine
  readonly socketPath: string
  readonly #dir = mkdtempSync(join(tmpdir(), 'swarmctl-api-'))
  readonly #surface: Surface
  readonly #server: Server

  private constructor({ engineVersion, clock }: StartOptions) {
    this.engine = new StandInEngine(join(this.#dir, 'engine.sock'), engineVersion)
    this.socketPath = join(this.#dir, 'docker.sock')
    const { swarm, engine } = this
    this.#surface = new Surface({
      port: swarm,
      engine,
      clock: clock ?? swarm.clock,
      log: silentLog,
    })
    this.#server = this.#surface.createServer()
  }

  static async start(options: StartOptions = {}): Promise<ApiNode> {
    const node = new ApiNode(options)
    await node.engine.start()
    await new Promise<void>((resolve) => node.#server.listen(node.socketPath, resolve))
    if (options.seed === false) node.swarm.state.localNodeState = 'inactive'
    else await node.swarm.seed()
    return node
  }

  async stop(): Promise<void> {
    this.#surface.closeHijacked()
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
    await this.engine.stop()
    rmSync(this.#dir, { recursive: true })
  }

  /** For `docker -H` and `swarmctl --host`. */
  get host(): string {
    return `unix://${this.socketPath}`
  }

  /** An open answer, for streams. */
  open(method: string, path: string, options: CallOptions = {}): Promise<IncomingMessage> {
    const { body, headers } = options
    return new Promise((resolve, reject) => {
      const request = httpRequest(
        { socketPath: this.socketPath, method, path, agent: false, headers: { ...headers } },
        resolve,
      )
      request.on('error', reject)
      request.end(
        body === undefined || typeof body === 'string' ? body : Buffer.from(JSON.stringify(body)),
      )
    })
  }

  async call(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    const answer = await this.open(method, path, options)
    let text = ''
    for await (const chunk of answer) text += chunk
    const isJson = answer.headers['content-type']?.startsWith('application/json')
    const body = isJson && text !== '' ? JSON.parse(text) : text
    return { status: answer.statusCode!, headers: answer.headers, body }
  }
}

/** A node that ends with the test. */
export const startNode = async (
  t: { teardown(end: () => Promise<void>): void },
  options?: StartOptions,
): Promise<ApiNode> => {
  const node = await ApiNode.start(options)
  t.teardown(() => node.stop())
  return node
}

/** Body of a service's create request: the least that one needs, with `change` in its place. */
export const serviceBody = (name: string, change: object = {}) => ({
  Name: name,
  TaskTemplate: { ContainerSpec: { Image: 'nginx:1' } },
  ...change,
})

/** Waits until `check` holds; the test's own time limit ends it. */
export const until = async (check: () => boolean): Promise<void> => {
  while (!check()) await new Promise((resolve) => setTimeout(resolve, 5))
}
