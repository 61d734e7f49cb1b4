import { invalid } from '../errors.ts'
import { parseImageReference } from '../image-reference.ts'
import { type ContainerSpec, type Healthcheck, type Mount, mountType } from '../service-spec.ts'
import { requireContainerTemplates } from './template.ts'

const MINIMUM_DURATION_NS = 1_000_000
/** The kernel's range of `oom_score_adj`. */
const OOM_SCORE_ADJ_MAX = 1000
/** Namespaced sysctls; others would change the host. Docker Engine `opts`, runc. */
const NAMESPACED_SYSCTL =
  /^(kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced|domainname)$|fs\.mqueue\.|net\.)/

/** Everything about a container that can be known to be wrong before a node tries it. @throws SwarmctlError INVALID_ARGUMENT */
export const requireContainer = (container: ContainerSpec): void => {
  requireContainerTemplates(container)
  requireImage(container.Image)
  for (const entry of container.Env ?? []) {
    // The Engine refuses a variable without a name only when the container is created.
    if (entry === '' || entry.startsWith('=')) {
      throw invalid(`ContainerSpec: invalid environment variable: "${entry}"`)
    }
  }
  requireMounts(container.Mounts ?? [])
  requireHealthcheck(container.Healthcheck ?? {})
  requireReferences('secret', container.Secrets ?? [], (ref) => [ref.SecretID, ref.SecretName])
  requireReferences('config', container.Configs ?? [], (ref) => [ref.ConfigID, ref.ConfigName])
  if ((container.StopGracePeriod ?? 0) < 0) {
    throw invalid('ContainerSpec: StopGracePeriod cannot be negative')
  }
  for (const { Name, Soft, Hard } of container.Ulimits ?? []) {
    if (Hard !== -1 && (Soft === -1 || Soft > Hard)) {
      throw invalid(
        `ContainerSpec: ulimit ${Name}: soft limit must be less than or equal to hard limit: ${Soft} > ${Hard}`,
      )
    }
  }
  for (const name of Object.keys(container.Sysctls ?? {})) {
    if (!NAMESPACED_SYSCTL.test(name)) {
      throw invalid(`ContainerSpec: sysctl '${name}' is not allowed: it is not namespaced`)
    }
  }
  if (Math.abs(container.OomScoreAdj ?? 0) > OOM_SCORE_ADJ_MAX) {
    throw invalid(
      `ContainerSpec: invalid value ${container.OomScoreAdj}, range for oom score adj is [-1000, 1000]`,
    )
  }
}

const requireImage = (image: string): void => {
  if (image === '') throw invalid('ContainerSpec: image reference must be provided')
  if (parseImageReference(image) === undefined) {
    throw invalid(`ContainerSpec: "${image}" is not a valid repository/tag`)
  }
}

const requireMounts = (mounts: readonly Mount[]): void => {
  const targets = new Set<string>()
  for (const mount of mounts) {
    const target = mount.Target ?? ''
    if (targets.has(target)) throw invalid(`ContainerSpec: duplicate mount point: ${target}`)
    targets.add(target)
    requireMount(mount, target)
  }
}

const PROPAGATIONS: readonly string[] = [
  'private',
  'rprivate',
  'shared',
  'rshared',
  'slave',
  'rslave',
]

const requireMount = (mount: Mount, target: string): void => {
  if (target === '') throw invalid('invalid mount config: field Target must not be empty')
  if (!/^(\/|[a-zA-Z]:\\|\{\{)/.test(target)) {
    throw invalid(`invalid mount target, must be an absolute path: ${target}`)
  }
  const propagation = mount.BindOptions?.Propagation
  if (propagation !== undefined && !PROPAGATIONS.includes(propagation)) {
    throw invalid(`invalid MountPropagation: "${propagation}"`)
  }
  const kind = mountType(mount)
  const { VolumeMode, VolumeGID } = mount.Swarmctl ?? {}
  if (kind !== 'volume' && (VolumeMode !== undefined || VolumeGID !== undefined)) {
    throw invalid(
      `invalid mount config for type "${kind}": VolumeMode and VolumeGID are a volume's`,
    )
  }
  switch (kind) {
    case 'bind':
      if (!mount.Source)
        throw invalid('invalid mount config for type "bind": field Source must not be empty')
      if (!/^(\/|[a-zA-Z]:\\|\{\{)/.test(mount.Source)) {
        throw invalid(`invalid bind mount source, must be an absolute path: ${mount.Source}`)
      }
      return
    case 'tmpfs':
      if (mount.Source) throw invalid('invalid tmpfs source, source must be empty')
      return
    case 'image':
      if (!mount.Source)
        throw invalid('invalid mount config for type "image": field Source must not be empty')
      return
    case 'volume':
    case 'npipe':
    case 'cluster':
      return
    default: {
      kind satisfies never
    }
  }
}

const requireHealthcheck = (check: Healthcheck): void => {
  for (const field of ['Interval', 'Timeout', 'StartPeriod', 'StartInterval'] as const) {
    const duration = check[field] ?? 0
    if (duration !== 0 && duration < MINIMUM_DURATION_NS) {
      throw invalid(`ContainerSpec: ${field} in HealthConfig cannot be less than 1ms`)
    }
  }
  if ((check.Retries ?? 0) < 0) {
    throw invalid('ContainerSpec: Retries in HealthConfig cannot be negative')
  }
}

interface Reference {
  File?: { Name: string } | undefined
  Runtime?: object | undefined
}

const requireReferences = <R extends Reference>(
  noun: 'secret' | 'config',
  references: readonly R[],
  namesOf: (reference: R) => [id: string, name: string],
): void => {
  const targets = new Map<string, string>()
  for (const reference of references) {
    const [id, name] = namesOf(reference)
    if (id === '' || name === '') throw invalid(`malformed ${noun} reference`)
    if (reference.File === undefined) {
      if (reference.Runtime !== undefined) continue
      throw invalid(`malformed ${noun} reference, no target provided`)
    }
    const target = reference.File.Name
    if (target === '') {
      throw invalid(`malformed file ${noun} reference, invalid target file name provided`)
    }
    const other = targets.get(target)
    if (other !== undefined) {
      throw invalid(
        `${noun} references '${other}' and '${name}' have a conflicting target: '${target}'`,
      )
    }
    targets.set(target, name)
  }
}
