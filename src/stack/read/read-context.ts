import type { Interpolation } from '../interpolate/interpolate.ts'

/** What reading a tree needs besides the tree; what is noted is accepted but not used, or has a better form. */
export interface ReadContext extends Interpolation {
  /** Absolute: where relative paths in files start: the directory of the first stack file, or of the included or extended one. */
  projectDir: string
}
