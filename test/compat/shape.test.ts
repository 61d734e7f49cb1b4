import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { flagsIn, flagsOf, subcommandsIn, wordsOf } from '../../compat/command-line.ts'
import { KNOWN_DIFFERENCES } from '../../compat/known-differences.ts'
import { differenceOf, shapeOf } from '../../compat/shape.ts'

const ID = 'k2v3pnyqs0dmsnhh5vhtkqz7y'

t.test('what differs from run to run is replaced by its kind', async (t) => {
  const hosts = [['h1', '<manager>']] as const
  for (const [text, shape] of [
    [`ID     NAME\n${ID} *   h1   Ready`, ['ID NAME', '<id> * <manager> Ready']],
    ['xevupttwlwkr   full.2', ['<id> full.2']],
    ['web.1.xevupttwlwkr@h1 | said', ['web.1.<id>@<manager> | said']],
    ['Running 3 seconds ago\nRunning less than a second ago', ['Running <ago>', 'Running <ago>']],
    ['10.1.2.3:2377 10.0.0.0/8', ['<ip>:2377 <ip>']],
    [
      `Error response from daemon: rpc error: code = NotFound desc = x`,
      ['Error response from daemon: x'],
    ],
    ['Use "swarmctl init" (or "docker swarm init") now', ['Use "docker swarm init" now']],
    [
      `docker swarm join --token SWMTKN-1-${'a'.repeat(50)}-${'b'.repeat(25)} x`,
      ['docker swarm join --token <token> x'],
    ],
    [
      'overall progress: 1 out of 2 tasks\n1/2: running\nverify: Service x converged',
      ['verify: Service x converged'],
    ],
  ] as const) {
    t.strictSame(shapeOf(text, hosts), shape)
  }
})

t.test('of JSON each path once: what the user wrote with its value, else its type', async (t) => {
  const text = JSON.stringify([
    { ID, Spec: { Name: 'web', Labels: null, L: [] }, Version: { Index: 3 }, Swarmctl: { x: 1 } },
    { ID, Spec: { Name: 'other', Labels: {} } },
  ])
  t.strictSame(shapeOf(text, []), [
    '[].ID: string',
    '[].Spec.L: empty',
    '[].Spec.Labels: empty',
    '[].Spec.Name: "other"',
    '[].Spec.Name: "web"',
    '[].Version.Index: number',
  ])
  t.strictSame(shapeOf('{"a":1}\n{"a":2}\n', []), ['.a: number'])
  t.strictSame(shapeOf('{not json', []), ['{not json'])
})

t.test('differences keep count and side', async (t) => {
  t.strictSame(differenceOf(['a', 'a', 'b'], ['a', 'c']), ['- a', '- b', '+ c'])
  t.strictSame(differenceOf(['a'], ['a']), [])
})

t.test('command lines and what a CLI’s help says', async (t) => {
  const words = wordsOf("service create --name 'a b' --env=X=1 -- --not")
  t.strictSame(words, ['service', 'create', '--name', 'a b', '--env=X=1', '--', '--not'])
  t.strictSame(flagsOf(words), ['--name', '--env'])
  const help = '\nUsage: x\n\nCommands:\n  create   Make\n  rm       Remove\n\nRun it\n'
  t.strictSame(subcommandsIn(help), ['create', 'rm'])
  const flags = 'Options:\n  -d, --detach          Exit\n      --env list        Set\n'
  t.strictSame(flagsIn(flags), ['--detach', '--env'])
})

t.test('every known difference is explained, and nothing else is', async (t) => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/compatibility.md'), 'utf8')
  const explained = [...page.matchAll(/^\| `([a-z0-9-]+)` \|/gm)].map((match) => match[1])
  const ids = [...new Set(KNOWN_DIFFERENCES.map(({ id }) => id))]
  t.strictSame([...explained].sort(), [...ids].sort())
})
