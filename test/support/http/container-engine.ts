/**
 * An Engine with one container, as an HTTP server on a Unix socket: its files are a folder here, its commands a few words that this
 * file knows. What the calls into containers need, spoken as the Engine speaks it.
 */
import { existsSync, lstatSync, mkdirSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { basename, dirname, join } from 'node:path'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { extract, pack } from 'tar-fs'
import type { ExecConfig } from '../../../src/api/container-call.ts'

interface Exec {
  config: ExecConfig
  exitCode: number | null
}

const frame = (stream: 1 | 2, text: string): Buffer => {
  const head = Buffer.alloc(8)
  head[0] = stream
  head.writeUInt32BE(Buffer.byteLength(text), 4)
  return Buffer.concat([head, Buffer.from(text)])
}

export class ContainerEngine {
  readonly socketPath: string
  readonly root: string
  readonly containerId = 'c'.repeat(64)
  readonly execs = new Map<string, Exec>()
  readonly resizes: string[] = []
  inspected: object = { State: { Status: 'running' } }
  stats: object = {}
  /** What an archive of its files says of a name: an Engine that is not to be trusted may say anything. */
  nameInArchive = (name: string): string => name
  readonly #server: Server

  constructor(folder: string) {
    this.socketPath = join(folder, 'containers.sock')
    this.root = join(folder, 'root')
    mkdirSync(join(this.root, 'tmp'), { recursive: true })
    this.#server = createServer((request, response) => {
      // What breaks off is answered to nobody.
      this.#answer(request, response).catch(() => response.destroy())
    })
    this.#server.on('upgrade', (request, socket, head) => this.#attach(request, socket, head))
  }

  start(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(this.socketPath, resolve))
  }

  stop(): Promise<void> {
    this.#server.closeAllConnections()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, 'http://engine')
    const json = (status: number, body: unknown) => {
      response.writeHead(status, { 'Content-Type': 'application/json' })
      response.end(JSON.stringify(body))
    }
    const [, kind, id = '', verb] = url.pathname.split('/')
    if (kind === 'containers' && id !== this.containerId) {
      return json(404, { message: `No such container: ${id}` })
    }
    if (verb === 'archive') return this.#archive(request, response, url.searchParams.get('path')!)
    let text = ''
    for await (const chunk of request) text += chunk
    if (kind === 'containers' && verb === 'exec') {
      const created = `${this.execs.size + 1}`.padStart(64, 'e')
      this.execs.set(created, { config: JSON.parse(text), exitCode: null })
      return json(201, { Id: created })
    }
    if (kind === 'containers') return json(200, verb === 'stats' ? this.stats : this.inspected)
    const exec = this.execs.get(id)
    if (!exec) return json(404, { message: `No such exec instance: ${id}` })
    if (verb === 'resize') {
      this.resizes.push(url.search)
      return json(200, {})
    }
    if (verb === 'start') exec.exitCode = 0
    const isForeign = exec.config.User === 'of-another-container'
    return json(200, {
      ID: id,
      ExitCode: exec.exitCode,
      ContainerID: isForeign ? 'd'.repeat(64) : this.containerId,
    })
  }

  /** `cat` gives back its input, `env` its surroundings, `exit N` ends so, `both` writes to both streams, `cut` breaks the line. */
  #attach(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const exec = this.execs.get(request.url!.split('/')[2]!)!
    const { Cmd, Tty } = exec.config
    let started = ''
    socket.on('error', () => {})
    socket.write(
      'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n',
    )
    const say = (text: string, stream: 1 | 2 = 1) => socket.write(Tty ? text : frame(stream, text))
    const length = Number(request.headers['content-length'])
    const input: Buffer[] = []
    const words = Cmd.join(' ')
    const end = (code: number) => {
      exec.exitCode = code
      socket.end()
    }
    const begin = () => {
      if (Cmd[0] === 'exit') end(Number(Cmd[1]))
      else if (Cmd[0] === 'cut') socket.destroy()
      else if (words === 'both') {
        say('out\n')
        say('err\n', 2)
        end(0)
      } else if (words === 'env') {
        say(`${JSON.stringify(exec.config)}\n`)
        end(0)
      } else if (words === 'echo') {
        socket.on('data', (chunk: Buffer) => (chunk.includes('q') ? end(3) : say(String(chunk))))
      } else if (words !== 'cat') end(0)
    }
    const receive = (chunk: Buffer) => {
      if (started.length < length) {
        started += String(chunk)
        if (started.length >= length) begin()
      } else input.push(chunk)
    }
    // The request's body, and with it maybe the first input.
    if (head.length > 0) {
      receive(head.subarray(0, length))
      if (head.length > length) receive(head.subarray(length))
    }
    socket.on('data', receive)
    socket.on('end', () => {
      if (words !== 'cat') return
      say(String(Buffer.concat(input)))
      end(0)
    })
  }

  async #archive(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const full = join(this.root, path)
    const refuse = (message: string) => {
      response.writeHead(404, { 'Content-Type': 'application/json' })
      response.end(request.method === 'HEAD' ? undefined : JSON.stringify({ message }))
    }
    if (!existsSync(full)) return refuse(`Could not find the file ${path} in container x`)
    const found = lstatSync(full)
    const stat = {
      name: path === '/' ? '/' : basename(path),
      size: found.size,
      mode: (found.mode % 0o1000) + (found.isDirectory() ? 0x80000000 : 0),
      linkTarget: '',
    }
    if (request.method === 'PUT') {
      await pipeline(request, extract(full, { umask: 0 } as object))
      response.writeHead(200)
      response.end()
      return
    }
    response.writeHead(200, {
      'Content-Type': 'application/x-tar',
      'X-Docker-Container-Path-Stat': Buffer.from(JSON.stringify(stat)).toString('base64'),
    })
    if (request.method === 'HEAD') return void response.end()
    const isContents = path.endsWith('/.') || path === '/'
    const name = basename(full)
    const options: object = {
      umask: 0,
      map: (header: { name: string }) => ({ ...header, name: this.nameInArchive(header.name) }),
      ...(!isContents && { entries: [name] }),
    }
    const archive = pack(isContents ? full : dirname(full), options)
    await pipeline(archive, response)
  }
}
