import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { startUnit } from '../../src/daemon/launch.ts'

t.test('the unit of a daemon', async (t) => {
  const unitPath = join(t.testdir(), 'swarmctl.service')
  const calls: string[] = []
  let isActive = false
  let isFailed = false
  const systemd = {
    unitPath,
    async systemctl(...args: string[]) {
      calls.push(args.join(' '))
      if (args[0] === 'is-active' && !isActive) throw new Error('inactive')
      if (args[0] === 'is-failed' && !isFailed) throw new Error('not failed')
    },
  }
  const first = ['--data-dir', '/var/lib/a b', '--socket', '/run/100%.sock']
  const launched = await startUnit(first, systemd)
  t.match(launched.description, /systemd unit swarmctl, log: /)
  t.strictSame(calls.splice(0), ['daemon-reload', 'enable --now swarmctl'])
  t.equal(await launched.hasEnded(), false)
  isFailed = true
  t.equal(await launched.hasEnded(), true)
  t.strictSame(calls.splice(0), ['is-failed --quiet swarmctl', 'is-failed --quiet swarmctl'])
  const text = await readFile(unitPath, 'utf8')
  t.equal((await stat(unitPath)).mode & 0o777, 0o644, 'as unit files are')
  t.match(
    text,
    /\nExecStart=".*" "daemon" "--data-dir" "\/var\/lib\/a b" "--socket" "\/run\/100%%.sock"\n/,
  )

  isActive = true
  await startUnit(first, systemd)
  t.strictSame(calls.splice(0), ['daemon-reload', 'enable --now swarmctl'], 'the same once more')
  const second = ['--socket', '/run/other.sock']
  await t.rejects(startUnit(second, systemd), {
    code: 'FAILED_PRECONDITION',
    message:
      /another daemon of this machine: start this one yourself: swarmctl daemon --socket \/run\/other.sock$/,
  })
  t.equal(await readFile(unitPath, 'utf8'), text, 'that of the running daemon stays')
  isActive = false
  await startUnit(second, systemd)
  t.match(await readFile(unitPath, 'utf8'), '/run/other.sock', 'one that has ended gives way')
})
