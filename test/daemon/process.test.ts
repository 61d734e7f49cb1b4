/** The daemon's process: signals, a start that fails, and a log on disk that can't be written. */
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { freePort } from '../support/daemon/crash-node.ts'
import { StandInEngine } from '../support/http/stand-in-engine.ts'
import { unixRequest } from '../support/lab/unix-request.ts'

const BIN = join(import.meta.dirname, '../../bin/swarmctl.ts')
const NOBODY = 65_534

/** Its devices, rules and mounts are its own, and go with it. */
const APART = ['unshare', '--net', '--mount', 'sh', '-c', 'ip link set lo up && exec "$0" "$@"']

const begin = (t: Test, options: SpawnOptions & { engine?: string } = {}) => {
  const dir = mkdtempSync(join(tmpdir(), 'swarmctl-process-'))
  chmodSync(dir, 0o777)
  const places = ['--data-dir', join(dir, 'data'), '--run-dir', join(dir, 'run')]
  const engine = ['--docker-host', `unix://${options.engine ?? `${dir}/no-engine.sock`}`]
  // Without what tap lets every Node write at its end: tap puts it into the environment of whatever a test spawns.
  const plain = ['env', '-u', 'NODE_OPTIONS', process.execPath]
  const [file, ...args] = options.engine === undefined ? plain : [...APART, ...plain]
  const child = spawn(file as string, [...args, BIN, 'daemon', ...places, ...engine], {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text) => {
      said += text
    })
  }
  const exited = once(child, 'close') as Promise<[code: number | null, signal: string | null]>
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
    rmSync(dir, { recursive: true })
  })
  const until = async (word: string) => {
    while (!said.includes(word)) {
      if (child.exitCode !== null) throw new Error(`it ended: ${said}`)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }
  return { child, exited, until, said: () => said, socket: join(dir, 'run/docker.sock') }
}

const isHeld = async (child: ChildProcess) => {
  await new Promise((resolve) => setTimeout(resolve, 300))
  return child.exitCode === null && child.signalCode === null
}

t.test('SIGHUP ends nothing, SIGTERM ends it in order', async (t) => {
  const { child, exited, until, socket } = begin(t)
  await until('API socket open')
  child.kill('SIGHUP')
  await until('SIGHUP: there are no settings')
  t.ok(await isHeld(child))
  child.kill('SIGTERM')
  t.strictSame(await exited, [0, null])
  t.notOk(existsSync(socket))
})

t.test('a signal while it starts is not lost', async (t) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const { child, exited, until, socket } = begin(t)
    await until('swarmctl daemon starts')
    child.kill(signal)
    t.strictSame(await exited, [0, null], signal)
    t.notOk(existsSync(socket))
  }
})

const hasGroup = /^docker:/m.test(readFileSync('/etc/group', 'utf8'))
const isRoot = process.getuid?.() === 0
const skip = isRoot && hasGroup ? false : 'needs root, and the group docker'

t.test('a start that fails ends the process with one line', { skip }, async (t) => {
  const { exited, said } = begin(t, { uid: NOBODY, gid: NOBODY })
  t.strictSame(await exited, [1, null])
  t.match(said(), /^swarmctl: EPERM[^\n]*$/m)
})

t.test('without its Engine a node joins nothing, and says why', async (t) => {
  const { until, socket } = begin(t)
  await until('API socket open')
  const addresses = { ListenAddr: '127.0.0.1:0', AdvertiseAddr: '127.0.0.1:0' }
  for (const [path, body] of [
    ['/swarm/init', addresses],
    ['/swarm/join', { ...addresses, RemoteAddrs: ['127.0.0.1:1'], JoinToken: 'SWMTKN-1-x' }],
  ] as const) {
    const answer = await unixRequest(socket, path, { body })
    t.equal(answer.status, 503, path)
    t.match(answer.text, /"message":"the Docker Engine does not answer: connect ENOENT [^"]*"/)
  }
  const info = await unixRequest(socket, '/swarm')
  t.equal(info.status, 503, 'it is in no swarm')
})

t.test('a log that refuses a write ends it', { skip: isRoot ? false : 'needs root' }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'swarmctl-process-engine-'))
  const engine = new StandInEngine(join(dir, 'engine.sock'))
  await engine.start()
  t.teardown(async () => {
    await engine.stop()
    rmSync(dir, { recursive: true })
  })
  const { child, exited, until, said, socket } = begin(t, { engine: engine.socketPath })
  await until('API socket open')
  const address = `127.0.0.1:${await freePort()}`
  const init = { ListenAddr: address, AdvertiseAddr: address }
  t.equal((await unixRequest(socket, '/swarm/init', { body: init })).status, 200)
  const create = (Name: string) =>
    unixRequest(socket, '/configs/create', { body: { Name, Labels: {}, Data: 'eA==' } })
  t.equal((await create('before')).status, 201)
  // From now on the kernel refuses it every write to a file (EFBIG).
  const limit = spawnSync('prlimit', ['--pid', String(child.pid), '--fsize=1:1'])
  t.equal(limit.status, 0, String(limit.stderr))
  const answer = await create('after').catch(() => undefined)
  t.not(answer?.status, 201, 'what is not on the disk is not acknowledged')
  t.strictSame(await exited, [1, null])
  const last = said().trim().split('\n').at(-1) ?? ''
  t.match(last, /the log could not be written.*the state on disk is unknown, the daemon has to end/)
})
