import t from 'tap'
import { labTest } from '../support/lab/lab-test.ts'
import { Campaign, MANAGERS } from '../support/robustness/campaign.ts'
import { FAULTS } from '../support/robustness/faults.ts'

// Real managers under write load: each kind of fault once. `npm run bench:robustness` goes on for 100 rounds.

labTest(t, 'managers under faults', { hosts: MANAGERS }, async (t, lab) => {
  const outcome = await new Campaign(lab, (line) => t.comment(line)).run(FAULTS.length)
  t.comment(`${outcome.writes} writes, ${outcome.reads} reads, ${outcome.unknown} without answer`)
  t.strictSame(outcome.lost, [], 'safety: no acknowledged write is lost')
  t.strictSame(outcome.violations, [], 'safety: no stale read')
  t.equal(outcome.rounds.length, FAULTS.length)
  t.ok(outcome.writes > FAULTS.length * 10, 'writes went on')
  t.ok(outcome.created > 0, 'so did new objects')
})
