/** The executable's own streams. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { ReadStream } from 'node:tty'
import t from 'tap'
import { askSecret } from '../../src/cli/ask-secret.ts'

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

t.test('Ctrl-C ends the wait for standard input', async (t) => {
  const host = join(import.meta.dirname, '../../src/cli/process-host.ts')
  const script = `
    import { createHost } from '${host}'
    const { readSecret } = createHost()
    const line = readSecret('')
    process.kill(process.pid, 'SIGINT')
    console.log(await line.catch(({ name }) => name))`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.teardown(() => void child.kill('SIGKILL'))
  let out = ''
  child.stdout.on('data', (chunk) => {
    out += chunk
  })
  const [code] = await once(child, 'close')
  t.strictSame([code, out], [0, 'AbortError\n'])
})

t.test('a Ctrl-C of before the prompt ends it as well', async (t) => {
  const said: string[] = []
  const output = { write: (text: string) => said.push(text) }
  const input = Object.create(ReadStream.prototype) as ReadStream
  await t.rejects(askSecret(input, output, 'Key: ', AbortSignal.abort()), { name: 'AbortError' })
  t.strictSame(said, [])
})
