/**
 * Capabilities to add and to drop as the API wants them: `CAP_…` in upper case, sorted, without duplicates. What is added is not
 * dropped, and `ALL` stands for every other.
 */
export const parseCapabilities = (
  add: readonly string[],
  drop: readonly string[],
): { add: string[]; drop: string[] } => {
  const added = normalized(add)
  const dropped = normalized(drop)
  return { add: [...added].sort(), drop: [...dropped].filter((one) => !added.has(one)).sort() }
}

const ALL = 'ALL'
/** Means something to `service update` only. */
export const RESET = 'RESET'

const normalized = (names: readonly string[]): Set<string> => {
  const capabilities = new Set(names.map(capability).filter((name) => name !== RESET))
  return capabilities.has(ALL) ? new Set([ALL]) : capabilities
}

/** One name as the API has it; `ALL` and `RESET` are names of their own. */
export const capability = (name: string): string => {
  const upper = name.trim().toUpperCase()
  return upper === ALL || upper === RESET || upper.startsWith('CAP_') ? upper : `CAP_${upper}`
}
