import t from 'tap'
import { ManagerSimulation, type RunCounts } from '../support/managers/manager-simulation.ts'

/** Fixed seeds, so that a change is compared with the runs before it. */
const SEEDS = 300

const chosen = process.env.SEED
const first = chosen === undefined ? Number(process.env.FROM ?? 1) : Number(chosen)
const count = chosen === undefined ? Number(process.env.SEEDS ?? SEEDS) : 1

/** What must have happened somewhere in many runs, or the runs prove less than they say. */
const HAPPENS = [
  ...['terms', 'snapshots', 'memberships', 'done', 'unknown', 'reads', 'staleReads', 'torn'],
  ...['ioErrors', 'crashes', 'blackouts', 'partitions', 'pauses', 'resets', 'fullDisks', 'rots'],
  ...['damaged', 'lostDisks', 'restarts', 'demotions', 'promotions', 'leaves', 'jumps', 'services'],
  ...['kills', 'rolls', 'bulk', 'refusedSnapshots'],
]

t.test(`managers keep their promises under faults (${count} seeds from ${first})`, async (t) => {
  const total: RunCounts = {}
  for (let seed = first; seed < first + count; seed += 1) {
    const simulation = new ManagerSimulation(seed)
    try {
      const counts = await simulation.run()
      for (const [name, times] of Object.entries(counts)) total[name] = (total[name] ?? 0) + times
    } catch (error) {
      const again = `npm run sim -- --level managers --from ${seed} --seeds 1 --trace`
      t.comment(`trace ${simulation.trace.digest()}, its end:`)
      for (const line of simulation.trace.tail(40)) t.comment(line)
      t.fail(`seed ${seed}: ${(error as Error).message}; again: ${again}`)
      return
    }
  }
  t.comment(JSON.stringify(total))
  t.ok((total.done ?? 0) > count, 'writes went through')
  if (count >= SEEDS) {
    const never = HAPPENS.filter((name) => (total[name] ?? 0) === 0)
    t.strictSame(never, [], 'every fault and every change happened')
  }
})

t.test('two runs of one seed are the same to the byte', async (t) => {
  const digests: string[] = []
  for (const seed of [first, first, first + 1]) {
    const simulation = new ManagerSimulation(seed)
    // That it passes is what the other test is about.
    await simulation.run().catch(() => {})
    digests.push(simulation.trace.digest())
  }
  t.equal(digests[0], digests[1])
  t.not(digests[0], digests[2], 'another seed is another run')
})
