import type { Environment } from '../interpolate/interpolate.ts'

/** What reading a tree needs besides the tree. */
export interface ReadContext {
  env: Environment
  /** Absolute: where relative paths in files start: the directory of the first stack file, or of the included or extended one. */
  projectDir: string
  /** Collects a warning about something that is accepted but not used, or that has a better form. */
  note(text: string): void
}
