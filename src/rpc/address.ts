import { isIPv6 } from 'node:net'
import { invalid } from '../api/errors.ts'

/** The default cluster port, Docker's. */
export const CLUSTER_PORT_DEFAULT = 2377

const ADDRESS = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/

/** An address taken apart; `host` has no brackets. */
export interface HostPort {
  host: string
  port: number
}

/** Reads `host:port`, `[v6]:port`, or a host alone with the default port. Throws INVALID_ARGUMENT. */
export const parseHostPort = (address: string, defaultPort = CLUSTER_PORT_DEFAULT): HostPort => {
  const match = ADDRESS.exec(address)
  if (!match) {
    if (address !== '' && (isIPv6(address) || !/[:[\]]/.test(address))) {
      return { host: address, port: defaultPort }
    }
    throw invalid(`invalid address ${address}: it reads HOST:PORT`)
  }
  const port = Number(match[3])
  if (port > 65_535) throw invalid(`invalid address ${address}: the port is above 65535`)
  return { host: match[1] ?? match[2] ?? '', port }
}

/** `host:port`, with brackets around IPv6. */
export const formatHostPort = ({ host, port }: HostPort): string =>
  isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`

/** An IPv4 peer of a dual-stack listener as plain IPv4. */
export const plainIp = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/, '')
