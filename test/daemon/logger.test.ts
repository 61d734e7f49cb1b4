/** What becomes of the daemon's log where it can't be written, and where nobody turns it. */
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createLog } from '../../src/daemon/logger.ts'

const openFile = (t: Test) => {
  const dir = mkdtempSync(join(tmpdir(), 'swarmctl-log-'))
  const file = join(dir, 'daemon.log')
  const fd = openSync(file, 'a')
  t.teardown(() => {
    closeSync(fd)
    rmSync(dir, { recursive: true })
  })
  return { file, fd, lines: (path = file) => readFileSync(path, 'utf8').trim().split('\n') }
}

t.test('a full disk behind the log is nobody’s failure', async (t) => {
  const fd = openSync('/dev/full', 'w')
  t.teardown(() => closeSync(fd))
  const log = createLog('info', { fd })
  for (let count = 0; count < 3; count += 1) log.info({ count }, 'said')
  const before = process.memoryUsage().heapUsed
  const text = 'x'.repeat(10_000)
  for (let count = 0; count < 10_000; count += 1) log.info({ text }, 'said')
  t.ok(process.memoryUsage().heapUsed - before < 50_000_000, 'and does not fill the memory')
})

t.test('a log file of a daemon in the background stays small', async (t) => {
  const { file, fd, lines } = openFile(t)
  const log = createLog('info', { fd, file, fileBytesMax: 10_000 })
  for (let count = 0; count < 1000; count += 1) log.info({ count }, 'said')
  t.ok(statSync(file).size <= 10_100)
  t.ok(statSync(`${file}.1`).size <= 10_100)
  const told = [...lines(`${file}.1`), ...lines()].map((line) => JSON.parse(line).count)
  t.equal(told.at(-1), 999)
  t.strictSame(
    told,
    told.map((_, at) => told[0] + at),
    'no line is missing in between',
  )
})

t.test('a file that is another’s is left alone', async (t) => {
  const { file, fd } = openFile(t)
  writeFileSync(`${file}.mine`, '')
  const log = createLog('info', { fd, file: `${file}.mine`, fileBytesMax: 1000 })
  for (let count = 0; count < 100; count += 1) log.info({ count }, 'said')
  t.ok(statSync(file).size > 5000)
  ftruncateSync(fd)
  const none = createLog('info', { fd, file: `${file}.nowhere`, fileBytesMax: 1000 })
  none.info({}, 'said')
  t.ok(statSync(file).size > 0)
})
