import { z } from 'zod'
import { Autoscale } from './autoscale.ts'
import { ContainerExtension } from './container-extension.ts'
import { type Choice, inLowerCase, withoutEmpty } from './enumeration-words.ts'
import { int64 } from './int64.ts'
import { Schedule } from './schedule-spec.ts'

/**
 * The Engine API's ServiceSpec (API 1.4x), as request bodies carry it. `null` is dropped before parsing (`drop-nulls.ts`), since
 * Go clients send it for empty slices and maps. Durations are nanoseconds, memory is bytes, CPUs are 1e-9 of a core.
 */
const labels = z.record(z.string(), z.string())
const durationNs = int64
const strings = z.array(z.string())

/** The object's schema, for which `""` in one of `keys` is the same as absent. */
const emptyAsAbsent = <S extends z.ZodObject>(
  keys: readonly (keyof S['shape'] & Choice)[],
  schema: S,
) => z.preprocess((value) => withoutEmpty(value, keys), schema)

/** As `emptyAsAbsent`, for words that Docker takes in any case. */
const emptyAsAbsentAnyCase = <S extends z.ZodObject>(
  keys: readonly (keyof S['shape'] & Choice)[],
  schema: S,
) => z.preprocess((value) => inLowerCase(withoutEmpty(value, keys), keys), schema)

export const Healthcheck = z.object({
  /** `["NONE"]`, `["CMD", …]`, `["CMD-SHELL", "…"]`; empty inherits the image's. */
  Test: strings.optional(),
  Interval: durationNs.optional(),
  Timeout: durationNs.optional(),
  StartPeriod: durationNs.optional(),
  StartInterval: durationNs.optional(),
  Retries: z.number().int().optional(),
})

const BindOptions = emptyAsAbsentAnyCase(
  ['Propagation'],
  z.object({
    Propagation: z.string().optional(),
    NonRecursive: z.boolean().optional(),
    CreateMountpoint: z.boolean().optional(),
    ReadOnlyNonRecursive: z.boolean().optional(),
    ReadOnlyForceRecursive: z.boolean().optional(),
  }),
)

export const Mount = emptyAsAbsentAnyCase(
  ['Type'],
  z.object({
    Type: z.enum(['bind', 'volume', 'tmpfs', 'npipe', 'cluster', 'image']).optional(),
    Source: z.string().optional(),
    Target: z.string().optional(),
    ReadOnly: z.boolean().optional(),
    Consistency: z.string().optional(),
    BindOptions: BindOptions.optional(),
    VolumeOptions: z
      .object({
        NoCopy: z.boolean().optional(),
        Labels: labels.optional(),
        Subpath: z.string().optional(),
        DriverConfig: z
          .object({ Name: z.string().optional(), Options: labels.optional() })
          .optional(),
      })
      .optional(),
    ImageOptions: z.object({ Subpath: z.string().optional() }).optional(),
    TmpfsOptions: z
      .object({
        SizeBytes: z.number().int().optional(),
        Mode: z.number().int().optional(),
        Options: z.array(strings).optional(),
      })
      .optional(),
    ClusterOptions: z.object({}).optional(),
    /** What stack files say of a mount and Docker's bodies for them don't. */
    Swarmctl: z
      .object({
        /** A bind's source is made as a folder where it does not exist. */
        CreateMountpoint: z.boolean().optional(),
        NonRecursive: z.boolean().optional(),
        ReadOnlyNonRecursive: z.boolean().optional(),
        ReadOnlyForceRecursive: z.boolean().optional(),
        /** Permission bits of a tmpfs. */
        TmpfsMode: z.number().int().nonnegative().optional(),
        /** Permission bits of a new volume's folder; default 0755. */
        VolumeMode: z.number().int().min(0).max(0o7777).optional(),
        /** The group that a new volume's folder is given to; default root's. */
        VolumeGID: z.number().int().nonnegative().optional(),
      })
      .optional(),
  }),
)

const fileTarget = z.object({
  Name: z.string(),
  UID: z.string().default('0'),
  GID: z.string().default('0'),
  /** Unix permission bits, e.g. 0o444 = 292. */
  Mode: z.number().int().default(0o444),
})

export const SecretReference = z.object({
  File: fileTarget.optional(),
  SecretID: z.string().default(''),
  SecretName: z.string().default(''),
})

export const ConfigReference = z.object({
  File: fileTarget.optional(),
  Runtime: z.object({}).optional(),
  ConfigID: z.string().default(''),
  ConfigName: z.string().default(''),
})

export const Privileges = z.object({
  /** For containers of Windows: kept, not acted on. */
  CredentialSpec: z
    .object({
      Config: z.string().optional(),
      File: z.string().optional(),
      Registry: z.string().optional(),
    })
    .optional(),
  SELinuxContext: z
    .object({
      Disable: z.boolean().optional(),
      User: z.string().optional(),
      Role: z.string().optional(),
      Type: z.string().optional(),
      Level: z.string().optional(),
    })
    .optional(),
  Seccomp: z
    .object({
      Mode: z.string().optional(),
      /** JSON in base64. */
      Profile: z.string().optional(),
    })
    .optional(),
  AppArmor: z.object({ Mode: z.string().optional() }).optional(),
  NoNewPrivileges: z.boolean().optional(),
})

export const ContainerSpec = z.object({
  Image: z.string().default(''),
  Labels: labels.optional(),
  Command: strings.optional(),
  Args: strings.optional(),
  Hostname: z.string().optional(),
  Env: strings.optional(),
  Dir: z.string().optional(),
  User: z.string().optional(),
  Groups: strings.optional(),
  Privileges: Privileges.optional(),
  StopSignal: z.string().optional(),
  TTY: z.boolean().optional(),
  OpenStdin: z.boolean().optional(),
  ReadOnly: z.boolean().optional(),
  Mounts: z.array(Mount).optional(),
  StopGracePeriod: durationNs.optional(),
  Healthcheck: Healthcheck.optional(),
  /** `IP canonical-name [alias…]`, as in /etc/hosts. */
  Hosts: strings.optional(),
  DNSConfig: z
    .object({
      Nameservers: strings.optional(),
      Search: strings.optional(),
      Options: strings.optional(),
    })
    .optional(),
  Secrets: z.array(SecretReference).optional(),
  Configs: z.array(ConfigReference).optional(),
  Isolation: z.string().optional(),
  Init: z.boolean().optional(),
  Sysctls: labels.optional(),
  CapabilityAdd: strings.optional(),
  CapabilityDrop: strings.optional(),
  Ulimits: z
    .array(z.object({ Name: z.string(), Soft: z.number().int(), Hard: z.number().int() }))
    .optional(),
  OomScoreAdj: z.number().int().optional(),
  Swarmctl: ContainerExtension.optional(),
})

export const GenericResources = z.array(
  z.object({
    NamedResourceSpec: z.object({ Kind: z.string(), Value: z.string() }).optional(),
    DiscreteResourceSpec: z
      .object({ Kind: z.string(), Value: z.number().int().default(0) })
      .optional(),
  }),
)

export const ResourceRequirements = z.object({
  Limits: z
    .object({
      NanoCPUs: z.number().int().optional(),
      MemoryBytes: z.number().int().optional(),
      Pids: z.number().int().optional(),
    })
    .optional(),
  Reservations: z
    .object({
      NanoCPUs: z.number().int().optional(),
      MemoryBytes: z.number().int().optional(),
      GenericResources: GenericResources.optional(),
    })
    .optional(),
  SwapBytes: z.number().int().optional(),
  MemorySwappiness: z.number().int().optional(),
})

export const RestartPolicy = emptyAsAbsent(
  ['Condition'],
  z.object({
    Condition: z.enum(['none', 'on-failure', 'any']).optional(),
    Delay: durationNs.optional(),
    MaxAttempts: z.number().int().nonnegative().optional(),
    Window: durationNs.optional(),
  }),
)

export const Placement = z.object({
  Constraints: strings.optional(),
  Preferences: z
    .array(z.object({ Spread: z.object({ SpreadDescriptor: z.string() }).optional() }))
    .optional(),
  MaxReplicas: z.number().int().nonnegative().optional(),
  Platforms: z
    .array(z.object({ Architecture: z.string().optional(), OS: z.string().optional() }))
    .optional(),
})

export const NetworkAttachmentConfig = z.object({
  /** Id or name; control resolves it to the id. */
  Target: z.string(),
  Aliases: strings.optional(),
  DriverOpts: labels.optional(),
  Swarmctl: z
    .object({
      /** More aliases: the `container_name` of a stack file. */
      Aliases: strings.optional(),
      /** The task's address in the network's subnet; a service that has one runs one task at a time. */
      IPv4Address: z.ipv4().optional(),
    })
    .optional(),
})

export const TaskSpec = z.object({
  ContainerSpec: ContainerSpec.optional(),
  PluginSpec: z.object({}).optional(),
  /** Of tasks only: a container that is no service's, on a network (`network-attachment.ts`). */
  NetworkAttachmentSpec: z.object({ ContainerID: z.string().optional() }).optional(),
  Resources: ResourceRequirements.optional(),
  RestartPolicy: RestartPolicy.optional(),
  Placement: Placement.optional(),
  Networks: z.array(NetworkAttachmentConfig).optional(),
  LogDriver: z.object({ Name: z.string().optional(), Options: labels.optional() }).optional(),
  ForceUpdate: z.number().int().nonnegative().optional(),
  Runtime: z.string().optional(),
  /** Ours: the registry credentials (the X-Registry-Auth header), stored as Swarm's PullOptions; removed from every answer. */
  PullOptions: z.object({ RegistryAuth: z.string().optional() }).optional(),
})

export const UpdateConfig = emptyAsAbsent(
  ['FailureAction', 'Order'],
  z.object({
    /** 0 means all at once. */
    Parallelism: z.number().int().nonnegative().optional(),
    Delay: durationNs.optional(),
    FailureAction: z.enum(['pause', 'continue', 'rollback']).optional(),
    Monitor: durationNs.optional(),
    MaxFailureRatio: z.number().min(0).max(1).optional(),
    Order: z.enum(['stop-first', 'start-first']).optional(),
  }),
)

export const PortConfig = emptyAsAbsentAnyCase(
  ['Protocol', 'PublishMode'],
  z.object({
    Name: z.string().optional(),
    Protocol: z.enum(['tcp', 'udp', 'sctp']).default('tcp'),
    TargetPort: z.number().int().min(1).max(65535),
    /** Absent or 0: allocated from 30000–32767. */
    PublishedPort: z.number().int().min(0).max(65535).optional(),
    PublishMode: z.enum(['ingress', 'host']).default('ingress'),
    Swarmctl: z
      .object({
        /** The address of the node that a host-mode port is bound to, and the only one at which the mesh answers; absent: all. */
        HostIP: z.union([z.ipv4(), z.ipv6()]).optional(),
        /** The mesh tells the tasks who connects, by PROXY protocol; the port is then served by the proxy on every node. TCP only. */
        ProxyProtocol: z.literal('v2').optional(),
      })
      .optional(),
  }),
)

export const EndpointSpec = emptyAsAbsent(
  ['Mode'],
  z.object({
    Mode: z.enum(['vip', 'dnsrr']).optional(),
    Ports: z.array(PortConfig).optional(),
  }),
)

export const ServiceMode = z.object({
  Replicated: z.object({ Replicas: z.number().int().nonnegative().optional() }).optional(),
  Global: z.object({}).optional(),
  ReplicatedJob: z
    .object({
      MaxConcurrent: z.number().int().nonnegative().optional(),
      TotalCompletions: z.number().int().nonnegative().optional(),
    })
    .optional(),
  GlobalJob: z.object({}).optional(),
})

/** What Swarm's spec lacks (design §4). */
export const ServiceExtension = z.object({
  /** Nanoseconds that established connections get to end before the stop signal; default 30 s (design §8). */
  DrainLimit: durationNs.nonnegative().optional(),
  /** When the job runs; without one it runs when it is created and updated. */
  Schedule: Schedule.optional(),
  /** Services of the same stack that `stack deploy` waits for before it sends this one. */
  DependsOn: z
    .array(
      z.object({
        /** Its name in the cluster. */
        Service: z.string(),
        Condition: z.enum(['service_started', 'service_healthy', 'service_completed_successfully']),
        /** False: one that does not exist or does not get there is not waited for any longer. */
        Required: z.boolean().optional(),
      }),
    )
    .optional(),
  /** Replicas follow use. A number of replicas outside of its bounds is brought within. */
  Autoscale: Autoscale.optional(),
})

export const ServiceSpec = z.object({
  Name: z.string().default(''),
  Labels: labels.default({}),
  TaskTemplate: TaskSpec.default({}),
  Mode: ServiceMode.optional(),
  UpdateConfig: UpdateConfig.optional(),
  RollbackConfig: UpdateConfig.optional(),
  EndpointSpec: EndpointSpec.optional(),
  Networks: z.array(NetworkAttachmentConfig).optional(),
  Swarmctl: ServiceExtension.optional(),
})

export type Healthcheck = z.infer<typeof Healthcheck>
export type Mount = z.infer<typeof Mount>
export type SecretReference = z.infer<typeof SecretReference>
export type ConfigReference = z.infer<typeof ConfigReference>
export type Privileges = z.infer<typeof Privileges>
export type ContainerSpec = z.infer<typeof ContainerSpec>
export type GenericResource = z.infer<typeof GenericResources>[number]
export type ResourceRequirements = z.infer<typeof ResourceRequirements>
export type RestartPolicy = z.infer<typeof RestartPolicy>
export type Placement = z.infer<typeof Placement>
export type NetworkAttachmentConfig = z.infer<typeof NetworkAttachmentConfig>
export type TaskSpec = z.infer<typeof TaskSpec>
export type UpdateConfig = z.infer<typeof UpdateConfig>
export type PortConfig = z.infer<typeof PortConfig>
export type EndpointSpec = z.infer<typeof EndpointSpec>
export type ServiceMode = z.infer<typeof ServiceMode>
export type ServiceExtension = z.infer<typeof ServiceExtension>
export type ServiceSpec = z.infer<typeof ServiceSpec>

/** What a mount is that does not say: to Swarm it is a bind, which has an absolute source; any other can only be a volume. */
export const mountType = ({ Type, Source = '' }: Mount): NonNullable<Mount['Type']> =>
  Type ?? (Source.startsWith('/') ? 'bind' : 'volume')
