/** Filled in by the build (esbuild `define`). */
declare const SWARMCTL_VERSION: string | undefined

/** This executable's version. */
export const VERSION: string =
  typeof SWARMCTL_VERSION === 'string' ? SWARMCTL_VERSION : '0.0.0-source'
