/** Datagrams that should not arrive: with another one's address, or wrapped as the overlay wraps them between nodes. */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseIpv4 } from '../../../src/api/ipv4.ts'
import { VXLAN_ID, VXLAN_PORT, vtepMac } from '../../../src/overlay/names.ts'
import type { LabHost } from '../lab/host.ts'

/** Discard (RFC 863): nobody listens there, so that the kernel counts what arrives. */
const CLOSED_PORT = 9
/** By then a datagram has come, or it never does. */
const ARRIVAL_MS = 300
const SEND = `use Socket qw(:all); ($from, $to, $port, $hex) = @ARGV; $v6 = $to =~ /:/;
sub at { my ($p, $a) = @_; $v6 ? pack_sockaddr_in6($p, inet_pton(AF_INET6, $a)) : pack_sockaddr_in($p, inet_aton($a)) }
socket(S, $v6 ? PF_INET6 : PF_INET, SOCK_DGRAM, 17) && bind(S, at(0, $from)) && send(S, pack("H*", $hex), 0, at($port, $to)) or die $!`

/** A container's network, as its host gets at it. */
export interface Place {
  host: LabHost
  pid: number
}

export interface Datagram {
  from: string
  to: string
  port?: number
  payload?: Buffer
}

const sendArgs = ({ from, to, port = CLOSED_PORT, payload = Buffer.from('x') }: Datagram) => [
  ...['perl', '-e', SEND],
  ...[from, to, String(port), payload.toString('hex')],
]

const within = async ({ host, pid }: Place, ...command: string[]): Promise<string> =>
  (await host.exec('nsenter', ['-t', String(pid), '-n', ...command])).stdout

/** From a container's network, which has the sender's address meanwhile. */
export const sendFrom = async (place: Place, datagram: Datagram): Promise<void> => {
  const address = [datagram.from, 'dev', 'lo']
  await within(place, 'ip', 'address', 'add', ...address, 'nodad')
  await within(place, ...sendArgs(datagram))
  await within(place, 'ip', 'address', 'delete', ...address)
}

export const sendFromHost = async (host: LabHost, datagram: Datagram): Promise<void> => {
  const [program = '', ...args] = sendArgs(datagram)
  await host.exec(program, args)
}

/** How many datagrams of both families have come to a container for which nobody listened. */
const refusedDatagrams = async (place: Place): Promise<number> => {
  const [names = [], values = []] = (await within(place, 'cat', '/proc/net/snmp'))
    .split('\n')
    .filter((line) => line.startsWith('Udp:'))
    .map((line) => line.split(' '))
  const ipv6 = /^Udp6NoPorts\s+(\d+)$/m.exec(await within(place, 'cat', '/proc/net/snmp6'))
  return Number(values[names.indexOf('NoPorts')]) + Number(ipv6?.[1] ?? 0)
}

/** Whether a datagram that is sent comes to a container. */
export const arrives = async (at: Place, send: () => Promise<void>): Promise<boolean> => {
  const before = await refusedDatagrams(at)
  await send()
  await sleep(ARRIVAL_MS)
  return (await refusedDatagrams(at)) > before
}

/** A datagram from address to address as the node `from.node` would hand it to the node `to.node` (RFC 7348). */
export const vxlanDatagram = (
  from: { node: LabHost; addr: string },
  to: { node: LabHost; addr: string },
): Datagram => {
  const vxlan = Buffer.alloc(8)
  vxlan.writeUInt8(0x08, 0)
  vxlan.writeUInt32BE(VXLAN_ID << 8, 4)
  const macs = [to, from].map(({ node }) => vtepMac(node.ip).replaceAll(':', ''))
  const ethernet = Buffer.from(`${macs.join('')}0800`, 'hex')
  const udp = Buffer.alloc(9)
  udp.writeUInt16BE(CLOSED_PORT, 0)
  udp.writeUInt16BE(CLOSED_PORT, 2)
  udp.writeUInt16BE(udp.length, 4)
  const payload = Buffer.concat([vxlan, ethernet, ipv4Header(from.addr, to.addr, udp.length), udp])
  return { from: from.node.ip, to: to.node.ip, port: VXLAN_PORT, payload }
}

const IP_HEADER_BYTES = 20

const ipv4Header = (from: string, to: string, payloadBytes: number): Buffer => {
  const header = Buffer.alloc(IP_HEADER_BYTES)
  header.writeUInt8(0x45, 0)
  header.writeUInt16BE(IP_HEADER_BYTES + payloadBytes, 2)
  header.writeUInt8(64, 8)
  header.writeUInt8(17, 9)
  header.writeUInt32BE(parseIpv4(from) as number, 12)
  header.writeUInt32BE(parseIpv4(to) as number, 16)
  let sum = 0
  for (let at = 0; at < IP_HEADER_BYTES; at += 2) sum += header.readUInt16BE(at)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  header.writeUInt16BE(~sum & 0xffff, 10)
  return header
}
