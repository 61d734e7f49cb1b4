/**
 * Scripts whose recorded output shows what a cluster of cores does, to be read by people. After a change
 * that is meant, record them anew with `UPDATE=1 npm test -- test/raft/scripted.test.ts`, and read the difference.
 */
import { globSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import { type RunCommand, runScript } from '../support/raft/script.ts'
import { ScriptedCluster } from '../support/raft/scripted-cluster.ts'
import { runQuorumCommand, ScriptedMembership } from '../support/raft/scripted-membership.ts'

const DATA = join(import.meta.dirname, 'testdata')

/** Each script begins with nothing. */
const KINDS: Record<string, () => RunCommand> = {
  cluster: () => {
    const cluster = new ScriptedCluster()
    return (command) => cluster.run(command)
  },
  membership: () => {
    const membership = new ScriptedMembership()
    return (command) => membership.run(command)
  },
  quorum: () => runQuorumCommand,
}

for (const [kind, begin] of Object.entries(KINDS)) {
  t.test(`${kind} scripts print what was recorded`, async (t) => {
    const paths = globSync(join(DATA, kind, '*.txt')).sort()
    t.ok(paths.length > 0, 'there are scripts')
    for (const path of paths) {
      const { recorded, actual } = runScript(path, begin())
      t.equal(actual, recorded, basename(path))
    }
  })
}
