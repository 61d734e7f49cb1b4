import t from 'tap'
import { RaftSimulation } from '../support/raft/raft-simulation.ts'

/** Fixed seeds, so that a change is compared with the runs before it. */
const SEEDS = 200
const COMMAND = 'npm test -- test/simulation/raft.test.ts'

const chosen = process.env.SEED
const first = chosen === undefined ? Number(process.env.FROM ?? 1) : Number(chosen)
const count = chosen === undefined ? Number(process.env.SEEDS ?? SEEDS) : 1

t.test(`raft keeps its promises under faults (${count} seeds from ${first})`, async (t) => {
  let acknowledged = 0
  let terms = 0
  for (let seed = first; seed < first + count; seed += 1) {
    const simulation = new RaftSimulation(seed)
    try {
      await simulation.run()
    } catch (error) {
      const { message, stack = '' } = error as Error
      t.comment(`trace ${simulation.traceHash}`)
      t.fail(`SEED=${seed} ${COMMAND}: ${message}`, { stack })
      return
    }
    acknowledged += simulation.checker.acknowledgedCount
    terms += simulation.checker.termCount
  }
  t.comment(`${acknowledged} writes acknowledged in ${terms} terms`)
  t.ok(acknowledged > count, 'writes went through')
})

t.test('two runs of one seed are the same to the byte', async (t) => {
  const hashes: string[] = []
  for (const seed of [first, first, first + 1]) {
    const simulation = new RaftSimulation(seed)
    // That it passes is what the other test is about.
    await simulation.run().catch(() => {})
    hashes.push(simulation.traceHash)
  }
  t.equal(hashes[0], hashes[1])
  t.not(hashes[0], hashes[2], 'another seed is another run')
})
