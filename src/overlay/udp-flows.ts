import type { NftTable } from './nft-model.ts'

/** Which UDP flows of conntrack are not to go on, of those that were led to an address of a container. */
export interface FlowFilter {
  /** The container's address, from which answers come. */
  from: string
  /** Only those to this published port that went to `target`; absent: all to the address. */
  published?: { port: string; target: string }
}

/** `port . slot` → `address . port` of the map as `port address target`. */
const publishedTargets = (table: NftTable): Set<string> =>
  new Set(
    [...(table.maps.udp_ep ?? [])].map(([key, value]) => {
      const [addr = '', , target = ''] = value.split(' ')
      return `${key.split(' ')[0]} ${addr} ${target}`
    }),
  )

const addressesOf = (table: NftTable, published: ReadonlySet<string>): Set<string> =>
  new Set([
    ...(table.maps.vip_ep?.values() ?? []),
    ...[...published].map((target) => target.split(' ')[1] ?? ''),
  ])

/**
 * UDP "connections" last as long as someone sends, whatever the rules say by then. What ends between two tables: an address that left
 * rotation, and a published port that leads to another service or another port of the same tasks. Pure.
 */
export const endedFlows = (before: NftTable, after: NftTable): FlowFilter[] => {
  const [published, stillPublished] = [publishedTargets(before), publishedTargets(after)]
  const still = addressesOf(after, stillPublished)
  const gone = [...addressesOf(before, published)].filter((addr) => !still.has(addr))
  const moved = [...published].flatMap((one) => {
    const [port = '', from = '', target = ''] = one.split(' ')
    return stillPublished.has(one) || !still.has(from)
      ? []
      : [{ from, published: { port, target } }]
  })
  return [...gone.map((from) => ({ from })), ...moved]
}

/** Arguments of `conntrack` that remove them. */
export const removalArgs = ({ from, published }: FlowFilter, isIpv6: boolean): string[] => [
  ...['-D', ...(isIpv6 ? ['-f', 'ipv6'] : []), '-p', 'udp'],
  ...(published === undefined ? [] : ['--orig-port-dst', published.port]),
  ...['-r', from],
  ...(published === undefined ? [] : ['--reply-port-src', published.target]),
]

/** The addresses that answers of the listed flows come from (`conntrack -L`): each line has the way there, then the way back. */
export const answeringAddresses = (listing: string): Set<string> =>
  new Set([...listing.matchAll(/^.*? src=\S+ .*? src=(\S+) /gm)].map((match) => match[1] ?? ''))
