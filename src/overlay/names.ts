import assert from 'node:assert'
import { createHash } from 'node:crypto'
import { OVERLAY_BRIDGE_LABEL, OVERLAY_BRIDGE_PREFIX } from '../api/overlay-bridge.ts'

/**
 * Everything that the overlay calls by name or number in the kernel and in Docker. A host runs one daemon per network
 * namespace, so nothing carries a prefix.
 */

/** The nftables table, in family ip and where a network has IPv6 in ip6 too. */
export const NFT_TABLE = 'swarmctl'
export const VXLAN_DEVICE = 'sw-vx0'
/** One VNI for all overlays: the device routes (L3), networks are told apart by their subnets. */
export const VXLAN_ID = 4242
/** The device of encrypted networks: its datagrams go to the relay in this process, never to another host. */
export const ENCRYPTED_DEVICE = 'sw-vx1'
export const ENCRYPTED_ID = 4243
/**
 * Where the kernel hands the relay the datagrams of encrypted networks. A broadcast address, since VXLAN gives what goes to a local unicast
 * address to another VXLAN device instead of sending it; loopback's broadcasts stay on loopback.
 */
export const RELAY_ADDRESS = '127.255.255.255'
/** Both devices, as nftables says it. */
export const VXLAN_DEVICES = 'sw-vx*'
/** All bridges, as nftables says it. */
export const BRIDGES = 'sw-br*'
/** The same two for iptables. */
export const ANY_VXLAN = 'sw-vx+'
export const ANY_BRIDGE = 'sw-br+'
/** VXLAN's registered UDP port (RFC 7348), Swarm's default too. */
export const VXLAN_PORT = 4789
/** The port of the encrypted device, on loopback only, so that nodes need not agree on it. */
export const encryptedPort = (vxlanPort: number): number => vxlanPort + 1
/** Bytes that VXLAN adds to an IPv4 packet: outer IP 20, UDP 8, VXLAN 8, inner Ethernet 14. */
export const VXLAN_OVERHEAD_BYTES = 50

/** ct mark: the flow is ours. Bits 16–27 of the same mark hold the index of the node that it entered through, plus `ENCRYPTED_RETURN` when it came encrypted. */
export const MARK_OWNED = 0x10000000
export const MARK_NODE_MASK = 0x0fff0000
/** meta mark: what the one rule in DOCKER-USER accepts. */
export const MARK_ACCEPT = 0x40000000

/** Node indexes of the address plan (src/api/overlay-view.ts). */
export const NODE_INDEX_MAX = 254
/** Routing table and rule preference of node N's return path: 900 + N. */
export const RETURN_TABLE_BASE = 900
/** Added to a node's index in marks and return tables: the way back is the encrypted device. */
export const ENCRYPTED_RETURN = 256
/** Rule that lets unmarked packets skip the return rules, and where it jumps to. */
export const RETURN_SKIP_PREF = RETURN_TABLE_BASE
export const RETURN_END_PREF = RETURN_TABLE_BASE + ENCRYPTED_RETURN + NODE_INDEX_MAX + 1
/** `proto` of our routes, so that a resync finds those of an earlier daemon. Unassigned in iproute2's rt_protos. */
export const ROUTE_PROTOCOL = 94

/** Chains that share a round-robin counter: services are hashed onto so many per endpoint count. */
export const ROUND_ROBIN_BUCKETS = 32

export const bridgeName = (networkIndex: number): string => `sw-br${networkIndex}`
export const OUR_BRIDGE = /^sw-br\d+$/
export const dockerNetworkName = (networkIndex: number): string =>
  `${OVERLAY_BRIDGE_PREFIX}${networkIndex}`
/** Label on our Docker networks; its value is the network's id. */
export const NETWORK_LABEL = OVERLAY_BRIDGE_LABEL

/** A node's address on its VXLAN device: next hop of its blocks and source of what the host itself sends. Link-local, so it takes no room in any pool. */
export const vtepAddress = (nodeIndex: number): string => {
  assert(nodeIndex >= 1 && nodeIndex <= NODE_INDEX_MAX)
  return `169.254.77.${nodeIndex}`
}

/** The same on its device of encrypted networks: another one, or what it answers would take the plain way. */
export const encryptedVtepAddress = (nodeIndex: number): string =>
  vtepAddress(nodeIndex).replace('.77.', '.78.')

/** A node's IPv6 address on its VXLAN device: nobody but the others' neighbour entries has to know it. */
export const vtepAddress6 = (nodeIndex: number): string => `fe80::4d:${nodeIndex.toString(16)}`

/** The same on its device of encrypted networks. */
export const encryptedVtepAddress6 = (nodeIndex: number): string =>
  `fe80::4e:${nodeIndex.toString(16)}`

/** The VXLAN device's locally administered MAC, from the node's data path address. */
export const vtepMac = (dataPathAddress: string): string => macOf('02:dd', dataPathAddress)

/** The same for encrypted networks. */
export const encryptedVtepMac = (dataPathAddress: string): string => macOf('02:de', dataPathAddress)

const macOf = (prefix: string, address: string): string => {
  const octets = address.split('.').map(Number)
  assert(octets.length === 4)
  return [prefix, ...octets.map((octet) => octet.toString(16).padStart(2, '0'))].join(':')
}

/** The bucket of a service's round-robin chain. */
export const bucketOf = (key: string): number =>
  (createHash('sha256').update(key).digest()[0] ?? 0) % ROUND_ROBIN_BUCKETS
