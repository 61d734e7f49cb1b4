import { isIP } from 'node:net'
import { compareText } from '../present.ts'

/** One published port of the short form. */
export interface PortMapping {
  protocol: string
  target: number
  /** 0: the cluster chooses one. */
  published: number
  /** The host address of the short form, `''` when none; a cluster publishes on every address. */
  hostIp: string
}

/**
 * The short form `[[host-ip:]published:]target[/protocol]`, each port a number or a range. Thrown: an Error that says what is wrong.
 * Sorted as the docker CLI does: by target and protocol, as text.
 */
export const parsePortSpec = (text: string): PortMapping[] => {
  const parts = text.split(':')
  const [targetText = '', publishedText = ''] = [parts.at(-1), parts.at(-2)]
  const hostIp = hostAddress(parts.slice(0, -2).join(':'))
  const [targetRange = '', protocolText] = targetText.split('/')
  const protocol = (protocolText || 'tcp').toLowerCase()
  if (targetRange === '') throw new Error(`invalid port "${text}": no container port`)
  if (!['tcp', 'udp', 'sctp'].includes(protocol)) {
    throw new Error(`invalid port "${text}": protocol must be tcp, udp or sctp`)
  }
  const targets = portRange(targetRange, text)
  const published = publishedText === '' ? [] : portRange(publishedText, text)
  if (targets.length > 1 && published.length > 0 && published.length !== targets.length) {
    throw new Error(
      `invalid port "${text}": ranges ${publishedText} and ${targetRange} differ in length`,
    )
  }
  const mappings = targets.flatMap((target, index) => {
    const own = targets.length === 1 ? published : published.slice(index, index + 1)
    return (own.length === 0 ? [0] : own).map((one) => ({
      protocol,
      target,
      published: one,
      hostIp,
    }))
  })
  return mappings.sort((a, b) => compareText(String(a.target), String(b.target)))
}

/** What of `80/tcp/udp` is not looked at, as by the docker CLI: everything after the first protocol. */
export const ignoredProtocols = (text: string): string[] => text.split('/').slice(2)

const hostAddress = (text: string): string => {
  const address = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text
  if (address !== '' && isIP(address) === 0) throw new Error(`invalid IP address: ${text}`)
  return address
}

const PORT_MAX = 65_535

/** `8080` or `8080-8090`, as all of its numbers. Thrown: an Error. */
export const parsePortRange = (range: string): number[] => portRange(range, range)

const portRange = (range: string, spec: string): number[] => {
  const [first, last, ...more] = range.split('-').map((text) => {
    if (!/^[0-9]+$/.test(text) || Number(text) > PORT_MAX) {
      throw new Error(`invalid port "${spec}": ${text || 'an empty text'} is no port number`)
    }
    return Number(text)
  })
  if (first === undefined || more.length > 0 || (last !== undefined && last < first)) {
    throw new Error(`invalid port "${spec}": invalid range ${range}`)
  }
  return Array.from({ length: (last ?? first) - first + 1 }, (_, index) => first + index)
}
