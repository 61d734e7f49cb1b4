/** As a `Swarmctl.SpecVersion` in a put: apply replaces it by the index of the log entry. */
export const THIS_TRANSACTION = -1
