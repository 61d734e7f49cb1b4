/** Every name, address and path that a lab takes on the machine, as functions of its slot. */
import { join } from 'node:path'

/** A lab's number on this machine; taken by a file that only one process can create. */
export type Slot = number

export const SLOTS_MAX = 200
export const HOSTS_MAX = 40
export const CLIENTS_MAX = 10

/** Reserved for benchmarks (RFC 2544): neither Docker's nor Swarm's default pools reach into it. */
const SUBNET_PREFIX = '198.18'
const CLIENT_ADDRESS_FIRST = 101
const GATEWAY_ADDRESS = 254

/** Short, since a Unix socket's path has 107 characters. */
export const LABS_ROOT = '/tmp'

/** The file that owns a slot: the creator's identity as JSON. */
export function ownerFile(slot: Slot): string {
  return join(LABS_ROOT, `swl-${slot}.owner`)
}

export function labDir(slot: Slot): string {
  return join(LABS_ROOT, `swl-${slot}`)
}

/** At most 15 characters, as every interface name here. */
export function bridgeName(slot: Slot): string {
  return `swl${slot}`
}

/** The namespace of host or client `label`, and the name of its link's end at the bridge. */
export function linkName(slot: Slot, label: string): string {
  return `swl${slot}${label}`
}

/** Recognises {@link linkName}s of one slot, whatever the label. */
export function isLinkOf(slot: Slot, name: string): boolean {
  return new RegExp(`^swl${slot}[a-z]`).test(name)
}

export function hostAddress(slot: Slot, index: number): string {
  return `${SUBNET_PREFIX}.${slot}.${index}`
}

export function clientAddress(slot: Slot, index: number): string {
  return `${SUBNET_PREFIX}.${slot}.${CLIENT_ADDRESS_FIRST - 1 + index}`
}

/** From the address, so that a machine has the same after a reboot and nobody's neighbour table is wrong. */
export function macAddress(ip: string): string {
  const bytes = ip.split('.').map((part) => Number(part).toString(16).padStart(2, '0'))
  return ['02', '77', ...bytes].join(':')
}

/** The machine's own address on the lab's bridge, from which a test's process reaches the hosts. */
export function machineAddress(slot: Slot): string {
  return `${SUBNET_PREFIX}.${slot}.${GATEWAY_ADDRESS}`
}

export function cgroupParent(slot: Slot, label: string): string {
  return `/swl${slot}${label}`
}
