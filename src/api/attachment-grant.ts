import type { AttachmentRecord, Resolver } from './attachment-record.ts'

/** What somebody asks for who puts a container, which is no task, on a network of the cluster's. */
export interface AttachmentWish {
  /** Absent while it is still to be created. */
  container?: { id: string; name: string }
  /** Id, name or beginning of the id. */
  network: string
  /** Empty: any. */
  address: string
  aliases: readonly string[]
  /** Of a container that is to be created. */
  resolver?: Resolver
}

/** A container's place on the bridge of an overlay. */
export interface AttachedEndpoint {
  /** The bridge's name in the Engine. */
  dockerNetwork: string
  /** Static, without mask: what the container is connected with. */
  address: string
  /** In a network with IPv6: the twin of the address. */
  ipv6Address?: string
  record: AttachmentRecord
}

/** What a container is to be created or connected with. */
export interface GrantedAttachment {
  taskId: string
  endpoint: AttachedEndpoint
  /** The overlay's own server, then what was asked for. */
  dns: string[]
  dnsSearch: string[]
}
