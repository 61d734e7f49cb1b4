import { runCommand } from '../test/support/lab/command.ts'
import type { LabHost } from '../test/support/lab/host.ts'
import type { Lab } from '../test/support/lab/lab.ts'
import { flagsIn, subcommandsIn } from './command-line.ts'
import { type CliFlags, Comparison, type Report } from './comparison.ts'
import { KNOWN_DIFFERENCES } from './known-differences.ts'
import { Side } from './side.ts'
import type { Chapter } from './step.ts'
import { files } from './steps/files.ts'
import { network } from './steps/network.ts'
import { node } from './steps/node.ts'
import { service } from './steps/service.ts'
import { stack } from './steps/stack.ts'
import { departure, formation, outside, settings } from './steps/swarm.ts'

/** Hosts that a comparison needs: two for each side. */
export const COMPAT_HOSTS = 4

const NOUNS = ['service', 'stack', 'node', 'secret', 'config', 'swarm', 'network']

/** In this order: the first ones make the cluster that the others use, the last one ends it. */
export const CHAPTERS: readonly Chapter[] = [
  outside,
  formation,
  node,
  files,
  network,
  service,
  stack,
  settings,
  departure,
]

/** Every command of the swarm's with its flags, as the CLI's own help has them. */
const flagsOfCli = async (cli: string): Promise<CliFlags> => {
  const help = async (...words: string[]) =>
    (await runCommand(cli, [...words, '--help'], { check: false })).stdout
  const flags = new Map<string, string[]>()
  for (const noun of NOUNS) {
    for (const verb of subcommandsIn(await help(noun))) {
      flags.set(`${noun} ${verb}`, flagsIn(await help(noun, verb)))
    }
  }
  return flags
}

/** What to compare. */
export interface CompatOptions {
  /** Path of a docker CLI. */
  readonly cli: string
  readonly chapters?: readonly Chapter[]
  readonly say?: (line: string) => void
}

/** Compares both kinds of cluster on hosts that belong to none: the lab's first two are swarmctl's, the next two Swarm's. */
export const compareWithSwarm = async (lab: Lab, options: CompatOptions): Promise<Report> => {
  const { cli, chapters = CHAPTERS, say = () => {} } = options
  const [manager, worker, swarmManager, swarmWorker] = lab.hosts as [
    LabHost,
    LabHost,
    LabHost,
    LabHost,
  ]
  for (const host of [manager, worker]) if (!host.daemon?.isRunning) await host.spawnDaemon()
  const comparison = new Comparison(
    {
      swarm: new Side('swarm', cli, swarmManager, swarmWorker),
      ours: new Side('swarmctl', cli, manager, worker),
    },
    await flagsOfCli(cli),
    KNOWN_DIFFERENCES,
    say,
  )
  for (const chapter of chapters) await comparison.chapter(chapter)
  return comparison.report()
}
