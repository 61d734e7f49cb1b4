import type {
  EndpointSpec,
  Placement,
  PortConfig,
  ServiceMode,
  UpdateConfig,
} from '../../api/service-spec.ts'
import type {
  DeployConfig,
  PlacementConfig,
  ServicePort,
  UpdateConfig as UpdateInFile,
} from '../config.ts'
import { present } from '../present.ts'

const DEFAULT_PARALLELISM = 1

/** `deploy.mode` and `deploy.replicas`. Thrown: an Error. */
export const convertMode = ({ mode = '', replicas }: DeployConfig): ServiceMode => {
  const refuseReplicas = (): void => {
    if (replicas === undefined) return
    throw new Error('replicas can only be used with replicated or replicated-job mode')
  }
  switch (mode) {
    case 'global':
      refuseReplicas()
      return { Global: {} }
    case 'global-job':
      refuseReplicas()
      return { GlobalJob: {} }
    case 'replicated-job':
      return { ReplicatedJob: present({ MaxConcurrent: replicas, TotalCompletions: replicas }) }
    case 'replicated':
    case '':
      return { Replicated: present({ Replicas: replicas }) }
    default:
      throw new Error(`Unknown mode: ${mode}`)
  }
}

/** `deploy.update_config` or `deploy.rollback_config`. */
export const convertUpdate = (update: UpdateInFile | undefined): UpdateConfig | undefined =>
  update &&
  present<UpdateConfig>({
    Parallelism: update.parallelism ?? DEFAULT_PARALLELISM,
    Delay: update.delay || undefined,
    // Any text passes, as with the docker CLI; `requireAccepted` refuses what managers do not know before a deployment.
    FailureAction: (update.failure_action || undefined) as UpdateConfig['FailureAction'],
    Monitor: update.monitor || undefined,
    MaxFailureRatio: update.max_failure_ratio ?? 0,
    Order: (update.order || undefined) as UpdateConfig['Order'],
  })

/** `deploy.placement`. */
export const convertPlacement = (
  placement: PlacementConfig = {},
  platform?: string | undefined,
): Placement =>
  present<Placement>({
    Platforms: platform ? [convertPlatform(platform)] : undefined,
    Constraints: placement.constraints,
    Preferences: placement.preferences?.map(({ spread = '' }) => ({
      Spread: { SpreadDescriptor: spread },
    })),
    MaxReplicas: placement.max_replicas_per_node || undefined,
  })

/** `os[/architecture[/variant]]`, or an architecture alone. */
const convertPlatform = (platform: string): { OS?: string; Architecture?: string } => {
  const [first = '', architecture] = platform.split('/')
  if (architecture !== undefined) return { OS: first, Architecture: architecture }
  return /^(linux|windows|freebsd)$/.test(first) ? { OS: first } : { Architecture: first }
}

/** `deploy.endpoint_mode` and `ports`, these by published port and then in the file's order. */
export const convertEndpoint = (
  mode: string | undefined,
  ports: readonly ServicePort[] = [],
): EndpointSpec =>
  present<EndpointSpec>({
    // Any text passes, as with the docker CLI; `requireAccepted` refuses what managers do not know before a deployment.
    Mode: (mode?.toLowerCase() || undefined) as EndpointSpec['Mode'],
    Ports: ports.map(convertPort).sort((a, b) => (a.PublishedPort ?? 0) - (b.PublishedPort ?? 0)),
  })

const convertPort = (port: ServicePort): PortConfig =>
  present({
    Name: port.name,
    Protocol: port.protocol || undefined,
    TargetPort: port.target || undefined,
    PublishedPort: port.published || undefined,
    PublishMode: port.mode || undefined,
    Swarmctl: port.host_ip === undefined ? undefined : { HostIP: port.host_ip },
    // The API's type has the defaults filled in; a request may leave them out.
  }) as PortConfig
