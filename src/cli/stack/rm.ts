import type { Command } from 'commander'
import { toSwarmctlError } from '../../api/errors.ts'
import type { CliContext, Runner } from '../context.ts'
import { ExitStatus } from '../exit-status.ts'
import { awaitRemoval } from './await-removal.ts'
import { stackFilters } from './list.ts'

/** In the order in which Docker removes: what uses before what is used. */
const KINDS = ['service', 'secret', 'config', 'network'] as const

type Listed = { ID?: string; Id?: string; Name?: string; Spec?: { Name: string } }

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

/** Whether all of it is gone, or was told to go with `--detach`; else standard error has why not. */
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
  if (found === 0 || options.detach) return isComplete
  const left = await awaitRemoval(context, stack)
  if (left !== undefined) output.writeError(`swarmctl: ${left}\n`)
  return isComplete && left === undefined
}

const HELP = `
Tasks that are still there a minute after the time that they have to drain and stop are told of,
with exit code 1: what is on a node that is down stays as long as the node.

Example:
  swarmctl stack rm demo
`

/** `swarmctl stack rm`. */
export const stackRemoveVerb = (noun: Command, run: Runner): void => {
  noun
    .command('rm')
    .aliases(['remove', 'down'])
    .description('Remove stacks, and wait until their tasks are gone')
    .argument('<stack...>', 'Names of stacks')
    .option('-d, --detach', 'Return at once')
    .addHelpText('after', HELP)
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
