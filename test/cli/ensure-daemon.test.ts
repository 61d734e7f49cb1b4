import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { asNobody } from '../support/as-nobody.ts'
import { type RunOptions, runCli } from '../support/cli/run-cli.ts'
import { startNode } from '../support/http/api-node.ts'

/** A machine without a daemon; one that is started answers at the socket that its arguments name. */
const startMachine = async (t: { teardown(end: () => void | Promise<void>): void }) => {
  const node = await startNode(t, { seed: false })
  const dir = mkdtempSync(join(tmpdir(), 'swarmctl-ensure-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  const begun: string[][] = []
  const launcher = {
    async start(args: string[]) {
      begun.push(args)
      symlinkSync(node.socketPath, args[args.indexOf('--socket') + 1]!)
      return { description: 'log file /run/x/daemon.log', hasEnded: async () => false }
    },
  }
  const run = (args: string[], options: RunOptions = {}) => runCli(args, { launcher, ...options })
  return { node, dir, begun, run }
}

const CASES: [what: string, line: (dir: string) => string, env?: (dir: string) => string][] = [
  ['--host', (dir) => `-H unix://${dir}/a.sock init`],
  ['SWARMCTL_HOST', () => 'init', (dir) => `unix://${dir}/a.sock`],
  ['--host before SWARMCTL_HOST', (dir) => `-H unix://${dir}/a.sock init`, () => 'unix:///b.sock'],
  ['--socket before both', (dir) => `-H tcp://h:1 init --socket ${dir}/a.sock`, () => 'tcp://h:2'],
  ['--socket as a host', (dir) => `init --socket unix://${dir}/a.sock`],
  ['join', (dir) => `-H unix://${dir}/a.sock join --token SWMTKN-1-a-b 10.0.0.1`],
]

t.test('a started daemon gets the socket at which its caller waits', async (t) => {
  for (const [what, line, env] of CASES) {
    const { node, dir, begun, run } = await startMachine(t)
    const ran = await run(line(dir).split(' '), env ? { env: { SWARMCTL_HOST: env(dir) } } : {})
    t.match(ran, { code: 0, err: /^Started the swarmctl daemon \(log file .*\)\n$/ }, what)
    t.equal(begun.length, 1, what)
    t.match(begun[0]!.join(' '), `--run-dir /run/swarmctl --socket ${dir}/a.sock `, what)
    t.equal(node.swarm.calls.length, 1, `${what}: the started daemon was asked`)
  }
})

t.test('a run directory of its own holds the socket, unless a host is named', async (t) => {
  const own = await startMachine(t)
  t.match(await own.run(['init', '--run-dir', own.dir]), { code: 0 })
  t.match(own.begun[0]!.join(' '), `--run-dir ${own.dir} --socket ${own.dir}/docker.sock `)
  const named = await startMachine(t)
  const host = `unix://${named.dir}/a.sock`
  t.match(await named.run(['-H', host, 'init', '--run-dir', '/r']), { code: 0 })
  t.match(named.begun[0]!.join(' '), `--run-dir /r --socket ${named.dir}/a.sock `)
})

t.test('directories are absolute: systemd starts the daemon elsewhere', async (t) => {
  const { dir, begun, run } = await startMachine(t)
  const relative = ['--data-dir', 'data', '--run-dir', './run']
  t.match(await run(['init', '--socket', `${dir}/a.sock`, ...relative]), { code: 0 })
  const cwd = process.cwd()
  t.match(begun[0]!.join(' '), `--data-dir ${cwd}/data --run-dir ${cwd}/run --socket `)
})

t.test('a daemon that ends right after its start is not waited for', async (t) => {
  const { dir } = await startMachine(t)
  const launcher = {
    start: async () => ({ description: 'log file /run/x/daemon.log', hasEnded: async () => true }),
  }
  const sleep = () => Promise.reject(new Error('waited'))
  t.match(await runCli(['init', '--socket', `${dir}/a.sock`], { launcher, sleep }), {
    code: 1,
    err: /\nswarmctl: the daemon ended right after its start: see log file \/run\/x\/daemon.log\n$/,
  })
})

t.test('another user’s daemon is none to start one beside', async (t) => {
  const { dir, begun, run } = await startMachine(t)
  const host = `unix://${dir}/docker.sock`
  const refusal = `swarmctl: you may not use the swarmctl daemon at ${host} (EACCES): run the command as root or as a member of the group docker\n`
  t.match(await asNobody(dir, () => run(['-H', host, 'init'])), { code: 1, err: refusal })
  t.match(await asNobody(dir, () => run(['-H', host, 'node', 'ls'])), { code: 1, err: refusal })
  t.same(begun, [])
})

t.test('no daemon is started where one answers, or where none can be started', async (t) => {
  const { node, begun, run } = await startMachine(t)
  t.match(await run(['-H', node.host, 'init']), { code: 0, err: '' })
  // Port 1 is nobody's.
  t.match(await run(['-H', 'tcp://127.0.0.1:1', 'init']), {
    code: 1,
    err: /^swarmctl: no swarmctl daemon answers at tcp:\/\/127.0.0.1:1, .*run "swarmctl daemon" on that machine, or leave out --host and SWARMCTL_HOST[^\n]*\n$/,
  })
  t.match(await run(['-H', 'ssh://x', 'init']), {
    code: 1,
    err: /^swarmctl: invalid --host "ssh:\/\/x"[^\n]*\n$/,
  })
  t.same(begun, [])
})
