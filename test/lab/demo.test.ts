import { existsSync, readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import { ask } from '../../scripts/demo/traffic.ts'
import { type CommandOptions, runCommand } from '../support/lab/command.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'

// Two commands: `npm run demo` from start to `--down`, on three nodes and on one.

const ROOT = resolve(import.meta.dirname, '../..')
const DEMO_TIMEOUT_MS = 280_000

const demoArgs = (dir: string, ...args: string[]) => [
  'run',
  '-s',
  'demo',
  '--',
  '--dir',
  dir,
  ...args,
]

labTest(t, 'the demo', { hosts: 1, image: false }, async (t, lab) => {
  const h1 = lab.host(1) as LabHost

  await t.test('three nodes: a story that ends well, a swarm that stays, no trace', async (t) => {
    const dir = `${h1.dir}/demo`
    const demo = (args: string[], options: CommandOptions = {}) =>
      runCommand('npm', demoArgs(dir, ...args), {
        cwd: ROOT,
        timeoutMs: DEMO_TIMEOUT_MS,
        check: false,
        ...options,
      })
    const told = await demo([])
    t.equal(told.code, 0, told.stderr)
    t.equal(told.stderr, '')
    t.match(told.stdout, /h3 +Ready +Active +Reachable/)
    t.match(told.stdout, /demo_web +replicated +6\/6/)
    for (const [, answers] of told.stdout.matchAll(/GET http:\S+ +→ +(.*)/g)) {
      t.ok(new Set(answers?.split(', ')).size > 1, `answered in turn: ${answers}`)
    }
    t.equal(told.stdout.match(/GET http:\S+ +→/g)?.length, 3, 'every node was asked')
    t.match(told.stdout, /\d requests answered: \d+ by version 1, \d+ by version 2/)
    t.match(told.stdout, / 0 requests failed/)
    t.match(told.stdout, /demo_web\.\d runs again on h\d/)
    t.match(told.stdout, /All 6 run again, on h1 and h2/)
    t.notMatch(told.stdout, '\u001b', 'colours only on a terminal')
    t.match(told.stdout, '--down')

    const slot = /SWARMCTL_HOST=unix:\/\/\/tmp\/swl-(\d+)\//.exec(told.stdout)?.[1]
    const url = /curl (http:\S+)/.exec(told.stdout)?.[1]
    t.equal((await ask(url ?? '')).version, '2', 'the swarm outlives the demo')
    const again = await demo([])
    t.equal(again.code, 1)
    t.match(again.stderr, /runs already/)

    const down = await demo(['--down'])
    t.equal(down.code, 0, down.stderr)
    const name = new RegExp(`^swl-?${slot}([a-z.].*)?$`)
    const remains = ['/tmp', '/run/netns', '/sys/class/net', '/sys/fs/cgroup']
      .filter((folder) => existsSync(folder))
      .flatMap((folder) => readdirSync(folder).filter((entry) => name.test(entry)))
    t.strictSame(remains, [])
    t.notOk(existsSync(dir))
    const rules = (await runCommand('iptables-save', [], { check: false })).stdout
    t.notMatch(rules, new RegExp(`swl${slot} `))
    t.match((await demo(['--down'])).stdout, /nothing to remove/)
  })

  await t.test('one node: the own Engine of the machine, left as it was', async (t) => {
    const demo = (...args: string[]) =>
      h1.exec('npm', demoArgs('/run/demo', ...args), {
        cwd: ROOT,
        timeoutMs: DEMO_TIMEOUT_MS,
        check: false,
        env: { DOCKER_HOST: `unix://${h1.dockerSocket}` },
      })
    const told = await demo('--nodes', '1')
    t.equal(told.code, 0, told.stderr + told.stdout)
    t.match(told.stdout, /6\/6/)
    t.match(told.stdout, / 0 requests failed/)
    t.match(told.stdout, /runs again on h1/)
    const url = /curl (http:\S+)/.exec(told.stdout)?.[1]
    t.match((await h1.exec('curl', ['-s', url ?? ''])).stdout, /"version":"2"/)
    const down = await demo('--down')
    t.equal(down.code, 0, down.stderr)
    t.equal((await h1.docker(['ps', '-aq'])).stdout, '')
    t.equal((await h1.docker(['images', '-q'])).stdout, '')
    t.notMatch((await h1.docker(['network', 'ls'])).stdout, /swarmctl/)
    t.notMatch((await h1.exec('ip', ['-o', 'link'])).stdout, /sw-/)
    t.notMatch((await h1.exec('nft', ['list', 'tables'])).stdout, /swarmctl/)
    t.notMatch((await h1.exec('ps', ['-e', '-o', 'args'])).stdout, /swarmctl daemon/)
    t.notMatch((await h1.exec('ls', ['/run'])).stdout, /demo/)
  })

  await t.test('says exactly what is missing', async (t) => {
    const run = (file: string, args: string[], env: Record<string, string> = {}) =>
      h1.exec(file, args, { cwd: ROOT, check: false, env, timeoutMs: DEMO_TIMEOUT_MS })
    const user = ['--reuid=65534', '--regid=65534', '--clear-groups']
    // Without what tap lets every Node write at its end: tap puts it into the environment of whatever a test spawns.
    const plain = ['-u', 'NODE_OPTIONS', 'setpriv', ...user]
    const unprivileged = await run('env', [...plain, process.execPath, 'scripts/demo.mjs'])
    t.equal(unprivileged.code, 1)
    t.match(unprivileged.stderr, /^demo: needs root .*sudo npm run demo\n$/)
    const args = demoArgs('/run/demo', '--nodes', '1')
    const noEngine = await run('npm', args, { DOCKER_HOST: 'unix:///run/nobody.sock' })
    t.equal(noEngine.code, 1)
    t.match(noEngine.stderr, /no Docker Engine answers at unix:\/\/\/run\/nobody\.sock/)
    const two = await run('npm', demoArgs('/run/demo', '--nodes', '2'))
    t.match(two.stderr, /--nodes is 1, or 3 to 7/)
    t.equal(two.stderr.trim().split('\n').length, 1)
  })
})
