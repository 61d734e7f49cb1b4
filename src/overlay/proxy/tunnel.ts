import { createSocket } from 'node:dgram'
import { connect, isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { SwarmctlError } from '../../api/errors.ts'
import { connectDatagram } from '../connect-datagram.ts'
import { DatagramReader, frameDatagram } from './datagram-frames.ts'
import { joinStreams } from './join.ts'

/** An endpoint on another node. */
export interface TunnelTarget {
  networkId: string
  addr: string
  port: number
  protocol: 'tcp' | 'udp'
}

/**
 * Opens byte streams to endpoints of other nodes, many over one mutually authenticated connection per node pair. TCP: the stream is
 * the connection, with half-close, after one byte by which the far end says that the endpoint took it. UDP: a stream is one client's session, datagrams framed (datagram-frames.ts).
 */
export interface Tunnel {
  /** Rejects when the node can't be reached or does not have the endpoint. */
  open(nodeId: string, target: TunnelTarget): Promise<Duplex>
}

/** Milliseconds to reach a container of the same host. */
const CONNECT_TIMEOUT_MS = 3000
/** Sessions without a datagram for so long end (conntrack's time for an UDP stream). */
export const UDP_IDLE_TIMEOUT_MS = 120_000

/** First byte of a TCP stream from the far end: until then the near end may still pick another endpoint. */
const CONNECTED = 0

/** Waits for the far end's word that it reached the endpoint. Rejects when the stream ends before. */
export const awaitConnected = (stream: Duplex): Promise<Duplex> =>
  new Promise((resolve, reject) => {
    const settle = (run: () => void) => {
      stream.off('readable', onReadable)
      stream.off('close', onEnd)
      stream.off('end', onEnd)
      stream.off('error', onEnd)
      run()
    }
    const onEnd = () => {
      settle(() => {
        stream.on('error', () => {})
        stream.destroy()
        reject(new SwarmctlError('UNAVAILABLE', 'the endpoint does not answer'))
      })
    }
    const onReadable = () => {
      const first = stream.read(1) as Buffer | null
      if (first !== null) settle(() => resolve(stream))
    }
    stream.on('readable', onReadable)
    stream.on('close', onEnd)
    stream.on('end', onEnd)
    stream.on('error', onEnd)
  })

/** Whether a message from a peer names an endpoint in the right shape. */
export const isTunnelTarget = (value: unknown): value is TunnelTarget => {
  const target = value as Partial<TunnelTarget> | null
  return (
    typeof target === 'object' &&
    target !== null &&
    typeof target.networkId === 'string' &&
    typeof target.addr === 'string' &&
    isIP(target.addr) === 4 &&
    Number.isInteger(target.port) &&
    Number(target.port) > 0 &&
    Number(target.port) <= 65_535 &&
    (target.protocol === 'tcp' || target.protocol === 'udp')
  )
}

/** Serves the far end: joins a peer's stream with the endpoint. Resolves when both directions ended. */
export const serveTunnel = (target: TunnelTarget, peer: Duplex): Promise<void> =>
  target.protocol === 'tcp' ? serveTcp(target, peer) : serveUdp(target, peer)

const serveTcp = (target: TunnelTarget, peer: Duplex): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = connect({
      host: target.addr,
      port: target.port,
      allowHalfOpen: true,
      noDelay: true,
    })
    const timer = setTimeout(() => socket.destroy(unreachable(target)), CONNECT_TIMEOUT_MS)
    // The peer gave up: nothing to connect for. Its errors are its own.
    peer.on('error', () => {})
    const giveUp = () => socket.destroy(unreachable(target))
    peer.on('close', giveUp)
    socket.once('error', (error) => {
      clearTimeout(timer)
      peer.destroy(error)
      reject(error)
    })
    socket.once('connect', () => {
      clearTimeout(timer)
      peer.off('close', giveUp)
      peer.write(Buffer.of(CONNECTED))
      joinStreams(socket, peer, resolve)
    })
  })

const serveUdp = (target: TunnelTarget, peer: Duplex): Promise<void> =>
  new Promise((resolve) => {
    const socket = createSocket('udp4')
    const reader = new DatagramReader()
    let isDone = false
    const end = () => {
      if (isDone) return
      isDone = true
      clearTimeout(timer)
      socket.close()
      peer.destroy()
      resolve()
    }
    const timer = setTimeout(end, UDP_IDLE_TIMEOUT_MS)
    socket.on('error', end)
    socket.on('message', (datagram) => {
      timer.refresh()
      // UDP may lose: what the peer does not take is dropped instead of queued.
      if (!peer.writableNeedDrain) peer.write(frameDatagram(datagram))
    })
    peer.on('error', end)
    peer.on('close', end)
    peer.on('end', end)
    connectDatagram(socket, target.port, target.addr, (error) => {
      if (error !== null) end()
      if (isDone) return
      peer.on('data', (chunk: Buffer) => {
        timer.refresh()
        for (const datagram of reader.read(chunk)) if (!isDone) socket.send(datagram)
      })
      peer.resume()
    })
  })

const unreachable = (target: TunnelTarget): SwarmctlError =>
  new SwarmctlError('UNAVAILABLE', `${target.addr}:${target.port} does not answer`)
