import { z } from 'zod'
import type { Meta } from './meta.ts'

/** Body of `POST /networks/create`. */
export const NetworkCreate = z.object({
  Name: z.string(),
  CheckDuplicate: z.boolean().optional(),
  Driver: z.string().default('bridge'),
  Scope: z.string().optional(),
  EnableIPv4: z.boolean().optional(),
  EnableIPv6: z.boolean().optional(),
  Internal: z.boolean().default(false),
  Attachable: z.boolean().default(false),
  Ingress: z.boolean().default(false),
  ConfigOnly: z.boolean().optional(),
  ConfigFrom: z.object({ Network: z.string().optional() }).optional(),
  IPAM: z
    .object({
      Driver: z.string().optional(),
      Options: z.record(z.string(), z.string()).optional(),
      Config: z
        .array(
          z.object({
            Subnet: z.string().optional(),
            IPRange: z.string().optional(),
            Gateway: z.string().optional(),
            AuxiliaryAddresses: z.record(z.string(), z.string()).optional(),
          }),
        )
        .optional(),
    })
    .optional(),
  Options: z.record(z.string(), z.string()).default({}),
  Labels: z.record(z.string(), z.string()).default({}),
})
export type NetworkCreate = z.infer<typeof NetworkCreate>

/** The overlay driver's option; as in Docker's driver its presence counts, whatever its value. */
export const ENCRYPTED_OPTION = 'encrypted'

/** Whether what a network's tasks send each other is to be encrypted between nodes. */
export const isEncrypted = ({ Spec }: Network): boolean =>
  Object.hasOwn(Spec.DriverConfiguration.Options, ENCRYPTED_OPTION)

/** The swarm-scoped network of the Engine API's tasks (`swarm.Network`). */
export interface Network extends Meta {
  Spec: {
    Name: string
    Labels: Record<string, string>
    /** `overlay` is ours; others are node-local (node-local-network.ts), or `host`, `bridge` and `none`, which every Engine has. */
    DriverConfiguration: { Name: string; Options: Record<string, string> }
    IPv6Enabled: boolean
    Internal: boolean
    Attachable: boolean
    Ingress: boolean
    IPAMOptions: {
      Driver?: { Name: string; Options?: Record<string, string> }
      /** As they were asked for; only subnet and range have an effect. */
      Configs: {
        Subnet?: string
        Range?: string
        Gateway?: string
        AuxiliaryAddresses?: Record<string, string>
      }[]
    }
    /** Of a node-local network: the Engine's network, of each node, that it has its settings from. */
    ConfigFrom?: { Network: string }
    Scope: 'swarm'
  }
  DriverState: { Name: string; Options: Record<string, string> }
  /**
   * Allocated: the IPv4 subnet in CIDR, with the part of it that addresses come from where a user asked for one; then, in a network
   * with IPv6, the subnet of the addresses' twins. Empty until allocated.
   */
  IPAMOptions: { Configs: { Subnet: string; Range?: string; Gateway?: string }[] }
  Swarmctl: {
    /** 1–4094: names the bridge `sw-br<Index>`; unique in the cluster. */
    Index: number
    /**
     * How task addresses are cut from the subnet: `blocks` gives node N the /24 number N (0 = the VIPs) of a subnet of /16 or wider;
     * `flat` hands out single addresses of any smaller subnet, or of the range that a user asked for, routed as /32s.
     */
    Plan: 'blocks' | 'flat'
    /** In a flat subnet: each node's own gateway address, by node id. */
    Gateways: Record<string, string>
    /** A container that is no service's may have been attached since a removal last looked (`control/attached-mark.ts`). */
    Attached?: true
  }
}
