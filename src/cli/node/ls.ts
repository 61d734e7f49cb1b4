import type { Command } from 'commander'
import type { Node } from '../../api/node.ts'
import { collect, parseFilterFlags } from '../arguments.ts'
import type { Runner } from '../context.ts'
import type { Column, ListOptions, ListRow } from '../format/listing.ts'
import { labelFields, printListing, withListOptions } from '../format/listing.ts'
import { capital } from '../pretty/lines.ts'

const COLUMNS: readonly Column[] = [
  { head: 'ID', field: 'ID' },
  { head: 'HOSTNAME', field: 'Hostname' },
  { head: 'STATUS', field: 'Status' },
  { head: 'AVAILABILITY', field: 'Availability' },
  { head: 'MANAGER STATUS', field: 'ManagerStatus' },
  { head: 'ENGINE VERSION', field: 'EngineVersion' },
  { head: 'NOTE', field: 'Note' },
]

/** What `node ls` asks of `/info`. */
interface SwarmInfo {
  Swarm: { NodeID: string; Cluster?: { TLSInfo?: TLSInfo } | null }
}

type TLSInfo = NonNullable<Node['Description']['TLSInfo']>

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

/** Whether the node's certificate comes from the cluster's present root, in Docker's words. */
const tlsStatus = (node: TLSInfo | undefined, cluster: TLSInfo | undefined): string => {
  if (!node?.CertIssuerSubject || !cluster?.CertIssuerSubject) return 'Unknown'
  const isSame =
    node.TrustRoot === cluster.TrustRoot && node.CertIssuerPublicKey === cluster.CertIssuerPublicKey
  return isSame ? 'Ready' : 'Needs Rotation'
}

const rowOf = (node: Node, { Swarm }: SwarmInfo): ListRow => {
  const isSelf = node.ID === Swarm.NodeID
  return {
    id: node.ID,
    cells: { ID: isSelf ? `${node.ID} *` : node.ID },
    fields: {
      ID: node.ID,
      Self: isSelf,
      Hostname: node.Description.Hostname,
      Status: capital(node.Status.State),
      Availability: capital(node.Spec.Availability),
      ManagerStatus: managerStatus(node),
      EngineVersion: node.Description.Engine.EngineVersion,
      TLSStatus: tlsStatus(node.Description.TLSInfo, Swarm.Cluster?.TLSInfo),
      Note: note(node),
      ...labelFields(node.Spec.Labels),
    },
  }
}

/** `swarmctl node ls`. */
export const nodeListVerb = (noun: Command, run: Runner): void => {
  withListOptions(noun.command('ls').alias('list'))
    .description('List the nodes of the swarm')
    .option('-f, --filter <key=value>', 'Only what matches: id, name, label, role …', collect)
    .addHelpText('after', '\nExample:\n  swarmctl node ls --filter role=manager\n')
    .action(
      run(async ({ client, output }, options: ListOptions & { filter?: string[] }) => {
        const [nodes, info] = await Promise.all([
          client.call<Node[]>({
            path: '/nodes',
            query: { filters: parseFilterFlags(options.filter) },
          }),
          client.call<SwarmInfo>({ path: '/info' }),
        ])
        const rows = nodes
          .sort((a, b) => a.Description.Hostname.localeCompare(b.Description.Hostname))
          .map((node) => rowOf(node, info))
        const hasNotes = rows.some((row) => row.fields.Note !== '')
        printListing(output, options, hasNotes ? COLUMNS : COLUMNS.slice(0, -1), rows)
      }),
    )
}
