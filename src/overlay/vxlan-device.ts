import { ENCRYPTED_DEVICE, ENCRYPTED_ID, VXLAN_DEVICE, VXLAN_ID } from './names.ts'

/** A device as `ip -j -d addr` tells it. */
export interface LinkJson {
  ifname: string
  mtu: number
  address: string
  linkinfo?: { info_data?: { id?: number; local?: string; port?: number } }
  addr_info?: { local: string; prefixlen: number }[]
}

/** One of this node's VXLAN devices as it is to be. */
export interface VxlanDevice {
  name: string
  id: number
  /** Outer source address. */
  local: string
  /** UDP port that it listens on. */
  port: number
  mac: string
  mtu: number
  /** The node's address on it. */
  address: string
  /** What else `ip link add` and `ip link set` are told. */
  add: string
  set: string
}

interface Shape {
  mac: string
  mtu: number
  address: string
  port: number
}

/** The device between hosts. */
export const plainDevice = (shape: Shape, dataPathAddr: string): VxlanDevice => ({
  ...shape,
  name: VXLAN_DEVICE,
  id: VXLAN_ID,
  local: dataPathAddr,
  add: 'nolearning',
  set: '',
})

/**
 * The device of encrypted networks. All that it sends goes to the relay, from its own port: no other process can have that, so the relay
 * knows who sends. What cards do for others, nobody does on the way through the relay: packets are cut to the MTU before
 * (`gso_max_segs`), and unfinished checksums are told to the other end (`remcsum`), since TLS vouches for the bytes.
 */
export const encryptedDevice = (shape: Shape): VxlanDevice => ({
  ...shape,
  name: ENCRYPTED_DEVICE,
  id: ENCRYPTED_ID,
  local: '127.0.0.1',
  add: `srcport ${shape.port} ${shape.port + 1} nolearning noudpcsum remcsumtx remcsumrx`,
  set: 'gso_max_segs 1',
})

/** Whether what exists only has to be set, not made anew. */
export const isSameDevice = (device: VxlanDevice, current: LinkJson | undefined): boolean => {
  const info = current?.linkinfo?.info_data
  return info?.id === device.id && info.local === device.local && info.port === device.port
}

/** Lines of `ip -batch` that make the device as it is to be. Pure. */
export const deviceLines = (device: VxlanDevice, current: LinkJson | undefined): string[] => {
  const { name, id, local, port, mac, mtu, address } = device
  const isSame = isSameDevice(device, current)
  return [
    ...(current !== undefined && !isSame ? [`link del ${name}`] : []),
    ...(isSame
      ? []
      : [`link add ${name} type vxlan id ${id} local ${local} dstport ${port} ${device.add}`]),
    `link set ${name} address ${mac} mtu ${mtu} ${device.set} up`.replace('  ', ' '),
    ...(current?.addr_info ?? [])
      .filter((one) => isSame && one.local !== address && !one.local.includes(':'))
      .map((one) => `addr del ${one.local}/${one.prefixlen} dev ${name}`),
    `addr replace ${address}/32 dev ${name}`,
  ]
}
