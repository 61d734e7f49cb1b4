import type { Socket } from 'node:dgram'

/**
 * Connects a UDP socket. Node passes a failure (no route, bad address) to the callback instead of emitting it, which its types do
 * not tell; here it always arrives.
 */
export const connectDatagram = (
  socket: Socket,
  port: number,
  address: string,
  onDone: (error: Error | null) => void,
): void => {
  const callback = (error?: Error) => onDone(error ?? null)
  socket.connect(port, address, callback as () => void)
}
