/** This executable's version, which the build fills in. */
export const VERSION: string = process.env.SWARMCTL_VERSION ?? '0.0.0-source'
