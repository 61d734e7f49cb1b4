import type { Command } from 'commander'
import { toSwarmctlError } from '../../api/errors.ts'
import type { Task } from '../../api/task.ts'
import type { CliContext, Runner } from '../context.ts'
import { ExitStatus } from '../exit-status.ts'
import { stackFilters } from './list.ts'

/** In the order in which Docker removes: what uses before what is used. */
const KINDS = ['service', 'secret', 'config', 'network'] as const

type Listed = { ID?: string; Id?: string; Name?: string; Spec?: { Name: string } }

/** A network stays in use until its last task has gone; that gets this long, asked this often. */
const NETWORK_WAIT_MS = 60_000
const POLL_MS = 200

const listKind = (
  { client }: CliContext,
  kind: (typeof KINDS)[number],
  stack: string,
): Promise<Listed[]> =>
  client.call<Listed[]>({
    path: `/${kind}s`,
    query: {
      filters: JSON.stringify({
        ...stackFilters(stack),
        ...(kind === 'network' && { scope: { swarm: true } }),
      }),
    },
  })

const waitForTasks = async (context: CliContext, stack: string): Promise<void> => {
  for (let waitedMs = 0; waitedMs < NETWORK_WAIT_MS; waitedMs += POLL_MS) {
    const tasks = await context.client.call<Task[]>({
      path: '/tasks',
      query: { filters: JSON.stringify(stackFilters(stack)) },
    })
    if (tasks.length === 0) return
    await context.sleep(POLL_MS)
  }
}

const removeStack = async (
  context: CliContext,
  stack: string,
  options: { detach?: boolean },
): Promise<boolean> => {
  const { client, output } = context
  let isComplete = true
  let found = 0
  for (const kind of KINDS) {
    for (const object of await listKind(context, kind, stack)) {
      found += 1
      output.write(`Removing ${kind} ${object.Name ?? object.Spec?.Name}\n`)
      try {
        await client.call({ method: 'DELETE', path: `/${kind}s/${object.ID ?? object.Id}` })
      } catch (error) {
        isComplete = false
        output.writeError(`swarmctl: ${toSwarmctlError(error).message}\n`)
      }
    }
  }
  if (found === 0) output.writeError(`Nothing found in stack: ${stack}\n`)
  else if (!options.detach) await waitForTasks(context, stack)
  return isComplete
}

/** `swarmctl stack rm`. */
export const stackRemoveVerb = (noun: Command, run: Runner): void => {
  noun
    .command('rm')
    .aliases(['remove', 'down'])
    .description('Remove stacks, and wait until their tasks are gone')
    .argument('<stack...>', 'Names of stacks')
    .option('-d, --detach', 'Return at once')
    .addHelpText('after', '\nExample:\n  swarmctl stack rm demo\n')
    .action(
      run(async (context, stacks: string[], options: { detach?: boolean }) => {
        let isComplete = true
        for (const stack of stacks) {
          isComplete = (await removeStack(context, stack, options)) && isComplete
        }
        if (!isComplete) throw new ExitStatus(1)
      }),
    )
}
