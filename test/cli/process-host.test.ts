/** The executable's own streams. */
import { spawnSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const BIN = join(import.meta.dirname, '../../bin/swarmctl.ts')

t.test('a full disk behind standard output is one line', async (t) => {
  const full = openSync('/dev/full', 'w')
  t.teardown(() => closeSync(full))
  const { status, stderr } = spawnSync(process.execPath, [BIN, 'completion', 'bash'], {
    stdio: ['ignore', full, 'pipe'],
    encoding: 'utf8',
  })
  t.equal(status, 1)
  t.match(stderr, /^swarmctl: standard output can't be written: ENOSPC[^\n]*\n$/)
})
