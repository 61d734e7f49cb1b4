/** Pure parsers of what the kernel tells about TCP connections: /proc/<pid>/net/tcp and `ss -tiO`. */

import { formatIpv6 } from '../api/ipv6.ts'

/** One line of /proc/<pid>/net/tcp or tcp6. An IPv4 address that an IPv6 one carries is itself. */
export interface SocketLine {
  localAddr: string
  localPort: number
  remoteAddr: string
  remotePort: number
  state: SocketState
  /** Bytes that were written but not acknowledged yet. */
  sendQueueBytes: number
}

/** `opening`: asked for by a client that has yet to confirm; the kernel lists those as well. */
export type SocketState = 'opening' | 'established' | 'close-wait' | 'closing' | 'listen' | 'other'

/** Kernel numbers of TCP states (include/net/tcp_states.h). */
const STATES: Record<string, SocketState> = {
  '01': 'established',
  '03': 'opening',
  '04': 'closing',
  '08': 'close-wait',
  '09': 'closing',
  '0A': 'listen',
  '0B': 'closing',
}

/** Words of an address are in host order: little endian on every platform that Docker runs on. */
const hexToIpv4 = (word: string): string =>
  [6, 4, 2, 0].map((at) => Number.parseInt(word.slice(at, at + 2), 16)).join('.')

const hexToIpv6 = (text: string): bigint => {
  const words = [0, 8, 16, 24].map((at) => text.slice(at, at + 8))
  const bytes = words.flatMap((word) => [6, 4, 2, 0].map((at) => word.slice(at, at + 2)))
  return BigInt(`0x${bytes.join('')}`)
}

const V4_MAPPED = '0000000000000000FFFF0000'
const ANY_V6 = '0'.repeat(32)
const ANY_V4 = '0.0.0.0'

const address = (text: string): string => {
  if (text.length === 8) return hexToIpv4(text)
  if (text === ANY_V6) return ANY_V4
  return text.startsWith(V4_MAPPED) ? hexToIpv4(text.slice(24)) : formatIpv6(hexToIpv6(text))
}

export const parseProcNetTcp = (text: string): SocketLine[] => {
  const lines: SocketLine[] = []
  for (const line of text.split('\n').slice(1)) {
    const [, local, remote, state, queues] = line.trim().split(/\s+/)
    if (local === undefined || remote === undefined || state === undefined) continue
    const [localAddr = '', localPort = ''] = local.split(':')
    const [remoteAddr = '', remotePort = ''] = remote.split(':')
    lines.push({
      localAddr: address(localAddr),
      localPort: Number.parseInt(localPort, 16),
      remoteAddr: address(remoteAddr),
      remotePort: Number.parseInt(remotePort, 16),
      state: STATES[state] ?? 'other',
      sendQueueBytes: Number.parseInt(queues?.split(':')[0] ?? '0', 16),
    })
  }
  return lines
}

/** A connection's two ends as a key that both sources agree on. */
export const connectionKey = (line: {
  localAddr: string
  localPort: number
  remoteAddr: string
  remotePort: number
}): string => `${line.localAddr}:${line.localPort} ${line.remoteAddr}:${line.remotePort}`

/** Milliseconds since the last data in either direction, by connection key, from `ss -tniHO`. */
export const parseSilence = (text: string): Map<string, number> => {
  const silence = new Map<string, number>()
  const end = (field: string) => field.replace(/^\[(?:::ffff:(?=[\d.]+\]))?([^\]]+)\]/, '$1')
  for (const line of text.split('\n')) {
    const [, , , local, remote] = line.trim().split(/\s+/)
    if (local === undefined || remote === undefined) continue
    if (!/\bcwnd:/.test(line)) continue
    // ss leaves out what is 0, e.g. `lastsnd` right after data was sent.
    const [sentMs, receivedMs] = [/\blastsnd:(\d+)/, /\blastrcv:(\d+)/].map((one) =>
      Number(one.exec(line)?.[1] ?? 0),
    )
    silence.set(`${end(local)} ${end(remote)}`, Math.min(sentMs ?? 0, receivedMs ?? 0))
  }
  return silence
}

/**
 * The connections that clients have to these addresses and that something may still come of: being opened, established, half closed,
 * or closed with data on its way. Connections that the task itself opened do not hold it up: `ports` are those that it listens on.
 */
export const openConnections = (
  lines: readonly SocketLine[],
  addresses: ReadonlySet<string>,
  ports: ReadonlySet<number>,
): SocketLine[] =>
  lines.filter((line) => {
    if (!addresses.has(line.localAddr) || !ports.has(line.localPort)) return false
    if (['opening', 'established', 'close-wait'].includes(line.state)) return true
    return line.state === 'closing' && line.sendQueueBytes > 0
  })

/** Whether a process in the namespace accepts connections to this port from outside. */
export const isListening = (
  lines: readonly SocketLine[],
  addresses: ReadonlySet<string>,
  port: number,
): boolean =>
  lines.some(
    ({ state, localAddr, localPort }) =>
      state === 'listen' &&
      localPort === port &&
      (localAddr === ANY_V4 || addresses.has(localAddr)),
  )
