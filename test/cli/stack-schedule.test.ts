/** A job with a schedule in a stack: planned, deployed without waiting for a run, changed. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { runCli } from '../support/cli/run-cli.ts'
import { startNode } from '../support/http/api-node.ts'

const stack = (cron: string, image = 'backup:1') => `
services:
  backup:
    image: ${image}
    deploy: {mode: replicated-job}
    x-swarmctl: {schedule: {cron: "${cron}", concurrency_policy: Forbid}}
`

t.test('a stack with a schedule', async (t) => {
  const node = await startNode(t)
  const dir = mkdtempSync(join(tmpdir(), 'swarmctl-schedule-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  const file = join(dir, 'stack.yml')
  const run = (line: string) => runCli(['-H', node.host, ...line.split(' ')])
  const plan = () => run(`stack plan -c ${file} shop`)
  const service = () => node.swarm.store.view().byName('service', 'shop_backup')

  writeFileSync(file, stack('0 3 * * *'))
  t.match(await plan(), {
    code: 2,
    out: /\+ service shop_backup\n[\s\S]* Swarmctl\.Schedule: \{"Cron":"0 3 \* \* \*","ConcurrencyPolicy":"Forbid"\}/,
  })
  t.match(await run(`stack deploy --resolve-image never -c ${file} shop`), { code: 0 })
  t.strictSame(service()?.Spec.Swarmctl, {
    Schedule: { Cron: '0 3 * * *', ConcurrencyPolicy: 'Forbid' },
  })
  t.equal(service()?.JobStatus?.JobIteration.Index, 0, 'it did not run')
  t.equal((await plan()).code, 0, 'the same again is no change')

  writeFileSync(file, stack('0 4 * * *', 'backup:2'))
  const changed = (await plan()).out
  t.match(changed, 'Swarmctl.Schedule.Cron: 0 3 * * * → 0 4 * * *')
  t.match(changed, /^~ service shop_backup$/m, 'no task is replaced')
  t.match(await run(`stack deploy --resolve-image never -c ${file} shop`), { code: 0 })
  t.equal(service()?.Spec.TaskTemplate.ContainerSpec?.Image, 'backup:2')
  t.equal(service()?.JobStatus?.JobIteration.Index, 0, 'nor did the update run it')

  writeFileSync(file, stack('0 4 * *'))
  t.match(await plan(), {
    code: 1,
    err: /stack\.yml:6: services\.backup\.x-swarmctl\.schedule: "0 4 \* \*" is no schedule: write five fields/,
  })
})
