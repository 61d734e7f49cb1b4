/**
 * Which of the networks that a node says its host is on overlay subnets keep off. Nodes report no others; managers heed no others either,
 * since what one node says must not take the addresses of everybody's networks.
 */

/** Wider routes say where traffic leaves (a VPN's 0.0.0.0/1), not which network a host is on; of private ones the widest is a /8 (RFC 1918). */
const PREFIX_MIN = 8

/** Of one node and family: twice what an Engine makes bridges from by itself (libnetwork's 15 /16s and 16 /20s). */
export const HOST_SUBNETS_MAX = 64

/** Of either family. */
export const isHostSubnet = ({ prefix }: { prefix: number }): boolean => prefix >= PREFIX_MIN
