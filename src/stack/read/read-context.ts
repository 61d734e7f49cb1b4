import type { Environment } from '../interpolate/interpolate.ts'
import type { FileVersion } from '../schema/schema.ts'

/** What reading a tree needs besides the tree. */
export interface ReadContext {
  version: FileVersion
  env: Environment
  /** Absolute: the directory of the first stack file; relative paths in files start here. */
  projectDir: string
  /** Collects a warning about something that is accepted but not used, or that has a better form. */
  note(text: string): void
}
