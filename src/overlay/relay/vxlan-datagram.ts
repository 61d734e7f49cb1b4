import { ENCRYPTED_ID } from '../names.ts'

/** A datagram of the encrypted device: VXLAN header (RFC 7348 §5), then an Ethernet frame. */
const VXLAN_BYTES = 8
const HAS_VNI = 0x08
const VNI_OFFSET = 4
const MAC_BYTES = 6
const TO_OFFSET = VXLAN_BYTES
const FROM_OFFSET = TO_OFFSET + MAC_BYTES
const TYPE_OFFSET = FROM_OFFSET + MAC_BYTES
const HEADERS_BYTES = TYPE_OFFSET + 2
/** Neighbours are static: whatever is not IP (ARP, discovery protocols) has no place between nodes. */
const IP_TYPES: readonly number[] = [0x0800, 0x86dd]

/** A node's MAC as its bytes. */
export const macBytes = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex')

/** Whether it is one that the device of encrypted networks sends to another node. */
export const isOurs = (datagram: Buffer): boolean =>
  datagram.length > HEADERS_BYTES &&
  (datagram[0]! & HAS_VNI) !== 0 &&
  datagram.readUIntBE(VNI_OFFSET, 3) === ENCRYPTED_ID &&
  IP_TYPES.includes(datagram.readUInt16BE(TYPE_OFFSET))

/** The MAC that it is for, as a key. */
export const targetOf = (datagram: Buffer): string =>
  datagram.toString('hex', TO_OFFSET, FROM_OFFSET)

/** Says in the frame who sent it, as the peer's certificate has it, and that it is for this node: whatever it said before. */
export const stamp = (datagram: Buffer, from: Buffer, to: Buffer): void => {
  datagram.set(to, TO_OFFSET)
  datagram.set(from, FROM_OFFSET)
}
