import { SwarmctlError } from '../api/errors.ts'

/** Refuses the parsed content of a file whose `version` is above the newest known. Throws UNIMPLEMENTED. */
export const refuseNewer = (path: string, content: unknown, versionMax: number): void => {
  const version = (content as { version?: unknown } | null)?.version
  if (typeof version !== 'number' || version <= versionMax) return
  throw new SwarmctlError(
    'UNIMPLEMENTED',
    `${path} was written by a newer swarmctl (format ${version}): run that version`,
  )
}
