import { z } from 'zod'
import type { Meta } from './meta.ts'
import type { GenericResource } from './service-spec.ts'

export const NodeSpec = z.object({
  Name: z.string().optional(),
  Labels: z.record(z.string(), z.string()).default({}),
  Role: z.enum(['worker', 'manager']),
  Availability: z.enum(['active', 'pause', 'drain']),
})
export type NodeSpec = z.infer<typeof NodeSpec>

/** How a node balances services: the kernel's nftables, or the embedded proxy. */
export type DataPlaneKind = 'kernel' | 'proxy'

/** What a node tells of itself when its agent registers. */
export interface NodeDescription {
  Hostname: string
  Platform: { Architecture: string; OS: string }
  Resources: {
    NanoCPUs: number
    MemoryBytes: number
    /** `node-generic-resources` of its Engine's configuration. */
    GenericResources?: GenericResource[]
  }
  Engine: {
    EngineVersion: string
    Labels: Record<string, string>
    Plugins: { Type: string; Name: string }[]
  }
  TLSInfo?: { TrustRoot: string; CertIssuerSubject: string; CertIssuerPublicKey: string }
  Swarmctl: {
    /** The daemon's own version. */
    Version: string
    DataPlane: DataPlaneKind
    /** Address that peers send VXLAN to. */
    DataPathAddr: string
    /** Empty when the Engine answers; else one line for `node ls`. */
    EngineError: string
    /** Why the node fell back to the proxy, empty otherwise. */
    DataPlaneNote: string
    /** Its tasks have IPv6 addresses where their networks do. Absent: the host can't, or the daemon is too old. */
    IPv6?: boolean
    /** IPv4 networks (CIDR) that this host already routes: overlay subnets must not overlap them. */
    HostSubnets: string[]
    /** The same of IPv6. Absent: the daemon is too old to say. */
    HostSubnets6?: string[]
  }
}

export type NodeState = 'unknown' | 'down' | 'ready' | 'disconnected'

export interface Node extends Meta {
  Spec: NodeSpec
  Description: NodeDescription
  Status: { State: NodeState; Message?: string; Addr: string }
  /** Present on managers. */
  ManagerStatus?: {
    Leader?: boolean
    Reachability: 'unknown' | 'unreachable' | 'reachable'
    Addr: string
  }
  Swarmctl: {
    /** 1–254: the node's number in block address plans, fwmarks and routing tables. Unique among present nodes. */
    Index: number
    /** The role that the node's certificate carries now; `Spec.Role` is the wanted one. */
    ObservedRole: 'worker' | 'manager'
    /** host:port of the node's cluster port. */
    Addr: string
    /** Version of the last change of `Spec` by a user: what an update is checked against. Absent: never changed. */
    SpecVersion?: number
  }
}
