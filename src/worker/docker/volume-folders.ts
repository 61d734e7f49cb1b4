import { chmod, chown, readdir, stat } from 'node:fs/promises'
import { normalize } from 'node:path/posix'
import { SwarmctlError } from '../../api/errors.ts'
import type { Mount } from '../../api/service-spec.ts'

/** A mount of a container as the Engine tells it; `Source` is a folder of the Engine's machine. */
export interface FoundMount {
  Type: string
  Source: string
  Destination: string
}

const wantsFolder = ({ Swarmctl }: Mount): boolean =>
  Swarmctl?.VolumeMode !== undefined || Swarmctl?.VolumeGID !== undefined

/** Whether any of the mounts has something to be done before the container starts. */
export const wantFolders = (mounts: readonly Mount[]): boolean => mounts.some(wantsFolder)

/**
 * Gives new volumes' folders the group and the permissions that the spec asks for: the Engine makes them root's alone. What a volume holds already, and
 * whose folder was given to somebody, stays as it is.
 * @throws SwarmctlError FAILED_PRECONDITION
 */
export const prepareFolders = async (
  mounts: readonly Mount[],
  found: readonly FoundMount[],
  isLocal: boolean,
): Promise<void> => {
  for (const mount of mounts.filter(wantsFolder)) {
    const target = mount.Target ?? ''
    const folder = found.find(
      ({ Type, Destination }) => Type === 'volume' && isSamePath(Destination, target),
    )
    try {
      if (!isLocal) throw new Error('the Docker Engine is not on this machine')
      if (folder !== undefined) await prepareFolder(folder.Source, mount.Swarmctl ?? {})
    } catch (cause) {
      const text = `the volume at ${target} can't be given its group and permissions: ${(cause as Error).message}`
      throw new SwarmctlError('FAILED_PRECONDITION', text, { cause })
    }
  }
}

const prepareFolder = async (
  path: string,
  { VolumeMode, VolumeGID }: NonNullable<Mount['Swarmctl']>,
): Promise<void> => {
  const { uid } = await stat(path)
  if (uid !== 0 || (await readdir(path)).length > 0) return
  // In this order: another group takes the set-group bit away.
  if (VolumeGID !== undefined) await chown(path, uid, VolumeGID)
  if (VolumeMode !== undefined) await chmod(path, VolumeMode)
}

const isSamePath = (a: string, b: string): boolean => withoutSlash(a) === withoutSlash(b)

const withoutSlash = (path: string): string => normalize(path).replace(/(.)\/$/, '$1')
