import { type Command, Option } from 'commander'
import { SwarmctlError } from '../../api/errors.ts'
import type { Node, NodeSpec } from '../../api/node.ts'
import { anyCaseChoices, collect, parseLabels } from '../arguments.ts'
import type { CliContext, Runner } from '../context.ts'
import { forEachRef } from '../inspect.ts'
import { nodePath } from './resolve.ts'

interface UpdateOptions {
  availability?: NodeSpec['Availability']
  role?: NodeSpec['Role']
  labelAdd?: string[]
  labelRm?: string[]
}

const updateNode = async (
  context: CliContext,
  ref: string,
  change: (spec: NodeSpec) => NodeSpec,
): Promise<Node> => {
  const path = await nodePath(context, ref)
  const node = await context.client.call<Node>({ path })
  await context.client.call({
    method: 'POST',
    path: `/nodes/${node.ID}/update`,
    query: { version: node.Version.Index },
    body: change(node.Spec),
  })
  return node
}

const changedSpec = (spec: NodeSpec, options: UpdateOptions): NodeSpec => {
  const labels = { ...spec.Labels, ...parseLabels(options.labelAdd) }
  for (const key of options.labelRm ?? []) {
    if (!Object.hasOwn(labels, key)) {
      throw new SwarmctlError('INVALID_ARGUMENT', `key ${key} doesn't exist in node's labels`)
    }
    delete labels[key]
  }
  return {
    ...spec,
    Labels: labels,
    ...(options.availability && { Availability: options.availability }),
    ...(options.role && { Role: options.role }),
  }
}

const roleVerb = (noun: Command, run: Runner, verb: 'promote' | 'demote'): void => {
  const role = verb === 'promote' ? 'manager' : 'worker'
  noun
    .command(verb)
    .description(`Make nodes ${role}s`)
    .argument('<ref...>', 'Ids or hostnames')
    .addHelpText('after', `\nExample:\n  swarmctl node ${verb} h2\n`)
    .action(
      run((context, refs: string[]) =>
        forEachRef(context, refs, async (ref) => {
          let before: NodeSpec['Role'] = role
          await updateNode(context, ref, (spec) => {
            before = spec.Role
            return { ...spec, Role: role }
          })
          if (before === role) return `Node ${ref} is already a ${role}.`
          return verb === 'promote'
            ? `Node ${ref} promoted to a manager in the swarm.`
            : `Manager ${ref} demoted in the swarm.`
        }),
      ),
    )
}

/** `swarmctl node update|promote|demote`. */
export const nodeUpdateVerbs = (noun: Command, run: Runner): void => {
  noun
    .command('update')
    .description("Change a node's availability, role or labels")
    .argument('<ref>', 'Id, hostname or "self"')
    .addOption(
      anyCaseChoices(new Option('--availability <kind>', 'Whether it gets and keeps tasks'), [
        'active',
        'pause',
        'drain',
      ]),
    )
    .addOption(anyCaseChoices(new Option('--role <role>', 'Role'), ['worker', 'manager']))
    .option('--label-add <key=value>', 'Add or change a label (several times)', collect)
    .option('--label-rm <key>', 'Remove a label (several times)', collect)
    .addHelpText('after', '\nExample:\n  swarmctl node update --availability drain h2\n')
    .action(
      run((context, ref: string, options: UpdateOptions) =>
        forEachRef(context, [ref], async () => {
          await updateNode(context, ref, (spec) => changedSpec(spec, options))
          return undefined
        }),
      ),
    )
  roleVerb(noun, run, 'promote')
  roleVerb(noun, run, 'demote')
}
