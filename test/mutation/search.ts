// Runs the simulation, seed after seed, until one breaks an invariant: a line with the seed before each
// run, then one with what broke. `run.ts` starts it, so that a run that hangs can be ended.

import { RaftSimulation } from '../support/raft/raft-simulation.ts'

const first = Number(process.env.FROM ?? 1)
const count = Number(process.env.SEEDS ?? 2_000)

for (let seed = first; seed < first + count; seed += 1) {
  process.stdout.write(`seed ${seed}\n`)
  try {
    await new RaftSimulation(seed).run()
  } catch (error) {
    // The mutation itself is no program: that is no find.
    if (error instanceof ReferenceError || error instanceof SyntaxError) throw error
    const message = error instanceof Error ? error.message : String(error)
    process.stdout.write(`broken ${message.split('\n')[0]}\n`)
    process.exit(0)
  }
}
process.stdout.write('nothing\n')
