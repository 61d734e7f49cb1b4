import type { Command } from 'commander'
import type { Runner } from './context.ts'
import type { DaemonLauncher } from './daemon/launcher.ts'

/** What commands get that is not their context. */
export interface GroupDeps {
  version: string
  launcher: DaemonLauncher
  /** The daemon's main function; resolves when it was told to stop. */
  runDaemon(options: Record<string, unknown>): Promise<void>
}

/** Commands of the top level that come from one module, which is loaded only when one of them is meant. */
interface CommandGroup {
  words: readonly string[]
  register(program: Command, run: Runner, deps: GroupDeps): Promise<void>
}

const SWARM_WORDS = [
  ...['swarm', 'init', 'join', 'join-token', 'leave', 'unlock', 'unlock-key'],
  ...['backup', 'restore'],
]

/** In the order of the help. */
const GROUPS: readonly CommandGroup[] = [
  {
    words: SWARM_WORDS,
    async register(program, run, { launcher }) {
      const { swarmCommands } = await import('./swarm/command.ts')
      swarmCommands(program, run, launcher)
    },
  },
  {
    words: ['node'],
    async register(program, run) {
      const { nodeCommand } = await import('./node/command.ts')
      nodeCommand(program, run)
    },
  },
  {
    words: ['service'],
    async register(program, run) {
      const { serviceCommand } = await import('./service/command.ts')
      serviceCommand(program, run)
    },
  },
  {
    words: ['stack'],
    async register(program, run) {
      const { stackCommand } = await import('./stack/command.ts')
      stackCommand(program, run)
    },
  },
  {
    words: ['apply'],
    async register(program, run) {
      const { applyVerb } = await import('./apply/apply.ts')
      applyVerb(program, run)
    },
  },
  {
    words: ['secret'],
    async register(program, run) {
      const { secretCommand } = await import('./secret/command.ts')
      secretCommand(program, run)
    },
  },
  {
    words: ['config'],
    async register(program, run) {
      const { configCommand } = await import('./config/command.ts')
      configCommand(program, run)
    },
  },
  {
    words: ['network'],
    async register(program, run) {
      const { networkCommand } = await import('./network/command.ts')
      networkCommand(program, run)
    },
  },
  {
    words: ['exec'],
    async register(program, run) {
      const { execVerb } = await import('./task/exec.ts')
      execVerb(program, run)
    },
  },
  {
    words: ['cp'],
    async register(program, run) {
      const { copyVerb } = await import('./task/cp.ts')
      copyVerb(program, run)
    },
  },
  {
    words: ['top'],
    async register(program, run) {
      const { topVerb } = await import('./top/command.ts')
      topVerb(program, run)
    },
  },
  {
    words: ['why'],
    async register(program, run) {
      const { whyVerb } = await import('./why/command.ts')
      whyVerb(program, run)
    },
  },
  {
    words: ['events'],
    async register(program, run) {
      const { eventsVerb } = await import('./events.ts')
      eventsVerb(program, run)
    },
  },
  {
    words: ['version'],
    async register(program, run, { version }) {
      const { versionVerb } = await import('./version.ts')
      versionVerb(program, run, version)
    },
  },
  {
    words: ['completion'],
    async register(program, run) {
      const { completionVerb } = await import('./completion/command.ts')
      completionVerb(program, run)
    },
  },
  {
    words: ['daemon'],
    async register(program, _run, deps) {
      const { daemonCommand } = await import('./daemon/run.ts')
      daemonCommand(program, deps)
    },
  },
]

/** The first word that is no flag; undefined where that can't be told without the flags' own rules. */
const firstWord = (args: readonly string[]): string | undefined => {
  const [first, , ...rest] = args
  if (first === '-H' || first === '--host') return firstWord(rest)
  if (first?.startsWith('--host=')) return firstWord(args.slice(1))
  return first?.startsWith('-') ? undefined : first
}

/** Registers the commands that the line may mean: one group, or all for help and for a word that is mistyped. */
export const registerCommands = async (
  program: Command,
  run: Runner,
  deps: GroupDeps,
  args: readonly string[],
): Promise<void> => {
  // The root's own flag needs none, whatever follows.
  if (args[0] === '-v' || args[0] === '--version') return
  const word = firstWord(args)
  const meant = GROUPS.filter(({ words }) => word !== undefined && words.includes(word))
  for (const group of meant.length > 0 ? meant : GROUPS) await group.register(program, run, deps)
}
