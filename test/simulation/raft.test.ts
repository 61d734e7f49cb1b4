import t from 'tap'
import { RaftSimulation } from '../support/raft/raft-simulation.ts'

/** Fixed seeds, so that a change is compared with the runs before it. */
const SEEDS = 200

const chosen = process.env.SEED
const first = chosen === undefined ? 1 : Number(chosen)
const count = chosen === undefined ? Number(process.env.SEEDS ?? SEEDS) : 1

t.test(`raft keeps its promises under faults (${count} seeds from ${first})`, async (t) => {
  let acknowledged = 0
  let terms = 0
  for (let seed = first; seed < first + count; seed += 1) {
    const simulation = new RaftSimulation(seed)
    try {
      await simulation.run()
    } catch (error) {
      t.fail(`SEED=${seed}: ${(error as Error).message}`, { stack: (error as Error).stack ?? '' })
      return
    }
    acknowledged += simulation.checker.acknowledgedCount
    terms += simulation.checker.termCount
  }
  t.comment(`${acknowledged} writes acknowledged in ${terms} terms`)
  t.ok(acknowledged > count, 'writes went through')
})
