import { isIPv4, isIPv6 } from 'node:net'
import type { NetworkInterfaceInfo } from 'node:os'
import { invalid } from '../api/errors.ts'
import { formatHostPort, parseHostPort } from '../rpc/address.ts'

/** The machine's network devices, as `networkInterfaces` of node:os gives them. */
export type Interfaces = Record<string, NetworkInterfaceInfo[] | undefined>

/** A device's addresses that others may reach. */
export const ipv4Of = (infos: readonly NetworkInterfaceInfo[] | undefined): string[] =>
  (infos ?? [])
    .filter((info) => info.family === 'IPv4' && !info.internal)
    .map((info) => info.address)

/** The device that has an address; undefined when it is none of this machine's. */
export const deviceOf = (address: string, interfaces: Interfaces): string | undefined =>
  Object.entries(interfaces).find(([, infos]) =>
    infos?.some((info) => info.address === address),
  )?.[0]

/** Devices that containers or we made: never an address for others to reach. */
const isOwnDevice = (name: string): boolean => /^(docker|br-|veth|sw-|virbr|cni|flannel)/.test(name)

const PORT_MAX = 65_535

/** Splits `host:port`; without a port the default. */
export const splitHostPort = (
  addr: string,
  portDefault: number,
): { host: string; port: number } => {
  const match = /^(.*?)(?::(\d+))?$/.exec(addr) as RegExpExecArray
  const port = match[2] ? Number(match[2]) : portDefault
  if (port < 1 || port > PORT_MAX) throw invalid(`invalid address "${addr}": no such port`)
  return { host: match[1] as string, port }
}

/** Whether an address to listen at means all that the machine has. */
export const isUnspecified = (host: string): boolean => /^(0\.0\.0\.0|\[?::\]?)?$/.test(host)

/** Where the machine itself reaches what listens at `listenAddr`, on the port that it got. */
export const ownAddress = (listenAddr: string, port: number): string => {
  const { host } = parseHostPort(listenAddr)
  const loopback = isIPv6(host) ? '::1' : '127.0.0.1'
  return formatHostPort({ host: isUnspecified(host) ? loopback : host, port })
}

/** The host for `--listen-addr`: an address, or an interface's name (moby `resolveListenAddr`). Empty: all addresses. */
export const chooseListenHost = (value: string, interfaces: Interfaces): string => {
  if (isUnspecified(value)) return value || '0.0.0.0'
  if (isIPv4(value) || isIPv6(value.replace(/^\[(.*)\]$/, '$1'))) return value
  const [address] = ipv4Of(interfaces[value])
  if (address) return address
  throw invalid(`invalid --listen-addr "${value}": neither an IP address nor an interface with one`)
}

interface Candidate {
  name: string
  address: string
}

/** The addresses that others may reach this machine at; link-local ones (RFC 3927) only where there are no others, as with moby. */
export const systemAddresses = (interfaces: Interfaces): Candidate[] => {
  const all = Object.entries(interfaces)
    .filter(([name]) => !isOwnDevice(name))
    .flatMap(([name, infos]) => ipv4Of(infos).map((address) => ({ name, address })))
  const routed = all.filter(({ address }) => !address.startsWith('169.254.'))
  return routed.length > 0 ? routed : all
}

/**
 * The IPv4 address for `--advertise-addr`, `--data-path-addr`: an address, or an interface's name; empty picks the only one that the
 * machine has. Throws when there is a choice to make.
 */
export const chooseAddress = (flag: string, value: string, interfaces: Interfaces): string => {
  if (value !== '') {
    if (isUnspecified(value)) {
      throw invalid(`invalid ${flag} "${value}": it has to be one address that others can reach`)
    }
    if (isIPv4(value)) return value
    const [address] = ipv4Of(interfaces[value])
    if (address) return address
    throw invalid(`invalid ${flag} "${value}": neither an IPv4 address nor an interface with one`)
  }
  const candidates = systemAddresses(interfaces)
  const [only] = candidates
  if (only && candidates.length === 1) return only.address
  if (!only) return '127.0.0.1'
  throw invalid(
    `could not choose an IP address to advertise since this system has several (${candidates
      .map(({ name, address }) => `${address} on ${name}`)
      .join(', ')}): specify one with ${flag}`,
  )
}

/**
 * The IPv4 address that traffic between containers leaves from: it has to be this machine's own. Without a wish it is the advertised
 * one, unless that is a router's.
 */
export const chooseDataPathAddress = (
  value: string,
  advertised: string,
  interfaces: Interfaces,
): string => {
  const isLocal = (address: string): boolean => deviceOf(address, interfaces) !== undefined
  if (value === '') {
    return isLocal(advertised) ? advertised : chooseAddress('--data-path-addr', '', interfaces)
  }
  const address = chooseAddress('--data-path-addr', value, interfaces)
  if (isLocal(address)) return address
  throw invalid(`invalid --data-path-addr "${value}": this machine does not have that address`)
}
