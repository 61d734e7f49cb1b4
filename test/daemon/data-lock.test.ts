/** One daemon for one data directory. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Daemon } from '../../src/daemon/daemon.ts'
import { lockData } from '../../src/daemon/data-lock.ts'
import { systemClock } from '../../src/daemon/system-clock.ts'
import { noLog } from '../support/rpc/cluster-fixture.ts'

t.test('a second daemon at another socket does not get the first one’s data', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'swarmctl-lock-'))
  t.teardown(() => rm(dir, { recursive: true }))
  const daemon = (name: string) =>
    new Daemon(
      { clock: systemClock, log: noLog, random: Math.random, onFatal: () => {} },
      {
        ...{ dataDir: join(dir, 'data'), runDir: join(dir, name), socket: join(dir, name, 's') },
        dockerHost: `unix://${dir}/no-engine.sock`,
        ...{ dataPlane: 'proxy', dataPathPort: 4789, logLevel: 'error' },
      },
    )
  const [first, second] = [daemon('1'), daemon('2')]
  await first.start()
  await t.rejects(second.start(), {
    code: 'FAILED_PRECONDITION',
    message: /^another daemon uses .*data: stop it first, or give this one its own --data-dir/,
  })
  await second.stop()
  const twin = daemon('1')
  await t.rejects(twin.start(), { message: /^another daemon answers at / })
  await twin.stop()
  t.ok(existsSync(join(dir, '1/s')), 'the first one’s socket is left alone')
  await first.stop()
  await second.start()
  await second.stop()
})

t.test('a daemon that was killed keeps nothing, however long the path is', async (t) => {
  const dir = join(t.testdir({}), 'x'.repeat(120))
  await mkdir(dir)
  const source = join(import.meta.dirname, '../../src/daemon/data-lock.ts')
  const script = `import { lockData } from ${JSON.stringify(source)}
await lockData(${JSON.stringify(dir)})
console.log('held')
setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script])
  await once(child.stdout, 'data')
  await t.rejects(lockData(dir), /another daemon uses/)
  child.kill('SIGKILL')
  await once(child, 'close')
  t.ok(existsSync(join(dir, 'daemon.lock')), 'left behind')
  const unlock = await lockData(dir)
  await unlock()
  t.notOk(existsSync(join(dir, 'daemon.lock')))
})
