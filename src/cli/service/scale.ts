import type { Command } from 'commander'
import { AUTOSCALE_MIN } from '../../api/defaults.ts'
import { SwarmctlError } from '../../api/errors.ts'
import { clampReplicas } from '../../api/replicas.ts'
import type { Service } from '../../api/service.ts'
import type { ServiceSpec } from '../../api/service-spec.ts'
import type { CliContext, Runner } from '../context.ts'
import { forEachRef } from '../inspect.ts'
import { getService, postUpdate } from './update.ts'
import type { WaitOptions } from './wait.ts'
import { waitForService } from './wait.ts'

/** What an autoscaler makes of a number that someone gives its service. */
const scaledText = ({ Swarmctl }: ServiceSpec, replicas: number): string => {
  const bounds = Swarmctl?.Autoscale
  if (bounds === undefined) return String(replicas)
  if (replicas === 0) return '0: its autoscaler rests until it is scaled up again'
  const { Min = AUTOSCALE_MIN, Max } = bounds
  return `${clampReplicas(replicas, bounds)}: its autoscaler goes on from there, between ${Min} and ${Max}`
}

const scale = async (context: CliContext, ref: string, replicas: number): Promise<Service> => {
  const service = await getService(context, ref)
  const mode = service.Spec.Mode
  if (mode?.Replicated) mode.Replicated.Replicas = replicas
  else if (mode?.ReplicatedJob) mode.ReplicatedJob.TotalCompletions = replicas
  else {
    throw new SwarmctlError(
      'INVALID_ARGUMENT',
      `${ref}: scale can only be used with replicated or replicated-job mode`,
    )
  }
  await postUpdate(context, service, {}, undefined)
  return service
}

/** `web=3` in its parts. It is an argument, not a flag: Docker's exit code for it is 1. */
const wantedReplicas = (pair: string): [ref: string, replicas: number] => {
  const [, ref, replicas] = /^([^=]+)=(\d+)$/.exec(pair) ?? []
  if (ref !== undefined) return [ref, Number(replicas)]
  throw new SwarmctlError(
    'INVALID_ARGUMENT',
    `invalid scale specifier "${pair}": expected SERVICE=REPLICAS, a whole number of at least 0`,
  )
}

/** `swarmctl service scale`. */
export const serviceScaleVerb = (noun: Command, run: Runner): void => {
  noun
    .command('scale')
    .description('Change the number of tasks of replicated services')
    .argument('<service=replicas...>', 'What to scale, e.g. web=5')
    .option('-d, --detach', 'Return at once')
    .option('-q, --quiet', 'No progress')
    .option('--wait-limit <duration>', 'Give up waiting after this time and exit with 1')
    .addHelpText('after', '\nExample:\n  swarmctl service scale web=5 worker=3\n')
    .action(
      run(async (context, pairs: string[], options: WaitOptions) => {
        const wanted = new Map(pairs.map(wantedReplicas))
        const ids: string[] = []
        // One that can't be scaled keeps no other from it, and is told in the end.
        const scaling = forEachRef(context, [...wanted.keys()], async (ref) => {
          const replicas = wanted.get(ref) as number
          const service = await scale(context, ref, replicas)
          ids.push(service.ID)
          return `${ref} scaled to ${scaledText(service.Spec, replicas)}`
        })
        const failure = await scaling.catch((error: unknown) => error)
        for (const id of ids) await waitForService(context, id, options)
        if (failure !== undefined) throw failure
      }),
    )
}
