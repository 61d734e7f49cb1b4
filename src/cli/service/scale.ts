import type { Command } from 'commander'
import { AUTOSCALE_MIN } from '../../api/defaults.ts'
import { SwarmctlError } from '../../api/errors.ts'
import { clampReplicas } from '../../api/replicas.ts'
import type { ServiceSpec } from '../../api/service-spec.ts'
import type { CliContext, Runner } from '../context.ts'
import { count } from './flag-values.ts'
import { badFlag } from './key-values.ts'
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

const scale = async (context: CliContext, ref: string, replicas: number): Promise<string> => {
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
  context.output.write(`${ref} scaled to ${scaledText(service.Spec, replicas)}\n`)
  return service.ID
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
        const wanted = pairs.map((pair) => {
          const [ref = '', replicas] = pair.split('=')
          if (ref === '' || replicas === undefined) {
            throw badFlag('scale', pair, 'expected SERVICE=REPLICAS')
          }
          return { ref, replicas: count(`scale of ${ref}`, replicas) }
        })
        const ids: string[] = []
        for (const { ref, replicas } of wanted) ids.push(await scale(context, ref, replicas))
        for (const id of ids) await waitForService(context, id, options)
      }),
    )
}
