import { type Command, Option } from 'commander'
import { SwarmctlError } from '../api/errors.ts'
import { collect, parseFilterFlags } from './arguments.ts'
import type { CliContext, Runner } from './context.ts'
import type { Column, ListOptions } from './format/listing.ts'
import { labelFields, printListing, withListOptions } from './format/listing.ts'
import { forEachRef, type InspectOptions, inspectAll, withInspectOptions } from './inspect.ts'
import { prettyData } from './pretty/data.ts'
import { readInput } from './read-input.ts'
import { ago } from './relative-time.ts'
import { labelMap } from './service/key-values.ts'

interface Listed {
  ID: string
  CreatedAt: string
  UpdatedAt: string
  Spec: { Name: string; Labels: Record<string, string>; Driver?: { Name: string } }
}

const columnsOf = (kind: 'secret' | 'config'): readonly Column[] => [
  { head: 'ID', field: 'ID' },
  { head: 'NAME', field: 'Name' },
  ...(kind === 'secret' ? [{ head: 'DRIVER', field: 'Driver' }] : []),
  { head: 'CREATED', field: 'CreatedAt' },
  { head: 'UPDATED', field: 'UpdatedAt' },
]

interface CreateOptions {
  label?: string[]
  templateDriver?: string
  driver?: string
}

/** What a secret or config is made of. A secret of a driver has no data of its own. */
const createBody = async (
  context: CliContext,
  name: string,
  file: string | undefined,
  { label, templateDriver, driver }: CreateOptions,
) => {
  if (driver && file !== undefined) {
    throw new SwarmctlError(
      'INVALID_ARGUMENT',
      'When using secret driver secret data must be empty',
    )
  }
  if (!driver && file === undefined) {
    throw new SwarmctlError(
      'INVALID_ARGUMENT',
      'a file is missing: a path, or - for standard input',
    )
  }
  return {
    Name: name,
    Labels: labelMap('--label', label),
    ...(file !== undefined && { Data: (await readInput(context, file)).toString('base64') }),
    ...(driver && { Driver: { Name: driver } }),
    ...(templateDriver && { Templating: { Name: templateDriver } }),
  }
}

const CREATE_EXAMPLES = {
  secret: 'printf s3cret | swarmctl secret create db-password -',
  config: 'swarmctl config create site.conf ./site.conf',
} as const

const createVerb = (noun: Command, run: Runner, kind: 'secret' | 'config'): void => {
  const command = noun
    .command('create')
    .description(`Create a ${kind} from a file or standard input`)
    .argument('<name>', 'Its name')
    .argument(kind === 'secret' ? '[file]' : '<file>', 'A path, or - for standard input')
    .option('-l, --label <key=value>', 'Label (several times)', collect)
    // The daemon says what there is; an empty one is none.
    .addOption(
      new Option('--template-driver <driver>', 'Template driver')
        .choices(['golang'])
        .argParser((driver: string) => driver),
    )
    .addHelpText('after', `\nExample:\n  ${CREATE_EXAMPLES[kind]}\n`)
  if (kind === 'secret')
    command.option(
      '-d, --driver <driver>',
      'Secret driver; managers refuse it, since there is none',
    )
  command.action(
    run(async (context, name: string, file: string | undefined, options: CreateOptions) => {
      const created = await context.client.call<{ ID: string }>({
        method: 'POST',
        path: `/${kind}s/create`,
        body: await createBody(context, name, file, options),
      })
      context.output.write(`${created.ID}\n`)
    }),
  )
}

const listVerb = (noun: Command, run: Runner, kind: 'secret' | 'config'): void => {
  withListOptions(noun.command('ls').alias('list'))
    .description(`List ${kind}s`)
    .option('-f, --filter <key=value>', 'Only what matches: id, name, label', collect)
    .addHelpText('after', `\nExample:\n  swarmctl ${kind} ls --filter label=env=prod\n`)
    .action(
      run(async (context, options: ListOptions & { filter?: string[] }) => {
        const listed = await context.client.call<Listed[]>({
          path: `/${kind}s`,
          query: { filters: parseFilterFlags(options.filter) },
        })
        const nowMs = context.nowMs()
        const rows = listed
          .sort((a, b) => a.Spec.Name.localeCompare(b.Spec.Name))
          .map((object) => ({
            id: object.ID,
            fields: {
              ID: object.ID,
              Name: object.Spec.Name,
              ...(kind === 'secret' && { Driver: object.Spec.Driver?.Name ?? '' }),
              CreatedAt: ago(object.CreatedAt, nowMs),
              UpdatedAt: ago(object.UpdatedAt, nowMs),
              ...labelFields(object.Spec.Labels),
            },
          }))
        printListing(context.output, options, columnsOf(kind), rows)
      }),
    )
}

const inspectVerb = (noun: Command, run: Runner, kind: 'secret' | 'config'): void => {
  withInspectOptions(noun.command('inspect'))
    .description(
      `Show all that is known of ${kind}s${kind === 'secret' ? ', except their data' : ''}`,
    )
    .argument('<ref...>', 'Names or ids')
    .addHelpText('after', `\nExample:\n  swarmctl ${kind} inspect my-${kind}\n`)
    .action(
      run((context, refs: string[], options: InspectOptions) =>
        inspectAll(
          context,
          refs,
          options,
          (ref) => context.client.call({ path: `/${kind}s/${encodeURIComponent(ref)}` }),
          (object) => prettyData(object as Listed, kind),
        ),
      ),
    )
}

const removeVerb = (noun: Command, run: Runner, kind: 'secret' | 'config'): void => {
  noun
    .command('rm')
    .alias('remove')
    .description(`Remove ${kind}s that no service uses`)
    .argument('<ref...>', 'Names or ids')
    .addHelpText('after', `\nExample:\n  swarmctl ${kind} rm my-${kind}\n`)
    .action(
      run((context, refs: string[]) =>
        forEachRef(context, refs, async (ref) => {
          await context.client.call({
            method: 'DELETE',
            path: `/${kind}s/${encodeURIComponent(ref)}`,
          })
          return undefined
        }),
      ),
    )
}

/** The four verbs that secrets and configs share. */
export const dataCommand = (program: Command, run: Runner, kind: 'secret' | 'config'): void => {
  const noun = program
    .command(kind)
    .description(`Manage ${kind}s`)
    .addHelpText('after', `\nExample:\n  ${CREATE_EXAMPLES[kind]}\n`)
  createVerb(noun, run, kind)
  listVerb(noun, run, kind)
  inspectVerb(noun, run, kind)
  removeVerb(noun, run, kind)
}
