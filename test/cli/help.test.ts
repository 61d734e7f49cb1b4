import t from 'tap'
import { runCli } from '../support/cli/run-cli.ts'

t.test('help with words is the help of the command that they name', async (t) => {
  const create = await runCli(['service', 'create', '--help'])
  t.match(create.out, /^Usage: swarmctl service create /)
  t.same(await runCli(['help', 'service', 'create']), create)
  t.same(await runCli(['help', 'service', 'create', 'nginx']), create, 'nothing is created')
  t.same(await runCli(['help', 'service']), await runCli(['service', '--help']))
  t.same(await runCli(['help', 'stack', 'up']), await runCli(['stack', 'deploy', '--help']))
})

t.test('help for a mistyped command suggests one', async (t) => {
  for (const [words, suggestion] of [
    [['servce', 'create'], 'service'],
    [['service', 'creat'], 'create'],
  ] as const) {
    const { code, err } = await runCli(['help', ...words])
    t.equal(code, 1)
    t.match(err, `Did you mean ${suggestion}?`)
  }
})
