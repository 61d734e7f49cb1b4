import { z } from 'zod'
import { int64 } from './int64.ts'
import type { Meta } from './meta.ts'

/** A certificate signer outside the cluster. */
export const ExternalCA = z.object({
  /** `cfssl` is the only one. */
  Protocol: z.string().optional(),
  /** Of its signing endpoint, https. */
  URL: z.string().optional(),
  Options: z.record(z.string(), z.string()).optional(),
  /** PEM of the CA that it signs for; empty: the cluster's present root. */
  CACert: z.string().optional(),
})
export type ExternalCA = z.infer<typeof ExternalCA>

/** The cluster-wide settings that `swarm update` changes. */
export const SwarmSpec = z.object({
  Name: z.string().default('default'),
  Labels: z.record(z.string(), z.string()).default({}),
  Orchestration: z
    .object({
      /** Below 0: all are kept. */
      TaskHistoryRetentionLimit: z.number().int().optional(),
    })
    .optional(),
  Raft: z
    .object({
      SnapshotInterval: z.number().int().optional(),
      KeepOldSnapshots: z.number().int().optional(),
      LogEntriesForSlowFollowers: z.number().int().optional(),
      ElectionTick: z.number().int().optional(),
      HeartbeatTick: z.number().int().optional(),
    })
    .optional(),
  Dispatcher: z.object({ HeartbeatPeriod: int64.optional() }).optional(),
  CAConfig: z
    .object({
      NodeCertExpiry: int64.optional(),
      ExternalCAs: z.array(ExternalCA).optional(),
      SigningCACert: z.string().optional(),
      SigningCAKey: z.string().optional(),
      ForceRotate: z.number().int().optional(),
    })
    .optional(),
  TaskDefaults: z
    .object({
      LogDriver: z
        .object({
          Name: z.string().optional(),
          Options: z.record(z.string(), z.string()).optional(),
        })
        .optional(),
    })
    .optional(),
  EncryptionConfig: z.object({ AutoLockManagers: z.boolean().optional() }).optional(),
})
export type SwarmSpec = z.infer<typeof SwarmSpec>

/** Body of `POST /swarm/init`. */
export const InitRequest = z.object({
  ListenAddr: z.string().default('0.0.0.0:2377'),
  AdvertiseAddr: z.string().default(''),
  DataPathAddr: z.string().default(''),
  DataPathPort: z.number().int().default(0),
  ForceNewCluster: z.boolean().default(false),
  AutoLockManagers: z.boolean().default(false),
  Availability: z.string().default(''),
  DefaultAddrPool: z.array(z.string()).default([]),
  SubnetSize: z.number().int().default(0),
  Spec: SwarmSpec.default({ Name: 'default', Labels: {} }),
})
export type InitRequest = z.infer<typeof InitRequest>

/** Body of `POST /swarm/join`. */
export const JoinRequest = z.object({
  ListenAddr: z.string().default('0.0.0.0:2377'),
  AdvertiseAddr: z.string().default(''),
  DataPathAddr: z.string().default(''),
  RemoteAddrs: z.array(z.string()).default([]),
  JoinToken: z.string().default(''),
  Availability: z.string().default(''),
})
export type JoinRequest = z.infer<typeof JoinRequest>

/** Where a restored manager is reached: query of `POST /swarmctl/restore`. */
export const RestoreRequest = JoinRequest.pick({
  ListenAddr: true,
  AdvertiseAddr: true,
  DataPathAddr: true,
})
export type RestoreRequest = z.infer<typeof RestoreRequest>

/** Answer of `POST /swarmctl/restore`. */
export interface Restored {
  NodeID: string
  ClusterID: string
  /** When the backup was made, RFC 3339. */
  CreatedAt: string
  /** The last change that is in it. */
  Index: number
  /** Host names of the other managers, which are removed and have to join again. */
  RemovedManagers: string[]
}

/** A root that is to follow the cluster's present one. */
export interface RootRotation {
  /** PEM. */
  CACert: string
  /** PEM, PKCS #8; empty: an external CA has it. */
  CAKey: string
  /** The new root's certificate as the old one signed it. */
  CrossSignedCACert: string
}

/** The one cluster object. */
export interface Cluster extends Meta {
  Spec: SwarmSpec
  TLSInfo: { TrustRoot: string; CertIssuerSubject: string; CertIssuerPublicKey: string }
  RootRotationInProgress: boolean
  DefaultAddrPool: string[]
  SubnetSize: number
  DataPathPort: number
  JoinTokens: { Worker: string; Manager: string }
  Swarmctl: {
    /** PEM, PKCS #8: replicated to managers only, sealed on their disks, never in an answer. Empty: an external CA has it. */
    RootCAKey: string
    RootCACert: string
    /** While the root is replaced: the new one, which signs already. Its key never leaves the managers either. */
    RootRotation?: RootRotation
    /** Ids of removed nodes: their certificates are refused, their ids never used again. */
    RemovedNodes: string[]
    /**
     * What the network that was made last got: the next one's number and subnet are looked for behind it, so that a removed network's
     * come back last. Absent: no network was made yet.
     */
    LastNetwork?: { Index: number; Subnet: string }
    /** Version of the last change of `Spec` by a user: what an update is checked against. Absent: never changed. */
    SpecVersion?: number
    /** `SWMKEY-1-…` while `EncryptionConfig.AutoLockManagers`; every manager locks its data key with it. Never in an answer. */
    UnlockKey?: string
  }
}
