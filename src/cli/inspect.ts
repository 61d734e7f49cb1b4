import type { SwarmctlError } from '../api/errors.ts'
import { toSwarmctlError } from '../api/errors.ts'
import type { CliContext } from './context.ts'
import { ExitStatus } from './exit-status.ts'
import { printInspected } from './format/listing.ts'

/** Inspects each reference; what can't be had is named on standard error and makes the exit code 1, the others are still printed. */
export const inspectAll = async (
  context: CliContext,
  refs: readonly string[],
  format: string | undefined,
  get: (ref: string) => Promise<unknown>,
): Promise<void> => {
  const found: unknown[] = []
  const errors: SwarmctlError[] = []
  for (const ref of refs) {
    await get(ref).then(
      (object) => found.push(object),
      (error) => errors.push(toSwarmctlError(error)),
    )
  }
  printInspected(context.output, format, found)
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
