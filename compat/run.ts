/**
 * `npm run compat`: every docker command of the swarm's, with each of its flags, against swarmctl and against Docker Swarm on hosts of the
 * same lab. Debian's docker CLI, and each further one that DOCKER_CLIS names (paths, parted by colons or blanks). `-- --only services`
 * runs one chapter beside those that make the cluster. Exit code 1: a difference that docs/compatibility.md does not explain, or a flag
 * that no step uses.
 */
import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Lab } from '../test/support/lab/lab.ts'
import { CHAPTERS, COMPAT_HOSTS, compareWithSwarm } from './against-swarm.ts'
import type { Report } from './comparison.ts'

const DEBIAN = '/usr/bin/docker'

const { values } = parseArgs({ options: { only: { type: 'string' }, cli: { type: 'string' } } })
const further = (process.env.DOCKER_CLIS ?? '').split(/[:\s]+/).filter((path) => path !== '')
const clis = values.cli === undefined ? [DEBIAN, ...further] : [values.cli]
const absent = clis.find((cli) => !existsSync(cli))
if (absent !== undefined) throw new Error(`no docker CLI at ${absent}`)
const needed = ['init and join', ...(values.only?.split(',') ?? [])]
const chapters = CHAPTERS.filter(({ name }) => values.only === undefined || needed.includes(name))

const say = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

const tell = ({ steps, differences, unused }: Report): boolean => {
  const count = (verdict: string) => differences.filter((one) => one.verdict === verdict).length
  const counts = ['allowed', 'open', 'unexplained'].map((verdict) => `${count(verdict)} ${verdict}`)
  say(`${steps} commands; differences: ${counts.join(', ')}`)
  const isWhole = values.only === undefined
  if (isWhole && unused.length > 0) say(`no step uses: ${unused.join(', ')}`)
  return count('open') + count('unexplained') === 0 && (!isWhole || unused.length === 0)
}

let isGood = true
for (const cli of clis) {
  say(`\n${cli}`)
  await using lab = await Lab.create({ hosts: COMPAT_HOSTS, name: 'compat' })
  const startMs = performance.now()
  isGood = tell(await compareWithSwarm(lab, { cli, chapters, say })) && isGood
  say(`${((performance.now() - startMs) / 1000).toFixed(0)} s`)
}
process.exitCode = isGood ? 0 : 1
