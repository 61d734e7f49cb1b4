import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import type { Log } from '../../api/log.ts'
import { type ForwardingTable, hasEncrypted } from '../forwarding-table.ts'
import { encryptedPort, RELAY_ADDRESS } from '../names.ts'
import { DatagramReader } from '../proxy/datagram-frames.ts'
import type { RelayLink } from './link.ts'
import { PeerSender } from './peer-sender.ts'
import { isOurs, macBytes, stamp, targetOf } from './vxlan-datagram.ts'

/** Bytes of datagrams that wait for this process: as a window or two of a container's TCP. The kernel gives what `rmem_max` allows. */
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
/**
 * Where it takes datagrams, the first that is free. While the daemon is away the kernel goes on sending there: only root can have such a
 * port, any other could be anybody's, who would read what is to be encrypted.
 */
const PORT_MAX = 1023
const PORT_MIN = 1000

interface Target {
  nodeId: string
  mac: Buffer
  sender: PeerSender
}

/**
 * Carries what encrypted networks send between nodes: takes VXLAN datagrams of this host's encrypted device, sends them to the relay
 * of the node that they are for, and hands what others send to the device.
 */
export class Relay {
  readonly #link: RelayLink
  readonly #log: Log
  readonly #devicePort: number
  /** By the MAC that the device sends to. */
  #byMac = new Map<string, Target>()
  #byNode = new Map<string, Target>()
  #ownMac: Buffer = Buffer.alloc(0)
  #socket: Socket | null = null
  readonly #waiting = new Set<PeerSender>()
  /** The device has its port. Else whoever has it would get what is for the device, and be taken for it. */
  hasDevice = false
  /** Why it carries nothing; empty otherwise. */
  problem = ''

  constructor(deps: { link: RelayLink; log: Log }, options: { vxlanPort: number }) {
    this.#link = deps.link
    this.#log = deps.log
    this.#devicePort = encryptedPort(options.vxlanPort)
  }

  /** Serves the nodes of a table. Resolves with the port where datagrams are taken, null when the table has no encrypted network or it can't. */
  async set(table: ForwardingTable): Promise<number | null> {
    this.problem = ''
    if (!hasEncrypted(table)) {
      this.close()
      return null
    }
    this.#ownMac = macBytes(table.self.encrypted.mac)
    const targets = table.peers.map(({ nodeId, encrypted }) => {
      const mac = macBytes(encrypted.mac)
      const known = this.#byNode.get(nodeId)
      const sender = known?.sender ?? new PeerSender({ link: this.#link }, { nodeId })
      return { nodeId, mac, sender }
    })
    const before = this.#byNode
    this.#byNode = new Map(targets.map((target) => [target.nodeId, target]))
    this.#byMac = new Map(targets.map((target) => [target.mac.toString('hex'), target]))
    for (const [nodeId, { sender }] of before) if (!this.#byNode.has(nodeId)) sender.close()
    try {
      this.#socket ??= await this.#open()
      return this.#socket.address().port
    } catch (error) {
      this.problem = `encrypted networks reach no other node: ${(error as Error).message}`
      this.#log.error({}, this.problem)
      return null
    }
  }

  /**
   * Hands the device what a peer's relay sends, until that ends. `nodeId` is what its certificate says; a certificate lasts longer than
   * a node, so what comes from one that the table does not have is dropped.
   */
  async accept(nodeId: string, messages: AsyncIterable<unknown>): Promise<void> {
    const reader = new DatagramReader()
    for await (const message of messages) {
      const from = this.#byNode.get(nodeId)
      if (!this.hasDevice || from === undefined || !(message instanceof Uint8Array)) continue
      const { buffer, byteOffset, byteLength } = message
      for (const datagram of reader.read(Buffer.from(buffer, byteOffset, byteLength))) {
        if (!isOurs(datagram)) continue
        stamp(datagram, from.mac, this.#ownMac)
        this.#socket?.send(datagram)
      }
    }
  }

  close(): void {
    for (const { sender } of this.#byNode.values()) sender.close()
    this.#byNode = new Map()
    this.#byMac = new Map()
    this.#waiting.clear()
    this.hasDevice = false
    this.#socket?.close()
    this.#socket = null
  }

  /** Takes from the device and from nobody else: it is the only one that can have the port that the socket is connected to. */
  async #open(): Promise<Socket> {
    const socket = await this.#bound()
    try {
      // Without a callback: one that is given takes the error, which is not to pass for a connection.
      socket.connect(this.#devicePort, '127.0.0.1')
      await once(socket, 'connect')
    } catch (error) {
      socket.close()
      throw error
    }
    // The device is not there (yet): its port refuses.
    socket.on('error', (error) => this.#log.debug({ error: error.message }, 'relay'))
    socket.on('message', (datagram) => this.#onDatagram(datagram))
    return socket
  }

  async #bound(): Promise<Socket> {
    let failure: NodeJS.ErrnoException | undefined
    for (let port = PORT_MAX; port >= PORT_MIN; port -= 1) {
      const socket = createSocket({ type: 'udp4', recvBufferSize: RECEIVE_BUFFER_BYTES })
      try {
        // Who is not root has none of these, and no device either.
        const own = failure?.code === 'EACCES' ? 0 : port
        socket.bind({ port: own, address: RELAY_ADDRESS, exclusive: true })
        await once(socket, 'listening')
        return socket
      } catch (error) {
        socket.close()
        failure = error as NodeJS.ErrnoException
      }
    }
    throw new Error(`no UDP port of ${PORT_MIN} to ${PORT_MAX} is free`, { cause: failure })
  }

  #onDatagram(datagram: Buffer): void {
    if (!this.hasDevice || !isOurs(datagram)) return
    const sender = this.#byMac.get(targetOf(datagram))?.sender
    if (sender === undefined) return
    sender.push(datagram)
    // Datagrams come in bursts: one message for all of a turn.
    if (this.#waiting.size === 0) setImmediate(() => this.#flush())
    this.#waiting.add(sender)
  }

  #flush(): void {
    for (const sender of this.#waiting) sender.flush()
    this.#waiting.clear()
  }
}
