import t from 'tap'
import { LogSimulation } from '../support/managers/log-simulation.ts'

/** Seeds are cheap here. Before the defects that it found were mended, one in five broke (docs/design/simulation.md). */
const SEEDS = 400

t.test(
  `a log gives back what it acknowledged, whatever its disk does (${SEEDS} seeds)`,
  async (t) => {
    let rolls = 0
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const simulation = new LogSimulation(seed)
      try {
        rolls += await simulation.run()
      } catch (error) {
        for (const line of simulation.trace.tail(40)) t.comment(line)
        t.fail(`seed ${seed}: ${(error as Error).message}`)
        return
      }
    }
    t.ok(rolls > 5 * SEEDS, `${rolls} segments came into use`)
  },
)
