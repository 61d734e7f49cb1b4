import { StackFileProblem } from '../stack-error.ts'
import { entry, scalarText, type ValueMap } from '../value.ts'
import type { FileVersion } from './schema.ts'

/** The newest format; what a file without `version`, or with `3`, is read as. */
export const LATEST_VERSION: FileVersion = '3.13'
const MINOR_MAX = 13

/** The format version that a file asks for. Thrown: StackFileProblem for one that is not 3.0 to 3.13. */
export const fileVersion = (root: ValueMap): FileVersion => {
  const given = entry(root, 'version')
  if (given === undefined) return LATEST_VERSION
  const text = typeof given === 'object' ? '' : scalarText(given)
  if (text === '' || text === '3') return LATEST_VERSION
  const minor = /^3\.(0|[1-9][0-9]?)$/.exec(text)?.[1]
  if (minor === undefined || Number(minor) > MINOR_MAX) {
    throw new StackFileProblem(
      ['version'],
      `unsupported Compose file version: ${text}; use 3.0 to ${LATEST_VERSION} or leave it out`,
    )
  }
  return `3.${Number(minor)}`
}

/** Whether `version` is `least` or newer. */
export const isAtLeast = (version: FileVersion, least: FileVersion): boolean =>
  minorOf(version) >= minorOf(least)

const minorOf = (version: FileVersion): number => Number(version.slice(2))
