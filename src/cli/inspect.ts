import type { Command } from 'commander'
import { SwarmctlError, toSwarmctlError } from '../api/errors.ts'
import type { CliContext } from './context.ts'
import { ExitStatus } from './exit-status.ts'
import { printInspected } from './format/listing.ts'

/** Flags of the `inspect` commands; those without a form for people have no `--pretty`. */
export interface InspectOptions {
  format?: string
  pretty?: boolean
}

/** Adds the flags of an `inspect` command that has a form for people. */
export const withInspectOptions = (command: Command): Command =>
  command
    .option('-f, --format <format>', 'json, pretty, or a template')
    .option('--pretty', 'For people')

/** Whether the form for people is asked for. */
export const isPretty = ({ format, pretty }: InspectOptions): boolean =>
  pretty === true || format === 'pretty'

/** Inspects each reference; what can't be had is named on standard error and makes the exit code 1, the others are still printed. */
export const inspectAll = async (
  context: CliContext,
  refs: readonly string[],
  options: InspectOptions,
  get: (ref: string) => Promise<unknown>,
  pretty?: (object: unknown) => string,
): Promise<void> => {
  if (options.pretty && options.format !== undefined) {
    throw new SwarmctlError(
      'INVALID_ARGUMENT',
      '--format is incompatible with human friendly format',
    )
  }
  const found: unknown[] = []
  const errors: SwarmctlError[] = []
  for (const ref of refs) {
    await get(ref).then(
      (object) => found.push(object),
      (error) => errors.push(toSwarmctlError(error)),
    )
  }
  if (pretty && isPretty(options))
    context.output.write(found.map((object) => `${pretty(object)}\n`).join(''))
  else printInspected(context.output, options.format, found)
  failWith(context, errors)
}

/** Does something to each reference and prints what succeeded; the rest is named and makes the exit code 1. */
export const forEachRef = async (
  context: CliContext,
  refs: readonly string[],
  act: (ref: string) => Promise<string | undefined>,
): Promise<void> => {
  const errors: SwarmctlError[] = []
  for (const ref of refs) {
    await act(ref).then(
      (line) => context.output.write(`${line ?? ref}\n`),
      (error) => errors.push(toSwarmctlError(error)),
    )
  }
  failWith(context, errors)
}

const failWith = ({ output }: CliContext, errors: readonly SwarmctlError[]): void => {
  if (errors.length === 0) return
  for (const error of errors) output.writeError(`swarmctl: ${error.message}\n`)
  throw new ExitStatus(1)
}
