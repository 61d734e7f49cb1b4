import { type Command, Option } from 'commander'
import { SwarmctlError } from '../../api/errors.ts'
import { collect } from '../arguments.ts'
import { requireBounds } from './autoscale-flags.ts'
import { applyCapabilities } from './capability-flags.ts'
import type { Draft } from './draft.ts'
import { badFlag, splitPair } from './key-values.ts'
import { LIST_FLAGS } from './list-flags.ts'
import { SCALAR_FLAGS } from './scalar-flags.ts'

/** What commander parsed, by attribute name. */
export type Parsed = Record<string, unknown>

const attribute = (name: string): string =>
  name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())

const longName = (flags: string): string => /--([a-z-]+)/.exec(flags)?.[1] as string

const valuesOf = (options: Parsed, name: string): string[] =>
  (options[attribute(name)] as string[] | undefined) ?? []

/** Registers the flags that both verbs share. */
const addSharedFlags = (command: Command): void => {
  for (const { flags, help } of SCALAR_FLAGS) {
    command.option(flags, help)
    // What `--init=false` becomes.
    if (!flags.includes('<')) command.addOption(new Option(`--no-${longName(flags)}`).hideHelp())
  }
  command
    .option('--no-healthcheck', "Ignore the image's healthcheck")
    // What `--no-healthcheck=false` becomes: it takes back what the service was told before.
    .addOption(new Option('--healthcheck').hideHelp())
    .option('--cap-add <capability>', 'Add a Linux capability (several times)', collect)
    .option('--cap-drop <capability>', 'Drop a Linux capability (several times)', collect)
    .option('--log-driver <name>', 'Log driver')
    .option('--log-opt <key=value>', 'Log driver option (several times)', collect)
    .option('--replicas <n>', 'Number of tasks')
    .option('--max-concurrent <n>', 'Job tasks at a time')
    .option('--with-registry-auth', "Send this user's registry credentials to the nodes")
    .option('--no-resolve-image', 'Do not ask the registry for the digest of the image')
    .option('-d, --detach', 'Return at once instead of waiting until the service converged')
    .option('-q, --quiet', 'No progress')
    .option('--wait-limit <duration>', 'Give up waiting after this time and exit with 1 (ours)')
}

/** Flags of `service create`. */
export const addCreateFlags = (command: Command): void => {
  addSharedFlags(command)
  command
    .option('--name <name>', 'Name of the service')
    .option('--mode <mode>', 'replicated, global, replicated-job or global-job', 'replicated')
    .option('--env-file <file>', 'File of environment variables (several times)', collect)
  for (const { name, short, placeholder, help } of LIST_FLAGS) {
    command.option(
      `${short ? `-${short}, ` : ''}--${name} <${placeholder}>`,
      `${help} (several times)`,
      collect,
    )
  }
}

/** Flags of `service update`. */
export const addUpdateFlags = (command: Command): void => {
  addSharedFlags(command)
  command
    .option('--image <image>', 'New image')
    .option('--args <command>', 'New arguments')
    .option('--force', 'Replace the tasks even if nothing changed')
    .option('--rollback', 'Go back to the previous spec')
  for (const { name, placeholder, help } of LIST_FLAGS) {
    command.option(`--${name}-add <${placeholder}>`, `Add or change: ${help}`, collect)
    command.option(`--${name}-rm <key>`, `Remove: ${help}`, collect)
  }
}

/** Another driver begins with no options: those of the one before need not be its own. */
const applyLogDriver = (draft: Draft, options: Parsed): void => {
  const name = options.logDriver as string | undefined
  if (name) draft.task.LogDriver = { Name: name }
  for (const value of valuesOf(options, 'log-opt')) {
    const [key, text] = splitPair(value)
    if (key === '') throw badFlag('--log-opt', value, 'expected key=value')
    draft.task.LogDriver = {
      ...draft.task.LogDriver,
      Options: { ...draft.task.LogDriver?.Options, [key]: text },
    }
  }
}

const takeBackNoHealthcheck = ({ container }: Draft): void => {
  if (container.Healthcheck?.Test?.[0] === 'NONE') delete container.Healthcheck
}

const applyShared = (draft: Draft, options: Parsed): void => {
  for (const { flags, apply } of SCALAR_FLAGS) {
    const name = longName(flags)
    const value = options[attribute(name)]
    if (value !== undefined) apply(draft, value as string, `--${name}`)
  }
  requireBounds(draft)
  if (options.healthcheck === true) takeBackNoHealthcheck(draft)
  // Commander reads `--no-healthcheck` as `healthcheck: false`.
  if (options.healthcheck === false) {
    if (Object.keys(options).some((name) => /^health[A-Z]/.test(name))) {
      throw new SwarmctlError(
        'INVALID_ARGUMENT',
        '--no-healthcheck conflicts with --health-* options',
      )
    }
    draft.container.Healthcheck = { Test: ['NONE'] }
  }
  applyCapabilities(draft, valuesOf(options, 'cap-add'), valuesOf(options, 'cap-drop'))
  applyLogDriver(draft, options)
}

/** Writes the flags of `create` into an empty draft. */
export const applyCreateFlags = (draft: Draft, options: Parsed): void => {
  applyShared(draft, options)
  for (const flag of LIST_FLAGS) {
    for (const value of valuesOf(options, flag.name)) flag.add(draft, value, `--${flag.name}`)
  }
}

/** Writes the flags of `update` into a draft of the present spec: first what is removed, then what is added. */
export const applyUpdateFlags = (draft: Draft, options: Parsed): void => {
  applyShared(draft, options)
  for (const flag of LIST_FLAGS) {
    for (const key of valuesOf(options, `${flag.name}-rm`))
      flag.remove(draft, key, `--${flag.name}-rm`)
    for (const value of valuesOf(options, `${flag.name}-add`)) {
      flag.add(draft, value, `--${flag.name}-add`)
    }
  }
}
