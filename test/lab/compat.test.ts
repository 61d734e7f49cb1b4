import t from 'tap'
import { CHAPTERS, COMPAT_HOSTS, compareWithSwarm } from '../../compat/against-swarm.ts'
import { labTest } from '../support/lab/lab-test.ts'

// Debian's docker CLI, command by command, against Docker Swarm on the next hosts. `npm run compat` takes further CLIs.

/** What makes and ends clusters in the middle of a run takes the longest: `npm run compat` has it. */
const CHAPTERS_HERE = CHAPTERS.filter(({ name }) => !['swarm settings', 'leave'].includes(name))

labTest(t, 'compared with Docker Swarm', { hosts: COMPAT_HOSTS }, async (t, lab) => {
  const report = await compareWithSwarm(lab, { cli: '/usr/bin/docker', chapters: CHAPTERS_HERE })
  t.ok(report.steps > 300, `${report.steps} commands`)
  for (const { step, lines, verdict } of report.differences) {
    if (verdict === 'unexplained') t.fail(`docker ${step.run}\n${lines.join('\n')}`)
  }
  t.strictSame(
    report.unused.filter((one) => !one.startsWith('swarm ')),
    [],
    'every flag is used',
  )
})
