import type { Command } from 'commander'
import { SwarmctlError } from '../../api/errors.ts'
import type { Service } from '../../api/service.ts'
import { NAMESPACE_LABEL } from '../../api/stack-labels.ts'
import type { Task } from '../../api/task.ts'
import { collect, type FilterMap, parseFilterFlags } from '../arguments.ts'
import type { Runner } from '../context.ts'
import type { Column, ListOptions } from '../format/listing.ts'
import { printListing, withListOptions } from '../format/listing.ts'
import { printServices } from '../service/service-table.ts'
import type { PsOptions } from '../task-table.ts'
import { printTasks } from '../task-table.ts'

const COLUMNS: readonly Column[] = [
  { head: 'NAME', field: 'Name' },
  { head: 'SERVICES', field: 'Services' },
]

/** API filters for what belongs to a stack. */
export const stackFilters = (stack: string): FilterMap => ({
  label: { [`${NAMESPACE_LABEL}=${stack}`]: true },
})

const nothingFound = (stack: string): SwarmctlError =>
  new SwarmctlError('NOT_FOUND', `nothing found in stack: ${stack}`)

/** `swarmctl stack ls`. */
export const stackListVerb = (noun: Command, run: Runner): void => {
  withListOptions(noun.command('ls').alias('list'))
    .description('List stacks')
    .addHelpText('after', '\nExample:\n  swarmctl stack ls\n')
    .action(
      run(async ({ client, output }, options: ListOptions) => {
        const services = await client.call<Service[]>({
          path: '/services',
          query: { filters: JSON.stringify({ label: { [NAMESPACE_LABEL]: true } }) },
        })
        const counts = new Map<string, number>()
        for (const { Spec } of services) {
          const stack = Spec.Labels[NAMESPACE_LABEL] as string
          counts.set(stack, (counts.get(stack) ?? 0) + 1)
        }
        const rows = [...counts]
          .sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }))
          .map(([stack, count]) => ({
            id: stack,
            fields: { Name: stack, Services: String(count) },
          }))
        printListing(output, options, COLUMNS, rows)
      }),
    )
}

/** `swarmctl stack services`. */
export const stackServicesVerb = (noun: Command, run: Runner): void => {
  withListOptions(noun.command('services'))
    .description('List the services of a stack')
    .argument('<stack>', 'Name of the stack')
    .option('-f, --filter <key=value>', 'Only what matches: id, name, label', collect)
    .addHelpText('after', '\nExample:\n  swarmctl stack services demo\n')
    .action(
      run(
        async ({ client, output }, stack: string, options: ListOptions & { filter?: string[] }) => {
          const services = await client.call<Service[]>({
            path: '/services',
            query: { filters: parseFilterFlags(options.filter, stackFilters(stack)), status: true },
          })
          // As with the docker CLI no failure, other than for a stack's tasks.
          if (services.length === 0) return output.writeError(`Nothing found in stack: ${stack}\n`)
          printServices(output, options, services)
        },
      ),
    )
}

/** `swarmctl stack ps`. */
export const stackPsVerb = (noun: Command, run: Runner): void => {
  withListOptions(noun.command('ps'))
    .description('List the tasks of a stack')
    .argument('<stack>', 'Name of the stack')
    .option('-f, --filter <key=value>', 'Only what matches: id, name, node, desired-state', collect)
    .option('--no-resolve', 'Show ids instead of names')
    .addHelpText('after', '\nExample:\n  swarmctl stack ps demo\n')
    .action(
      run(async (context, stack: string, options: PsOptions) => {
        const tasks = await context.client.call<Task[]>({
          path: '/tasks',
          query: { filters: parseFilterFlags(options.filter, stackFilters(stack)) },
        })
        if (tasks.length === 0) throw nothingFound(stack)
        await printTasks(context, options, tasks)
      }),
    )
}
