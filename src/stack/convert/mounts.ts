import type { Mount } from '../../api/service-spec.ts'
import type { ServiceVolume, StackConfig } from '../config.ts'
import { present } from '../present.ts'
import { StackFileProblem } from '../stack-error.ts'
import type { Path } from '../value.ts'
import { clusterName, withStackLabel } from './namespace.ts'

/** A service's mounts, in the file's order. */
export const convertMounts = (key: string, config: StackConfig, namespace: string): Mount[] =>
  (config.services[key]?.volumes ?? []).map((volume, index) =>
    convertMount(volume, ['services', key, 'volumes', index], config, namespace),
  )

const convertMount = (
  volume: ServiceVolume,
  place: Path,
  config: StackConfig,
  namespace: string,
): Mount => {
  switch (volume.type) {
    case 'volume':
    case '':
    case undefined:
      refuseOptions(volume, place, ['tmpfs', 'bind'])
      return convertVolumeMount(volume, place, config, namespace)
    case 'bind':
    case 'npipe':
      requireSource(volume, place)
      refuseOptions(volume, place, ['tmpfs', 'volume'])
      return volume.bind === undefined
        ? mountOf(volume)
        : {
            ...mountOf(volume),
            BindOptions: present({ Propagation: volume.bind.propagation }),
            ...own(bindExtension(volume.bind)),
          }
    case 'tmpfs':
      refuseOptions(volume, place, ['bind', 'volume'])
      if (volume.source) throw new StackFileProblem(place, 'a tmpfs mount has no source')
      return volume.tmpfs === undefined
        ? mountOf(volume)
        : {
            ...mountOf(volume),
            TmpfsOptions: present({ SizeBytes: volume.tmpfs.size || undefined }),
            ...own(volume.tmpfs.mode === undefined ? {} : { TmpfsMode: volume.tmpfs.mode }),
          }
    case 'image':
      requireSource(volume, place)
      refuseOptions(volume, place, ['tmpfs', 'bind', 'volume'])
      return volume.image?.subpath
        ? { ...mountOf(volume), ImageOptions: { Subpath: volume.image.subpath } }
        : mountOf(volume)
    case 'cluster':
      requireSource(volume, place)
      refuseOptions(volume, place, ['tmpfs', 'bind', 'volume'])
      return {
        ...mountOf(volume),
        Source: clusterSource(volume.source ?? '', place, config, namespace),
        ClusterOptions: {},
      }
    default:
      throw new StackFileProblem(
        [...place, 'type'],
        'volume type must be volume, bind, tmpfs, npipe, image or cluster',
      )
  }
}

type MountExtension = NonNullable<Mount['Swarmctl']>

/** What the docker CLI leaves out of a mount. */
const own = (extension: MountExtension): { Swarmctl?: MountExtension } =>
  Object.keys(extension).length === 0 ? {} : { Swarmctl: extension }

const bindExtension = (bind: NonNullable<ServiceVolume['bind']>): MountExtension => ({
  ...(bind.create_host_path === true && { CreateMountpoint: true }),
  ...(bind.recursive === 'disabled' && { NonRecursive: true }),
  ...(bind.recursive === 'writable' && { ReadOnlyNonRecursive: true }),
  ...(bind.recursive === 'readonly' && { ReadOnlyForceRecursive: true }),
})

const mountOf = (volume: ServiceVolume): Mount =>
  present<Mount>({
    // The switch above lets only the API's types pass.
    Type: (volume.type || 'volume') as NonNullable<Mount['Type']>,
    Source: volume.source || undefined,
    Target: volume.target || undefined,
    ReadOnly: volume.read_only || undefined,
    Consistency: volume.consistency || undefined,
  })

const convertVolumeMount = (
  volume: ServiceVolume,
  place: Path,
  config: StackConfig,
  namespace: string,
): Mount => {
  const mount = mountOf(volume)
  const { nocopy, labels } = volume.volume ?? {}
  if (!volume.source) {
    const options = present({ NoCopy: nocopy || undefined, Labels: labels })
    return Object.keys(options).length === 0 ? mount : { ...mount, VolumeOptions: options }
  }
  const named = definedVolume(volume.source, place, config)
  const options = present<NonNullable<Mount['VolumeOptions']>>({
    NoCopy: nocopy || undefined,
    Subpath: volume.volume?.subpath || undefined,
    Labels: labels,
  })
  const source = clusterName(namespace, volume.source, named)
  if (named.external === true) return { ...mount, Source: source, VolumeOptions: options }
  options.Labels = withStackLabel(namespace, { ...named.labels, ...labels })
  if (named.driver !== undefined || named.driver_opts !== undefined) {
    options.DriverConfig = present<NonNullable<typeof options.DriverConfig>>({
      Name: named.driver,
      Options: named.driver_opts,
    })
  }
  return { ...mount, Source: source, VolumeOptions: options }
}

/** A volume group is not a stack's own and is not checked. */
const clusterSource = (
  source: string,
  place: Path,
  config: StackConfig,
  namespace: string,
): string =>
  source.startsWith('group:')
    ? source
    : clusterName(namespace, source, definedVolume(source, place, config))

const definedVolume = (source: string, place: Path, config: StackConfig) => {
  const named = Object.hasOwn(config.volumes, source) ? config.volumes[source] : undefined
  if (named === undefined) throw new StackFileProblem(place, `undefined volume "${source}"`)
  return named
}

const requireSource = (volume: ServiceVolume, place: Path): void => {
  if (!volume.source) throw new StackFileProblem(place, `a ${volume.type} mount needs a source`)
}

const refuseOptions = (
  volume: ServiceVolume,
  place: Path,
  keys: readonly ('tmpfs' | 'bind' | 'volume')[],
): void => {
  const key = keys.find((candidate) => volume[candidate] !== undefined)
  if (key === undefined) return
  const type = volume.type || 'volume'
  throw new StackFileProblem(place, `${key} options are incompatible with type ${type}`)
}
