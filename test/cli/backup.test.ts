import { spawnSync } from 'node:child_process'
import { lstat, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { TransferProgress } from '../../src/cli/swarm/transfer-progress.ts'
import { type RunOptions, runCli } from '../support/cli/run-cli.ts'
import { ApiNode } from '../support/http/api-node.ts'

const start = async (t: Test) => {
  const node = await ApiNode.start()
  const directory = await mkdtemp(join(tmpdir(), 'backup-'))
  t.teardown(async () => {
    await node.stop()
    await rm(directory, { recursive: true })
  })
  const run = (args: string[], options: RunOptions = {}) =>
    runCli(['-H', node.host, ...args], options)
  const passphrase = join(directory, 'passphrase')
  await writeFile(passphrase, 'open sesame\nnot this line\n')
  return { node, directory, run, passphrase, file: join(directory, 'swarm.backup') }
}

t.test('a backup is a file of its own, whole or not there', async (t) => {
  const { directory, run, passphrase, file } = await start(t)
  const made = await run(['backup', '--passphrase-file', passphrase, file])
  t.equal(made.code, 0, made.err)
  t.match(made.out, /Backup of swarm c1 as of change 7 written to .* \(0\.0 MB\)/)
  t.equal(await readFile(file, 'utf8'), 'sealed with open sesame')
  t.equal((await stat(file)).mode & 0o777, 0o600)

  await writeFile(passphrase, 'breaks')
  const broken = await run(['backup', '--passphrase-file', passphrase, file])
  t.match(broken, { code: 1, out: '', err: /^swarmctl: no backup was written: .*\n$/ })
  t.equal(await readFile(file, 'utf8'), 'sealed with open sesame', 'the old one is still there')
  t.strictSame((await readdir(directory)).sort(), ['passphrase', 'swarm.backup'], 'nothing else')
  await writeFile(passphrase, 'x')
  const nowhere = await run(['backup', '--passphrase-file', passphrase, '/nowhere/x'])
  t.match(nowhere, { code: 1, err: /no backup was written: ENOENT/ })
})

t.test('what is no ordinary file stays what it is', async (t) => {
  const { directory, run, passphrase, file } = await start(t)
  const args = ['backup', '--passphrase-file', passphrase]
  const piped = await run([...args, '-'])
  t.match(piped, { code: 0, out: 'sealed with open sesame' }, 'standard output has the bytes alone')
  t.match(piped.err, /^Backup of swarm c1 as of change 7 written to standard output/)
  t.match(await run([...args, '-'], { isTerminal: true }), { code: 1, err: /not for a terminal/ })
  t.match(await run([...args, directory]), { code: 1, err: /is a directory: name a file in it\n$/ })

  const fifo = join(directory, 'fifo')
  spawnSync('mkfifo', [fifo])
  const read = readFile(fifo, 'utf8')
  t.match(await run([...args, fifo]), { code: 0, out: '' })
  t.equal(await read, 'sealed with open sesame')
  t.ok((await stat(fifo)).isFIFO())

  const link = join(directory, 'link')
  await writeFile(file, 'old')
  await symlink('swarm.backup', link)
  t.match(await run([...args, link]), { code: 0 })
  t.ok((await lstat(link)).isSymbolicLink())
  t.equal(await readFile(file, 'utf8'), 'sealed with open sesame')
})

t.test('the passphrase: from a file, from standard input, or typed', async (t) => {
  const { run, file } = await start(t)
  t.match(await run(['backup', file]), { code: 1, err: /--passphrase-file FILE .*no terminal/ })
  t.match(await run(['backup', '--passphrase-file', '/nowhere', file]), { err: /can't read/ })
  const empty = await run(['backup', '--passphrase-file', '-', file], { stdin: '\n' })
  t.match(empty, { code: 1, err: /passphrase is empty/ })
  const piped = await run(['backup', '--passphrase-file', '-', file], { stdin: 'piped\n' })
  t.equal(piped.code, 0)
  t.equal(await readFile(file, 'utf8'), 'sealed with piped')
  const typed = await run(['backup', file], { stdin: 'typed\n', isTerminal: true })
  t.equal(typed.code, 0, typed.err)
  t.equal(await readFile(file, 'utf8'), 'sealed with typed')
})

t.test('restore says what came back, and what is still to do', async (t) => {
  const { node, run, passphrase, file } = await start(t)
  await writeFile(file, 'sealed with open sesame')
  const args = ['restore', '--passphrase-file', passphrase, '--advertise-addr', '10.0.0.9', file]
  t.match(await run(args), { code: 1, err: /already part of a swarm/ })
  node.swarm.state.localNodeState = 'inactive'
  const wrong = await run(args.with(2, '-'), { stdin: 'wrong' })
  t.match(wrong, { code: 1, err: /^swarmctl: the passphrase is not the one of this backup\n$/ })
  const made = await run(args)
  t.equal(made.code, 0, made.err)
  t.match(made.out, /Swarm c1 is restored as of 2026-01-01T00:00:00\.000Z \(change 7\)/)
  t.match(made.out, /join it again: m2, m3/)
  t.match(node.swarm.calls.at(-1), [
    'restore',
    { ListenAddr: '0.0.0.0:2377', AdvertiseAddr: '10.0.0.9', DataPathAddr: '' },
  ])
  t.match(await run(['restore', '--passphrase-file', passphrase, '/nowhere']), {
    code: 1,
    err: /can't read \/nowhere/,
  })
})

t.test('what takes longer than a second tells how far it is', async (t) => {
  let nowMs = 0
  const told = (isTerminal: boolean) => {
    nowMs = 0
    let err = ''
    const writeError = (text: string) => {
      err += text
    }
    const output = { write() {}, writeError }
    const context = { nowMs: () => nowMs, output: { ...output, columns: undefined, isTerminal } }
    const progress = new TransferProgress(context, { verb: 'Backed up', total: 9_000_000 })
    for (let step = 0; step < 3; step += 1) {
      progress.add(1_500_000)
      nowMs += 1_000
    }
    progress.end()
    return err
  }
  t.equal(told(false), 'Backed up 3.0 MB of 9.0 MB\n', 'a line now and then')
  const line = (text: string) => `\r\u001b[K${text}`
  const steps = ['Backed up 3.0 MB of 9.0 MB', 'Backed up 4.5 MB of 9.0 MB', '']
  t.equal(told(true), steps.map(line).join(''), 'one line that changes')
})
