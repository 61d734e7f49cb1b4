import type { Command } from 'commander'
import type { Node } from '../../api/node.ts'
import { collect, parseFilterFlags } from '../arguments.ts'
import type { Runner } from '../context.ts'
import type { ListOptions } from '../output.ts'
import { printList, withListOptions } from '../output.ts'

const HEADS = [
  'ID',
  'HOSTNAME',
  'STATUS',
  'AVAILABILITY',
  'MANAGER STATUS',
  'ENGINE VERSION',
  'NOTE',
]

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

const managerStatus = (node: Node): string =>
  node.ManagerStatus?.Leader ? 'Leader' : capital(node.ManagerStatus?.Reachability ?? '')

/** What a person should know of a node: an Engine that is down, a data plane that fell back. */
const note = (node: Node): string =>
  [
    node.Status.State === 'ready' ? '' : (node.Status.Message ?? ''),
    node.Description.Swarmctl?.EngineError ?? '',
    node.Description.Swarmctl?.DataPlaneNote ?? '',
  ]
    .filter((text) => text !== '')
    .join('; ')

/** `swarmctl node ls`. */
export const nodeListVerb = (noun: Command, run: Runner): void => {
  withListOptions(noun.command('ls').alias('list'))
    .description('List the nodes of the swarm')
    .option('-f, --filter <key=value>', 'Only what matches: id, name, label, role …', collect)
    .addHelpText('after', '\nExample:\n  swarmctl node ls --filter role=manager\n')
    .action(
      run(async ({ client, output }, options: ListOptions & { filter?: string[] }) => {
        const nodes = await client.call<Node[]>({
          path: '/nodes',
          query: { filters: parseFilterFlags(options.filter) },
        })
        const { Swarm } = await client.call<{ Swarm: { NodeID: string } }>({ path: '/info' })
        const rows = nodes
          .sort((a, b) => a.Description.Hostname.localeCompare(b.Description.Hostname))
          .map((node) => ({
            ID: options.quiet || node.ID !== Swarm.NodeID ? node.ID : `${node.ID} *`,
            HOSTNAME: node.Description.Hostname,
            STATUS: capital(node.Status.State),
            AVAILABILITY: capital(node.Spec.Availability),
            'MANAGER STATUS': managerStatus(node),
            'ENGINE VERSION': node.Description.Engine.EngineVersion,
            NOTE: note(node),
          }))
        const heads = rows.some((row) => row.NOTE !== '') ? HEADS : HEADS.slice(0, -1)
        printList(output, options, heads, rows)
      }),
    )
}
