import { createSocket } from 'node:dgram'
import { connectDatagram } from '../overlay/connect-datagram.ts'
import { parseHostPort } from '../rpc/address.ts'

/**
 * The IPv4 address that this machine's traffic to host:port leaves from, as the kernel's routes say; undefined without a route or a
 * known host. Nothing is sent: connecting a UDP socket only chooses the address.
 */
export const addressTowards = async (addr: string): Promise<string | undefined> => {
  const socket = createSocket('udp4')
  try {
    const { host, port } = parseHostPort(addr)
    return await new Promise<string | undefined>((resolve) => {
      socket.on('error', () => resolve(undefined))
      connectDatagram(socket, port, host, (error) =>
        resolve(error ? undefined : socket.address().address),
      )
    })
  } catch {
    // Joining says what is wrong with the address.
    return undefined
  } finally {
    socket.close()
  }
}
