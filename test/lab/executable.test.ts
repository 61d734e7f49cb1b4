import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'

// The built executable is a Node of its own: what only that can get wrong.

const SWARMCTL = join(import.meta.dirname, '../../dist/swarmctl')
const folder = mkdtempSync(join(tmpdir(), 'swarmctl-executable-'))
t.teardown(() => rmSync(folder, { recursive: true }))

const run = (args: readonly string[], env: NodeJS.ProcessEnv = {}) =>
  new Promise<{ code: unknown; out: string; err: string }>((resolve) => {
    const host = `unix://${join(folder, 'none.sock')}`
    execFile(
      SWARMCTL,
      args,
      { env: { PATH: process.env.PATH, SWARMCTL_HOST: host, ...env } },
      (error, out, err) => resolve({ code: error?.code ?? 0, out, err }),
    )
  })

t.test('options of Node among the arguments are no options of this Node', async (t) => {
  const noDaemon = { code: 1, err: /^swarmctl: no swarmctl daemon answers/ }
  t.match(await run(['exec', 'web', 'node', '--env-file=/app/.env', 'app.js']), noDaemon)
  t.match(await run(['service', 'create', 'image', 'node', '--env-file', '/app/.env']), noDaemon)
  t.match(await run(['service', 'create', '--env-file', '/nope', 'image']), {
    code: 1,
    err: /^swarmctl: can't read --env-file \/nope/,
  })
  const file = join(folder, 'app.env')
  writeFileSync(file, 'NODE_OPTIONS=--require /nonexistent.js\nA=1\n')
  t.match(await run(['service', 'create', '--env-file', file, 'image']), noDaemon)
})

t.test('NODE_OPTIONS of an application are not for this program', async (t) => {
  const { code, out } = await run(['--version'], { NODE_OPTIONS: '--bogus' })
  t.equal(code, 0)
  t.match(out, /^\d+\.\d+\.\d+\n$/)
})
