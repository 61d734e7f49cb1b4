import type { ConfigReference, Mount, SecretReference } from '../../api/service-spec.ts'
import { NAMESPACE_LABEL } from '../../api/stack-labels.ts'
import { ManifestProblem } from '../manifest-error.ts'
import { memoryBytes } from '../quantity.ts'
import type { Container, PodSpec, Volume } from '../schema/pod.ts'
import type { DataObjects } from './data.ts'

/** What a container's mounts become. */
export interface ConvertedVolumes {
  mounts: Mount[]
  configs: ConfigReference[]
  secrets: SecretReference[]
}

/** What mounting needs. */
export interface VolumeContext {
  data: DataObjects
  namespace: string
  /** Names of the PersistentVolumeClaims in the namespace's manifests. */
  claims: ReadonlySet<string>
  /** Of the container, in the object. */
  path: readonly (string | number)[]
  note(text: string): void
}

type VolumeMount = NonNullable<Container['volumeMounts']>[number]

/** The volumes that a container mounts. Thrown: ManifestProblem. */
export const convertVolumes = (
  pod: PodSpec,
  container: Container,
  context: VolumeContext,
): ConvertedVolumes => {
  const result: ConvertedVolumes = { mounts: [], configs: [], secrets: [] }
  const fsGroup = pod.securityContext?.fsGroup
  requireOneSource(pod)
  requireOneFolder(pod, container, context.path)
  for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
    const path = [...context.path, 'volumeMounts', index]
    const volume = pod.volumes?.find(({ name }) => name === mount.name)
    if (volume === undefined) throw new ManifestProblem(path, `there is no volume ${mount.name}`)
    addMount(result, volume, mount, { ...context, path, fsGroup })
  }
  return result
}

const requireOneSource = ({ volumes = [] }: PodSpec): void => {
  const names = new Set<string>()
  for (const [index, { name, ...sources }] of volumes.entries()) {
    const path = ['spec', 'template', 'spec', 'volumes', index]
    if (names.has(name)) throw new ManifestProblem([...path, 'name'], `${name} is there twice`)
    const given = Object.entries(sources).filter(([, source]) => source !== undefined)
    if (given.length > 1) {
      const kinds = given.map(([kind]) => kind).join(' and ')
      throw new ManifestProblem(path, `has several sources: ${kinds}`)
    }
    names.add(name)
  }
}

/** An `emptyDir` is a volume without a name, so that a second mount of it would be another one. */
const requireOneFolder = (
  pod: PodSpec,
  container: Container,
  path: readonly (string | number)[],
): void => {
  const seen = new Map<string, string[]>()
  for (const [index, { name, subPath = '' }] of (container.volumeMounts ?? []).entries()) {
    if (pod.volumes?.find((volume) => volume.name === name)?.emptyDir === undefined) continue
    const others = seen.get(name) ?? []
    if (others.some((other) => other === subPath || other === '' || subPath === '')) {
      const text = `mounts ${name} a second time: an emptyDir can be mounted once`
      throw new ManifestProblem([...path, 'volumeMounts', index], text)
    }
    seen.set(name, [...others, subPath])
  }
}

/** Where a container mounts a volume. */
interface MountContext extends VolumeContext {
  /** The pod's group, which what it mounts belongs to. */
  fsGroup: number | undefined
}

const addMount = (
  result: ConvertedVolumes,
  volume: Volume,
  mount: VolumeMount,
  context: MountContext,
): void => {
  if (volume.configMap !== undefined || volume.secret !== undefined) {
    addFiles(result, volume, mount, context)
    return
  }
  const own = mountOf(volume, mount, context)
  result.mounts.push({ ...own, Target: mount.mountPath, ...(mount.readOnly && { ReadOnly: true }) })
}

const DEFAULT_MODE = 0o644
/** What Kubernetes adds for a group (`SetVolumeOwnership` of a volume that is only read). */
const GROUP_READS = 0o440

/** A ConfigMap's or Secret's keys as files below the mount path; with `subPath` one of them as the path itself. */
const addFiles = (
  result: ConvertedVolumes,
  { configMap, secret, name: volumeName }: Volume,
  { mountPath, subPath }: VolumeMount,
  { data, path, fsGroup }: MountContext,
): void => {
  const place = [...path]
  const kind = configMap === undefined ? 'Secret' : 'ConfigMap'
  const name = configMap?.name ?? secret?.secretName ?? ''
  const source = configMap ?? secret
  if (source?.optional === true && data.valuesOf(kind, name) === undefined) return
  // As in Kubernetes, an empty list is none, and so is an empty path.
  const items = source?.items?.length
    ? source.items
    : data.keysOf(kind, name, place).map((key) => ({ key, path: key }))
  const wanted = subPath ? items.filter((item) => item.path === subPath) : items
  if (subPath && wanted.length === 0) {
    throw new ManifestProblem([...place, 'subPath'], `${kind} ${name} has no ${subPath}`)
  }
  for (const { key, path: file, mode } of wanted.map((item) => ({ mode: undefined, ...item }))) {
    if (file.startsWith('/') || file.split('/').includes('..')) {
      throw new ManifestProblem(place, `${file} must be a path inside the volume ${volumeName}`)
    }
    if (source?.optional === true && !data.valuesOf(kind, name)?.has(key)) continue
    const object = data.fileOf(kind, name, key, place)
    const File = {
      Name: subPath ? mountPath : `${mountPath.replace(/\/$/, '')}/${file}`,
      UID: '0',
      GID: String(fsGroup ?? 0),
      Mode:
        (mode ?? source?.defaultMode ?? DEFAULT_MODE) | (fsGroup === undefined ? 0 : GROUP_READS),
    }
    // Ids are filled in by name when the service is sent.
    if (kind === 'ConfigMap') {
      result.configs.push({ File, ConfigID: PLACEHOLDER_ID, ConfigName: object })
    } else result.secrets.push({ File, SecretID: PLACEHOLDER_ID, SecretName: object })
  }
}

const PLACEHOLDER_ID = '0'.repeat(25)

/** As Kubernetes' own: empty, whatever the image has there, and everybody's; or the group's, and what is made in it as well. */
const newFolder = (fsGroup: number | undefined) => ({
  NoCopy: { NoCopy: true },
  Swarmctl:
    fsGroup === undefined ? { VolumeMode: 0o777 } : { VolumeMode: 0o2777, VolumeGID: fsGroup },
})

const mountOf = (volume: Volume, { subPath }: VolumeMount, context: MountContext): Mount => {
  const { emptyDir, persistentVolumeClaim, hostPath, name } = volume
  const place = [...context.path]
  const Subpath = subPath && { Subpath: subPath }
  if (hostPath !== undefined) {
    if (subPath) throw new ManifestProblem([...place, 'subPath'], 'is not supported for a hostPath')
    if (hostPath.type === 'FileOrCreate') {
      const text = `the volume ${name}: FileOrCreate is not supported: a node can make a folder, not a file`
      throw new ManifestProblem(place, text)
    }
    // Without a type nothing is checked, and container runtimes make what is missing.
    const isMade = !hostPath.type || hostPath.type === 'DirectoryOrCreate'
    const CreateMountpoint = isMade ? { Swarmctl: { CreateMountpoint: true } } : {}
    return { Type: 'bind', Source: hostPath.path, ...CreateMountpoint }
  }
  if (persistentVolumeClaim !== undefined) {
    const { claimName } = persistentVolumeClaim
    if (!context.claims.has(claimName)) {
      const text = `there is no PersistentVolumeClaim ${claimName} in these files: apply it along`
      throw new ManifestProblem(place, text)
    }
    context.note(
      `PersistentVolumeClaim ${claimName}: is a volume of the node that a task runs on; its size is not limited`,
    )
    const { NoCopy, Swarmctl } = newFolder(context.fsGroup)
    const Labels = { [NAMESPACE_LABEL]: context.namespace }
    return {
      Type: 'volume',
      Source: `${context.namespace}_${claimName}`,
      ...(persistentVolumeClaim.readOnly && { ReadOnly: true }),
      VolumeOptions: { ...NoCopy, Labels, ...(Subpath || {}) },
      Swarmctl,
    }
  }
  if (emptyDir !== undefined) return emptyDirOf(emptyDir, name, context)
  throw new ManifestProblem(place, `the volume ${name} has no source that is supported`)
}

const emptyDirOf = (
  emptyDir: NonNullable<Volume['emptyDir']> | null,
  name: string,
  { path, fsGroup }: MountContext,
): Mount => {
  if (emptyDir?.medium !== 'Memory') {
    if (emptyDir?.sizeLimit !== undefined) {
      throw new ManifestProblem([...path], `the volume ${name}: a sizeLimit needs medium: Memory`)
    }
    const { NoCopy, Swarmctl } = newFolder(fsGroup)
    return { Type: 'volume', VolumeOptions: NoCopy, Swarmctl }
  }
  const size = emptyDir.sizeLimit === undefined ? undefined : memoryBytes(emptyDir.sizeLimit)
  if (emptyDir.sizeLimit !== undefined && !size) {
    const text = `the volume ${name}: "${emptyDir.sizeLimit}" is no quantity above 0`
    throw new ManifestProblem([...path], text)
  }
  return { Type: 'tmpfs', ...(size !== undefined && { TmpfsOptions: { SizeBytes: size } }) }
}
