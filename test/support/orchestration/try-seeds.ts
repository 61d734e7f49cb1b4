import type { Test } from 'tap'

/** Runs a simulation by one seed after the other, until one has problems. `SEED=` replays one seed, `SEEDS=` runs that many. */
export const trySeeds = async (
  t: Test,
  simulate: (seed: number) => Promise<string[]>,
  countDefault: number,
): Promise<void> => {
  const { SEED, SEEDS } = process.env
  const seeds =
    SEED === undefined
      ? Array.from({ length: Number(SEEDS ?? countDefault) }, (_, i) => i + 1)
      : [Number(SEED)]
  for (const seed of seeds) {
    const problems = await simulate(seed)
    t.strictSame(problems, [], `SEED=${seed}`)
    if (problems.length > 0) break
  }
}
