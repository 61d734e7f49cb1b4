/** JSON over HTTP/1.1 with mutual TLS, the same on both sides: one connection per worker, kept alive, one request at a time. */
import { connect, type TLSSocket } from 'node:tls'
import type { Target } from './job.ts'
import { KeySource, VALUE_BYTES } from './store-client.ts'

const HEAD_END = '\r\n\r\n'

export class HttpClient {
  readonly #target: Target
  readonly #keys = new KeySource()
  readonly #value = Buffer.alloc(VALUE_BYTES, 'v').toString('base64')
  #sockets: TLSSocket[] = []

  constructor(target: Target) {
    this.#target = target
  }

  async open(member: number, connections: number): Promise<void> {
    this.#sockets = await Promise.all(
      Array.from({ length: connections }, () => this.#connect(member)),
    )
  }

  /** etcd: its JSON gateway's put. swarmctl: `POST /configs/create`. */
  async put(worker: number): Promise<void> {
    const key = this.#keys.next()
    const isEtcd = this.#target.subject === 'etcd'
    const path = isEtcd ? '/v3/kv/put' : '/v1.43/configs/create'
    const body = isEtcd
      ? JSON.stringify({ key: Buffer.from(key).toString('base64'), value: this.#value })
      : JSON.stringify({ Name: key, Data: this.#value })
    const head = `POST ${path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`
    const answer = await exchange(this.#sockets[worker] as TLSSocket, head + body)
    if (!/^HTTP\/1\.1 20/.test(answer)) throw new Error(answer.slice(0, 300))
  }

  close(): void {
    for (const socket of this.#sockets.splice(0)) socket.destroy()
  }

  #connect(member: number): Promise<TLSSocket> {
    const { key, cert, ca } = this.#target.tls
    const [host, port] = (this.#target.addrs[member] as string).split(':')
    return new Promise((resolve, reject) => {
      const socket = connect({
        ...{ key, cert, ca, host: host as string, port: Number(port) },
        // swarmctl's certificates name nodes, not addresses; the authority is checked.
        checkServerIdentity: () => undefined,
      })
      socket.setNoDelay(true)
      socket.once('error', reject)
      socket.once('secureConnect', () => {
        socket.off('error', reject)
        socket.on('error', () => {})
        resolve(socket)
      })
    })
  }
}

const exchange = (socket: TLSSocket, request: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ''
    const finish = (run: () => void): void => {
      socket.off('data', onData)
      socket.off('close', onClose)
      run()
    }
    const onClose = (): void => finish(() => reject(new Error('the connection closed')))
    const onData = (chunk: Buffer): void => {
      text += chunk.toString('latin1')
      if (isComplete(text)) finish(() => resolve(text))
    }
    socket.on('data', onData)
    socket.on('close', onClose)
    socket.write(request)
  })

const isComplete = (text: string): boolean => {
  const end = text.indexOf(HEAD_END)
  if (end === -1) return false
  const length = /content-length: (\d+)/i.exec(text.slice(0, end))?.[1]
  if (length !== undefined) return text.length >= end + HEAD_END.length + Number(length)
  return text.endsWith('0\r\n\r\n')
}
