/** Rules in the network namespace of a container: its questions for names go to our server, and our server reaches the Engine's resolver. */

import { parseProcNetTcp } from './socket-table.ts'

/** Where the Engine's resolver is asked in every container (libnetwork `resolverIPSandbox`); it listens on ports that the kernel chose. */
const ENGINE_RESOLVER = '127.0.0.11'

/** The ports on which the Engine's resolver listens. */
export interface ResolverPorts {
  udp: number
  tcp: number
}

/** The exit code of `JOIN_SCRIPT` in a namespace without the container's address. */
export const NOT_THERE = 3

/** Table, the kernel's chain and ours that it goes through first. */
const JUMPS = [
  'nat OUTPUT SWARMCTL-ASK',
  'nat POSTROUTING SWARMCTL-WAY',
  'nat PREROUTING SWARMCTL-BACK',
  'filter INPUT SWARMCTL-GUARD',
] as const

/** The container's device on the overlay; `$1` is its address there. */
const DEVICE = `device=$(ip -o -4 addr show to "$1" | sed -n 's/^[0-9]*: *\\([^ ]*\\).*/\\1/p;q')`

/** Whether packets of the device may be for loopback addresses, or from them; on only while the rules guard those. */
const setLocalnet = (value: 0 | 1): string =>
  `echo ${value} > "/proc/sys/net/ipv4/conf/$device/route_localnet"`

const forEachJump = (body: string): string =>
  `for jump in ${JUMPS.map((jump) => `'${jump}'`).join(' ')}; do set -- $jump; ${body}; done`

/** For `sh -e`, with the address as `$1` and `resolverRules` as input. Again is the same as once. */
export const JOIN_SCRIPT = [
  DEVICE,
  `[ -n "$device" ] || exit ${NOT_THERE}`,
  'iptables-restore -w --noflush',
  forEachJump('iptables -w -t $1 -C $2 -j $3 2>/dev/null || iptables -w -t $1 -I $2 -j $3'),
  setLocalnet(1),
].join('\n')

/** Takes away what `JOIN_SCRIPT` did; for `sh`, with the address. Does no harm in any other namespace. */
export const PART_SCRIPT = [
  DEVICE,
  `[ -z "$device" ] || ${setLocalnet(0)}`,
  forEachJump('iptables -w -t $1 -D $2 -j $3; iptables -w -t $1 -F $3; iptables -w -t $1 -X $3'),
].join('\n')

/** The rules as `iptables-restore --noflush` text. Pure. */
export const resolverRules = (
  { address, gateway }: { address: string; gateway: string },
  ports: ResolverPorts,
): string => {
  const protocols = ['udp', 'tcp'] as const
  return [
    '*nat',
    ':SWARMCTL-ASK - [0:0]',
    ...protocols.map(
      (protocol) =>
        `-A SWARMCTL-ASK -d ${ENGINE_RESOLVER} -p ${protocol} --dport 53 -j DNAT --to-destination ${gateway}`,
    ),
    // They came from loopback.
    ':SWARMCTL-WAY - [0:0]',
    `-A SWARMCTL-WAY -d ${gateway} -m conntrack --ctstate DNAT -j MASQUERADE`,
    // The port is the resolver's own, so that a DNS server of the container's keeps port 53.
    ':SWARMCTL-BACK - [0:0]',
    ...protocols.map(
      (protocol) =>
        `-A SWARMCTL-BACK -s ${gateway} -d ${address} -p ${protocol} --dport ${ports[protocol]} -j DNAT --to-destination ${ENGINE_RESOLVER}`,
    ),
    'COMMIT',
    // With `route_localnet` neighbours could send to what listens on loopback (CVE-2020-8558).
    '*filter',
    ':SWARMCTL-GUARD - [0:0]',
    '-A SWARMCTL-GUARD ! -i lo -d 127.0.0.0/8 -m conntrack ! --ctstate DNAT -j DROP',
    'COMMIT',
    '',
  ].join('\n')
}

/** From /proc/<pid>/net/udp and tcp; undefined where the Engine has no resolver. Pure. */
export const resolverPorts = (udp: string, tcp: string): ResolverPorts | undefined => {
  // A UDP line has the same fields.
  const portIn = (text: string, isOpen: (state: string) => boolean) =>
    parseProcNetTcp(text).find(
      ({ localAddr, remotePort, state }) =>
        localAddr === ENGINE_RESOLVER && remotePort === 0 && isOpen(state),
    )?.localPort
  const ports = { udp: portIn(udp, () => true), tcp: portIn(tcp, (state) => state === 'listen') }
  return ports.udp === undefined || ports.tcp === undefined
    ? undefined
    : { udp: ports.udp, tcp: ports.tcp }
}
