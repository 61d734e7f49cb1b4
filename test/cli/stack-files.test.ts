/** Which files `-c` names, as Docker's `stack` reads it. No cluster is needed. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { runCli } from '../support/cli/run-cli.ts'

t.test('stack files of -c', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'stack-files-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const first = join(folder, 'a.yml')
  const second = join(folder, 'over', 'b.yml')
  mkdirSync(join(folder, 'over'))
  writeFileSync(join(folder, 'own.env'), 'BESIDE=first\n')
  writeFileSync(join(folder, 'over', 'own.env'), 'BESIDE=second\n')
  writeFileSync(first, 'services: {web: {image: one, hostname: h}}')
  writeFileSync(second, 'services: {web: {image: two, env_file: own.env, volumes: ["./d:/d"]}}')

  const convert = async (...files: string[]) => {
    const { code, out, err } = await runCli([
      'stack',
      'convert',
      ...files.flatMap((file) => ['-c', file]),
      'demo',
    ])
    t.strictSame([code, err], [0, ''], files.join(' '))
    return JSON.parse(out).services[0].TaskTemplate.ContainerSpec
  }
  const both = {
    Image: 'two:latest',
    Hostname: 'h',
    Env: ['BESIDE=first'],
    Mounts: [{ Source: join(folder, 'd') }],
  }
  t.match(await convert(first, second), both, 'paths start at the first file')
  t.match(await convert(`${first},${second}`), both, 'with a comma')
  t.match(await convert(second), {
    Env: ['BESIDE=second'],
    Mounts: [{ Source: join(folder, 'over', 'd') }],
  })

  for (const [file, err] of [
    [join(folder, 'none.yml'), /none\.yml: cannot be read: ENOENT.*\n$/],
    [folder, /: cannot be read: EISDIR.*\n$/],
  ] as const) {
    t.match(await runCli(['stack', 'convert', '-c', file, 'demo']), { code: 1, out: '', err }, file)
  }
})

t.test('a flag in place of the one that is required is named', async (t) => {
  t.match(await runCli(['stack', 'convert', '--compose-fil', 'a.yml', 'x']), {
    code: 125,
    err: /^swarmctl: unknown option '--compose-fil' \(Did you mean --compose-file\?\); --help .*\n$/,
  })
  t.match(await runCli(['stack', 'convert', 'x']), {
    code: 1,
    err: /^swarmctl: required option '-c, --compose-file <file>' not specified; .*\n$/,
  })
})
