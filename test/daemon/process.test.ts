/** The daemon's process, on a machine in no swarm: signals, and a start that fails. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'

const BIN = join(import.meta.dirname, '../../bin/swarmctl.ts')
const NOBODY = 65_534

const begin = (t: Test, options: SpawnOptions = {}) => {
  const dir = mkdtempSync(join(tmpdir(), 'swarmctl-process-'))
  chmodSync(dir, 0o777)
  const places = ['--data-dir', join(dir, 'data'), '--run-dir', join(dir, 'run')]
  const engine = ['--docker-host', `unix://${dir}/no-engine.sock`]
  const child = spawn(process.execPath, [BIN, 'daemon', ...places, ...engine], {
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
const skip = process.getuid?.() !== 0 || !hasGroup ? 'needs root, and the group docker' : false

t.test('a start that fails ends the process with one line', { skip }, async (t) => {
  const { exited, said } = begin(t, { uid: NOBODY, gid: NOBODY })
  t.strictSame(await exited, [1, null])
  t.match(said(), /^swarmctl: EPERM[^\n]*$/m)
})
