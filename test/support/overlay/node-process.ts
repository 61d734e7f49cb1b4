/**
 * One node's Overlay as a process of its own, to run inside a lab host's namespaces: takes requests as JSON lines on standard
 * input and answers on standard output. Arguments: plane, Docker socket, the host's address, VXLAN port.
 */
import assert from 'node:assert'
import { connect, createServer, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import Docker from 'dockerode'
import type { Clock } from '../../../src/api/clock.ts'
import type { Log } from '../../../src/api/log.ts'
import { ProcessExec } from '../../../src/overlay/exec.ts'
import { Overlay } from '../../../src/overlay/overlay.ts'
import type { DataPlaneChoice } from '../../../src/overlay/probe.ts'
import { HostProc } from '../../../src/overlay/proc.ts'
import type { Tunnel, TunnelTarget } from '../../../src/overlay/proxy/tunnel.ts'

const [plane, dockerSocket, ownAddress] = process.argv.slice(2)
assert(plane !== undefined && dockerSocket !== undefined && ownAddress !== undefined)

/** Where the test's stand-in for the cluster's tunnel listens: plain TCP, one connection per stream. */
const TUNNEL_PORT = 7946
/** Addresses of the nodes, learned from the views that pass. */
const addresses = new Map<string, string>()

const clock: Clock = {
  nowMs: () => Date.now(),
  schedule: (delayMs, run) => {
    const timer = setTimeout(run, delayMs)
    return () => clearTimeout(timer)
  },
}

const line = (level: string) => (fields: object, message: string) =>
  console.error(level, message, JSON.stringify(fields))
const log: Log = {
  debug: line('debug'),
  info: line('info'),
  warn: line('warn'),
  error: line('error'),
  child: () => log,
}

const tunnel: Tunnel = {
  open: (nodeId: string, target: TunnelTarget) =>
    new Promise((resolve, reject) => {
      const host = addresses.get(nodeId)
      if (host === undefined) return reject(new Error(`no node ${nodeId}`))
      const socket = connect({ host, port: TUNNEL_PORT, allowHalfOpen: true, noDelay: true })
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.removeAllListeners('error')
        socket.write(`${JSON.stringify(target)}\n`)
        resolve(socket)
      })
    }),
}

const overlay = new Overlay(
  {
    exec: new ProcessExec(),
    proc: new HostProc(),
    docker: new Docker({ socketPath: dockerSocket }),
    clock,
    log,
    tunnel,
    // Encrypted networks need certificates: test/lab/encrypted.test.ts runs whole daemons.
    relayLink: { open: () => Promise.reject(new Error('no relay here')) },
  },
  {
    dataPlane: plane as DataPlaneChoice,
    // Outlives a kill, as a daemon's data directory does.
    settingsPath: join(dirname(dockerSocket), 'host-settings.json'),
  },
)

const onTunnel = (socket: Socket): void => {
  let head = Buffer.alloc(0)
  const onData = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk])
    const end = head.indexOf(10)
    if (end < 0) return
    socket.off('data', onData)
    socket.pause()
    const rest = head.subarray(end + 1)
    if (rest.length > 0) socket.unshift(rest)
    overlay.acceptTunnel(JSON.parse(head.subarray(0, end).toString()), socket).catch((error) => {
      log.info({ error: String(error) }, 'tunnel ended')
    })
  }
  socket.on('data', onData)
  socket.on('error', () => {})
}

const drains = new Map<number, AbortController>()

const handle = async (id: number, method: string, args: unknown[]): Promise<unknown> => {
  switch (method) {
    case 'start': {
      const server = createServer({ allowHalfOpen: true, noDelay: true }, onTunnel)
      await new Promise<void>((resolve) => server.listen(TUNNEL_PORT, ownAddress, resolve))
      return await overlay.start()
    }
    case 'apply': {
      const message = args[0] as Parameters<Overlay['take']>[0]
      for (const node of message.change.nodes.put) addresses.set(node.id, node.dataPathAddr)
      overlay.take(message)
      return await overlay.held()
    }
    case 'setSelf':
      return await overlay.setSelf(args[0] as never)
    case 'attach':
      return await overlay.attach(args[0] as never)
    case 'drain': {
      const controller = new AbortController()
      drains.set(id, controller)
      const startedMs = performance.now()
      await overlay.drain(args[0] as never, args[1] as number, args[2] as number, controller.signal)
      return performance.now() - startedMs
    }
    case 'dropEndpoint':
      return overlay.dropEndpoint(args[0] as string)
    case 'problems':
      return overlay.problems()
    case 'close':
      return await overlay.close()
    case 'destroy':
      return await overlay.destroy()
    default:
      throw new Error(`no method ${method}`)
  }
}

createInterface({ input: process.stdin })
  .on('line', (text) => {
    const { id, method, args } = JSON.parse(text) as { id: number; method: string; args: unknown[] }
    handle(id, method, args).then(
      (result) => console.log(JSON.stringify({ id, result: result ?? null })),
      (error: Error) => console.log(JSON.stringify({ id, error: error.message })),
    )
  })
  .on('close', () => process.exit(0))
