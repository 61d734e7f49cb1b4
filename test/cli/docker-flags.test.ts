/** Every command and flag of the docker CLI's swarm half is here too, by the words of its own help. */
import { spawnSync } from 'node:child_process'
import type { Command } from 'commander'
import t from 'tap'
import { buildProgram, type CliDeps } from '../../src/cli/main.ts'

const DOCKER = process.env.DOCKER_CLI ?? 'docker'
const NOUNS = ['swarm', 'service', 'node', 'secret', 'config', 'network', 'stack']

/** Docker's that mean nothing here. */
const LEFT_OUT = new Set([
  // Kubernetes as an orchestrator: gone from the docker CLI itself.
  '--kubeconfig',
  '--namespace',
  '--orchestrator',
  '--all-namespaces',
])

const helpOf = (...words: string[]): string =>
  spawnSync(DOCKER, [...words, '--help'], { encoding: 'utf8' }).stdout

const verbsOf = (noun: string): string[] =>
  [...(/Commands:\n([\s\S]*?)\n\n/.exec(helpOf(noun))?.[1] ?? '').matchAll(/^ {2}(\S+)/gm)].map(
    ([, verb]) => verb as string,
  )

const flagsOf = (noun: string, verb: string): { long: string; short: string | undefined }[] =>
  [...helpOf(noun, verb).matchAll(/^ {2,6}(?:(-\w), )?(--[a-z0-9-]+)/gm)].map(
    ([, short, long]) => ({ short, long: long as string }),
  )

const find = (command: Command, word: string): Command | undefined =>
  command.commands.find((one) => one.name() === word || one.aliases().includes(word))

t.test('the docker CLI is here to compare with', async (t) => {
  t.match(spawnSync(DOCKER, ['--version'], { encoding: 'utf8' }).stdout, /^Docker version/)
})

t.test('nothing of the docker CLI is missing', async (t) => {
  const deps = { version: '1', output: { write() {}, writeError() {} } } as unknown as CliDeps
  const program = await buildProgram(deps)
  const missing: string[] = []
  let count = 0
  for (const noun of NOUNS) {
    for (const verb of verbsOf(noun)) {
      const command = find(find(program, noun)!, verb)
      if (!command) {
        missing.push(`${noun} ${verb}`)
        continue
      }
      for (const { long, short } of flagsOf(noun, verb)) {
        if (LEFT_OUT.has(long)) continue
        count++
        const option = command.options.find((one) => one.long === long)
        if (!option) missing.push(`${noun} ${verb} ${long}`)
        else if (short && option.short !== short) missing.push(`${noun} ${verb} ${short}`)
      }
    }
  }
  t.strictSame(missing, [], 'commands and flags')
  t.ok(count > 150, `${count} flags were compared`)
})
