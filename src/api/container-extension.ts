import { z } from 'zod'

const strings = z.array(z.string())
const pairs = z.record(z.string(), z.string())
const count = z.number().int()
const rates = z.array(z.object({ Path: z.string(), Rate: count.nonnegative() }))

/** Devices that a driver chooses, as the Engine's `HostConfig.DeviceRequests`. */
export const DeviceRequest = z.object({
  Driver: z.string().optional(),
  /** -1: all. */
  Count: count.min(-1).optional(),
  DeviceIDs: strings.optional(),
  /** Any of the lists, each of which must be met as a whole. */
  Capabilities: z.array(strings).optional(),
  Options: pairs.optional(),
})

/** What an Engine can do with a container and Swarm's ContainerSpec can't say. Names and values are those of the Engine's HostConfig. */
const HostExtension = z.object({
  Annotations: pairs.optional(),
  BlkioWeight: count.min(0).max(1000).optional(),
  BlkioWeightDevice: z.array(z.object({ Path: z.string(), Weight: count })).optional(),
  BlkioDeviceReadBps: rates.optional(),
  BlkioDeviceWriteBps: rates.optional(),
  BlkioDeviceReadIOps: rates.optional(),
  BlkioDeviceWriteIOps: rates.optional(),
  CgroupParent: z.string().optional(),
  CgroupnsMode: z.enum(['host', 'private']).optional(),
  CpuCount: count.nonnegative().optional(),
  CpuPercent: count.min(0).max(100).optional(),
  /** Microseconds. */
  CpuPeriod: count.nonnegative().optional(),
  /** Microseconds; -1: without limit. */
  CpuQuota: count.min(-1).optional(),
  /** Microseconds. */
  CpuRealtimePeriod: count.nonnegative().optional(),
  /** Microseconds. */
  CpuRealtimeRuntime: count.nonnegative().optional(),
  CpuShares: count.nonnegative().optional(),
  CpusetCpus: z.string().optional(),
  DeviceCgroupRules: strings.optional(),
  DeviceRequests: z.array(DeviceRequest).optional(),
  Devices: z
    .array(
      z.object({
        PathOnHost: z.string(),
        PathInContainer: z.string(),
        CgroupPermissions: z.string(),
      }),
    )
    .optional(),
  IpcMode: z.enum(['none', 'private', 'shareable', 'host']).optional(),
  OomKillDisable: z.boolean().optional(),
  PidMode: z.enum(['host']).optional(),
  Privileged: z.boolean().optional(),
  Runtime: z.string().optional(),
  SecurityOpt: strings.optional(),
  /** Bytes. */
  ShmSize: count.nonnegative().optional(),
  StorageOpt: pairs.optional(),
  /** Mount options by path in the container; empty for the Engine's own. */
  Tmpfs: pairs.optional(),
  UTSMode: z.enum(['host']).optional(),
  UsernsMode: z.enum(['host']).optional(),
})

/** `ContainerSpec.Swarmctl`. */
export const ContainerExtension = HostExtension.extend({
  /** NIS domain name of the container. */
  Domainname: z.string().optional(),
})

export type DeviceRequest = z.infer<typeof DeviceRequest>
export type ContainerExtension = z.infer<typeof ContainerExtension>
