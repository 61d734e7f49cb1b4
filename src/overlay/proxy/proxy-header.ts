import { isIPv6 } from 'node:net'
import { parseIpv4 } from '../../api/ipv4.ts'

/** Both ends of a connection as the listener sees them. */
export interface ConnectionEnds {
  remoteAddress: string
  remotePort: number
  localAddress: string
  localPort: number
}

/** The binary header of PROXY protocol version 2 (haproxy's doc/proxy-protocol.txt §2.2). */
const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const VERSION_2_PROXY = 0x21
const TCP_OVER_IPV4 = 0x11
const TCP_OVER_IPV6 = 0x21

/** By which a backend learns the client's address: the first bytes of a connection to it. */
export const proxyHeader = (ends: ConnectionEnds): Buffer => {
  const source = addressBytes(ends.remoteAddress)
  const target = addressBytes(ends.localAddress)
  const body = Buffer.alloc(source.length + target.length + 4)
  body.set(source, 0)
  body.set(target, source.length)
  body.writeUInt16BE(ends.remotePort, source.length + target.length)
  body.writeUInt16BE(ends.localPort, source.length + target.length + 2)
  const family = source.length === 4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6
  const head = Buffer.of(VERSION_2_PROXY, family, body.length >>> 8, body.length & 255)
  return Buffer.concat([SIGNATURE, head, body])
}

/** 4 or 16 bytes. An IPv4 client of a socket for both families is an IPv4 client. */
const addressBytes = (text: string): Buffer => {
  const plain = text.replace(/^::ffff:(?=[\d.]+$)/i, '').replace(/%.*$/, '')
  const bytes = Buffer.alloc(isIPv6(plain) ? 16 : 4)
  if (bytes.length === 4) bytes.writeUInt32BE(parseIpv4(plain) ?? 0)
  else for (const [at, group] of groupsOf(plain).entries()) bytes.writeUInt16BE(group, at * 2)
  return bytes
}

/** The eight groups of an IPv6 address without an IPv4 part. */
const groupsOf = (text: string): number[] => {
  const [left = '', right] = text.split('::')
  const numbers = (part: string) =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16))
  const [first, last] = [numbers(left), numbers(right ?? '')]
  return [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last]
}
