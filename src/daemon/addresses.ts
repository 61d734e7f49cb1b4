import type { NetworkInterfaceInfo } from 'node:os'
import { invalid } from '../api/errors.ts'

type Interfaces = Record<string, NetworkInterfaceInfo[] | undefined>

const ipv4Of = (infos: readonly NetworkInterfaceInfo[] | undefined): string[] =>
  (infos ?? [])
    .filter((info) => info.family === 'IPv4' && !info.internal)
    .map((info) => info.address)

/** Devices that containers or we made: never an address for others to reach. */
const isOwnDevice = (name: string): boolean => /^(docker|br-|veth|sw-|virbr|cni|flannel)/.test(name)

/** Splits `host:port`; without a port the default. */
export const splitHostPort = (
  addr: string,
  portDefault: number,
): { host: string; port: number } => {
  const match = /^(.*?)(?::(\d+))?$/.exec(addr) as RegExpExecArray
  return { host: match[1] as string, port: match[2] ? Number(match[2]) : portDefault }
}

/**
 * The IPv4 address for `--advertise-addr`, `--data-path-addr`: an address, or an interface's name; empty picks the only one that the
 * machine has. Throws when there is a choice to make.
 */
export const chooseAddress = (flag: string, value: string, interfaces: Interfaces): string => {
  if (value !== '') {
    if (/^\d+\.\d+\.\d+\.\d+$/.test(value)) return value
    const [address] = ipv4Of(interfaces[value])
    if (address) return address
    throw invalid(`invalid ${flag} "${value}": neither an IPv4 address nor an interface with one`)
  }
  const candidates = Object.entries(interfaces)
    .filter(([name]) => !isOwnDevice(name))
    .flatMap(([name, infos]) => ipv4Of(infos).map((address) => ({ name, address })))
  const [only] = candidates
  if (only && candidates.length === 1) return only.address
  if (!only) return '127.0.0.1'
  throw invalid(
    `could not choose an IP address to advertise since this system has several (${candidates
      .map(({ name, address }) => `${address} on ${name}`)
      .join(', ')}): specify one with ${flag}`,
  )
}

/** IPv4 networks that the host is on: overlay subnets keep off them. */
export const hostSubnets = (interfaces: Interfaces): string[] =>
  Object.entries(interfaces)
    .filter(([name]) => !name.startsWith('sw-'))
    .flatMap(([, infos]) => infos ?? [])
    .filter((info) => info.family === 'IPv4' && !info.internal && info.cidr !== null)
    .map((info) => info.cidr as string)
