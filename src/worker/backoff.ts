/** How long to wait before attempt number `attempt` (1 is the first retry): doubling, from half to all of it. `random` is in [0, 1). */
export const backoffMs = (
  attempt: number,
  options: { minMs: number; maxMs: number },
  random: number,
): number => {
  const fullMs = Math.min(options.maxMs, options.minMs * 2 ** Math.min(attempt - 1, 20))
  return fullMs * (0.5 + random / 2)
}
