import { isIP } from 'node:net'
import { badFlag } from './key-values.ts'

/** Says where the host itself is, in the place of an address. */
const HOST_GATEWAY = 'host-gateway'

/** `db:10.0.0.5` or `db=10.0.0.5` as the `/etc/hosts` order that the API wants. */
export const hostEntry = (value: string, flag: string): string => {
  const at = value.search(/[:=]/)
  if (at <= 0) throw badFlag(flag, value, 'expected host:ip')
  const address = value
    .slice(at + 1)
    .trim()
    .replace(/^\[(.*)\]$/, '$1')
  if (address !== HOST_GATEWAY && isIP(address) === 0) {
    throw badFlag(flag, value, `"${address}" is no IP address`)
  }
  return `${address} ${value.slice(0, at)}`
}

/** The lines of `/etc/hosts` without a host, or without a host at one address: `db` or `db:10.0.0.5`. Other names of a line stay. */
export const withoutHost = (entries: readonly string[], key: string): string[] => {
  const at = key.indexOf(':')
  const host = at < 0 ? key : key.slice(0, at)
  const ip = at < 0 ? '' : key.slice(at + 1)
  return entries.flatMap((entry) => {
    const [address = '', ...names] = entry.split(/\s+/)
    const isMeant = names.includes(host) && (ip === '' || ip === address)
    if (!isMeant) return [entry]
    const others = names.filter((name) => name !== host)
    return others.length === 0 ? [] : [[address, ...others].join(' ')]
  })
}

/** `--dns`: what is no address would stop every container of the service. */
export const nameServer = (value: string, flag: string): string => {
  const address = value.trim()
  if (isIP(address) === 0 || address.includes('%')) {
    throw badFlag(flag, value, 'expected an IP address')
  }
  return address
}

const LABEL = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?'
const DOMAIN = new RegExp(`^(${LABEL}(?:\\.${LABEL})*)\\.?$`)
const DOMAIN_LENGTH_MAX = 254

/** `--dns-search`: a domain, or `.` for none. */
export const searchDomain = (value: string, flag: string): string => {
  const text = value.trim()
  if (text === '.') return text
  const domain = DOMAIN.exec(text)?.[1]
  if (domain === undefined || domain.length > DOMAIN_LENGTH_MAX || !/[a-zA-Z]/.test(domain)) {
    throw badFlag(flag, value, 'expected a domain')
  }
  return domain
}
