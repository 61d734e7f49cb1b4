import type { PortConfig } from './service-spec.ts'

/** Host addresses that mean all of them. `0.0.0.0` counts as all as well, though IPv6 would be left. */
const ALL = new Set(['', '0.0.0.0', '::'])

/** The one address of its node at which a host-mode port is open, in its usual spelling; empty: all. */
export const hostAddressOf = ({ PublishMode, Swarmctl }: PortConfig): string => {
  const address = PublishMode === 'host' ? (Swarmctl?.HostIP ?? '') : ''
  const usual = address.includes(':') ? usualIpv6(address) : address
  return ALL.has(usual) ? '' : usual
}

/** Whether a port at one address of a host takes it from one at another. */
export const isSameHostAddress = (a: string, b: string): boolean => a === '' || b === '' || a === b

/** What is checked to be an address is one to URLs, which know one spelling of each. */
const usualIpv6 = (address: string): string => new URL(`http://[${address}]`).hostname.slice(1, -1)
