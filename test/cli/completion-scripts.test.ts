/** The scripts that `swarmctl completion` prints, in the real shells: bash and zsh at a terminal with Tab, fish by `complete -C`. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { SCRIPTS, type Shell } from '../../src/cli/completion/scripts.ts'

interface Case {
  typed: string
  /** What the script asks with: the words so far, the last one as far as it is typed. */
  asks: string[]
  /** Lines that `swarmctl __complete` answers with. */
  answer: string[]
  /** Typed after Tab. */
  after?: string
  /** The arguments that the command gets in the end. */
  runs: string[]
  /** What fish offers. */
  offers: string[]
}

const NAMES = ['web\tnginx:1', 'we-b2\treg.example.com:5000/a:1']

const CASES: Case[] = [
  {
    typed: 'swarmctl ser',
    asks: ['ser'],
    answer: ['service\tManage services: all of them'],
    runs: ['service'],
    offers: ['service\tManage services: all of them'],
  },
  {
    typed: 'swarmctl service rm ',
    asks: ['service', 'rm', ''],
    answer: NAMES,
    runs: ['service', 'rm', 'we'],
    offers: NAMES,
  },
  {
    typed: 'swarmctl service rm "we',
    asks: ['service', 'rm', 'we'],
    answer: ['web\t'],
    runs: ['service', 'rm', 'web'],
    offers: ['web'],
  },
  {
    typed: 'swarmctl service scale db=2 we',
    asks: ['service', 'scale', 'db=2', 'we'],
    answer: ['web=\tnginx:1'],
    after: '3',
    runs: ['service', 'scale', 'db=2', 'web=3'],
    offers: ['web=\tnginx:1'],
  },
  {
    typed: 'swarmctl node update --role=ma',
    asks: ['node', 'update', '--role=ma'],
    answer: ['--role=manager\t'],
    runs: ['node', 'update', '--role=manager'],
    offers: ['--role=manager'],
  },
  {
    typed: 'swarmctl service create --lim',
    asks: ['service', 'create', '--lim'],
    answer: ['--limit-pids\tMost processes of a task (0: no limit)'],
    runs: ['service', 'create', '--limit-pids'],
    offers: ['--limit-pids\tMost processes of a task (0: no limit)'],
  },
  {
    typed: 'swarmctl -H unix:///run/x.sock node rm ho',
    asks: ['-H', 'unix:///run/x.sock', 'node', 'rm', 'ho'],
    answer: ['host\tworker, down'],
    runs: ['-H', 'unix:///run/x.sock', 'node', 'rm', 'host'],
    offers: ['host\tworker, down'],
  },
  {
    typed: 'swarmctl apply -f par',
    asks: ['apply', '-f', 'par'],
    answer: [':files'],
    runs: ['apply', '-f', 'part.yml'],
    offers: ['part.yml'],
  },
  {
    typed: 'swarmctl apply --filename=par',
    asks: ['apply', '--filename=par'],
    answer: [':files'],
    runs: ['apply', '--filename=part.yml'],
    offers: ['--filename=part.yml'],
  },
  {
    typed: 'swarmctl cp we',
    asks: ['cp', 'we'],
    answer: ['web:\tnginx:1', ':files'],
    after: '/etc/x .',
    runs: ['cp', 'web:/etc/x', '.'],
    offers: ['web:\tnginx:1'],
  },
  {
    typed: 'swarmctl cp web:/etc/x par',
    asks: ['cp', 'web:/etc/x', 'par'],
    answer: [':files'],
    runs: ['cp', 'web:/etc/x', 'part.yml'],
    offers: ['part.yml'],
  },
  {
    typed: '~/bin/swarmctl ser',
    asks: ['ser'],
    answer: ['service\t'],
    runs: ['service'],
    offers: ['service'],
  },
]

/** Answers completions with what the file `answer` has, keeps the words that it was asked with, and says what it is run with. */
const STAND_IN = `#!/bin/sh
cd "$HOME"
if [ "$1" = __complete ]; then
  shift
  printf '%s\\n' "$@" > asks
  cat answer
else
  printf 'RAN'; printf ' <%s>' "$@"; echo ' END'
fi
`

const makeHome = (t: Tap): string => {
  const home = mkdtempSync(join(tmpdir(), 'swarmctl-completion-'))
  t.teardown(() => rmSync(home, { recursive: true }))
  mkdirSync(join(home, 'bin'))
  mkdirSync(join(home, 'work'))
  writeFileSync(join(home, 'work/part.yml'), '')
  writeFileSync(join(home, 'bin/swarmctl'), STAND_IN)
  chmodSync(join(home, 'bin/swarmctl'), 0o755)
  for (const [shell, script] of Object.entries(SCRIPTS)) writeFileSync(join(home, shell), script)
  return home
}

type Tap = { teardown(end: () => void | Promise<void>): void }

const environment = (home: string) => ({
  HOME: home,
  PATH: `${join(home, 'bin')}:${process.env.PATH}`,
  TERM: 'dumb',
  LANG: 'C.UTF-8',
  // A shell that ends writes what was typed.
  HISTFILE: '/dev/null',
})

/** A shell at a terminal: `script` (of Debian's bsdutils) has one for it. */
const openTerminal = async (t: Tap, command: string, setup: string) => {
  const home = makeHome(t)
  const child = spawn('script', ['-qfc', command, '/dev/null'], {
    cwd: join(home, 'work'),
    env: environment(home),
  })
  const closed = once(child, 'close')
  // The folder goes after the shell.
  t.teardown(async () => {
    child.kill()
    await closed
  })
  let shown = ''
  let wake = () => {}
  child.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString('utf8')
    wake()
  })
  child.on('close', () => wake())
  const until = async (pattern: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const found = pattern.exec(shown)
      if (found) return found
      if (child.exitCode !== null) throw new Error(`the shell has ended: ${shown}`)
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
  // The terminal shows what is typed, too: there the word is in two parts.
  child.stdin.write(`${setup.replaceAll('HOME', home)}; echo RE''ADY\n`)
  await until(/READY/)
  return async (one: Case): Promise<{ asks: string; ran: string }> => {
    writeFileSync(join(home, 'answer'), one.answer.map((line) => `${line}\n`).join(''))
    shown = ''
    child.stdin.write(`${one.typed}\t${one.after ?? ''}\n`)
    const ran = (await until(/RAN(.*) END/))[1] as string
    return { asks: readFileSync(join(home, 'asks'), 'utf8'), ran }
  }
}

const SETUPS: Record<'bash' | 'zsh' | 'zsh, by fpath', [command: string, setup: string]> = {
  bash: [
    'bash --norc --noprofile -i',
    "bind 'set enable-bracketed-paste off'; bind 'set bell-style none'; source HOME/bash",
  ],
  zsh: [
    'zsh -f -i',
    'unsetopt zle_bracketed_paste BEEP; autoload -Uz compinit; compinit -u -D; source HOME/zsh',
  ],
  'zsh, by fpath': [
    'zsh -f -i',
    'unsetopt zle_bracketed_paste BEEP; mkdir HOME/fpath; cp HOME/zsh HOME/fpath/_swarmctl; fpath=(HOME/fpath $fpath); autoload -Uz compinit; compinit -u -D',
  ],
}

for (const [name, [command, setup]] of Object.entries(SETUPS)) {
  t.test(name, async (t) => {
    const type = await openTerminal(t, command, setup)
    for (const one of CASES) {
      const { asks, ran } = await type(one)
      t.strictSame(asks.slice(0, -1).split('\n'), one.asks, one.typed)
      t.equal(ran, one.runs.map((word) => ` <${word}>`).join(''), one.typed)
    }
  })
}

t.test('fish', async (t) => {
  const home = makeHome(t)
  for (const { typed, answer, asks, offers } of CASES) {
    writeFileSync(join(home, 'answer'), answer.map((line) => `${line}\n`).join(''))
    const shell: Shell = 'fish'
    const script = `source ${join(home, shell)}; complete -C '${typed}'`
    const { stdout } = spawnSync(shell, ['--no-config', '-c', script], {
      cwd: join(home, 'work'),
      env: environment(home),
      encoding: 'utf8',
    })
    t.strictSame(readFileSync(join(home, 'asks'), 'utf8').slice(0, -1).split('\n'), asks, typed)
    t.strictSame(stdout.split('\n').filter(Boolean).toSorted(), offers.toSorted(), typed)
  }
})
