import { type Command, Option } from 'commander'
import { SwarmctlError } from '../../api/errors.ts'
import type { Node } from '../../api/node.ts'
import type { Task } from '../../api/task.ts'
import type { ClusterUsage } from '../../api/usage.ts'
import type { CliContext, Runner } from '../context.ts'
import type { Column, ListOptions, ListRow } from '../format/listing.ts'
import { printListing, shortId, withListOptions } from '../format/listing.ts'
import type { Output } from '../output.ts'
import { memorySize, percent, trafficSize } from '../sizes.ts'
import {
  nodeUses,
  SORT_KEYS,
  type SortKey,
  serviceUses,
  sorted,
  taskUses,
  type Use,
} from './usage-rates.ts'

interface TopOptions extends ListOptions {
  by?: 'service' | 'task' | 'node'
  sort: SortKey
  stream: boolean
}

/** Between two looks: long enough for counters to tell something. */
const FIRST_MS = 1_000
const PERIOD_MS = 2_000

/** The terminal is cleared and drawn anew. */
const CLEAR = '\u001b[H\u001b[2J'

const USE_COLUMNS: readonly Column[] = [
  { head: 'CPU %', field: 'CPUPerc' },
  { head: 'MEM USAGE / LIMIT', field: 'MemUsage' },
  { head: 'MEM %', field: 'MemPerc' },
  { head: 'NET IN/S', field: 'NetIn' },
  { head: 'NET OUT/S', field: 'NetOut' },
  { head: 'DISK READ/S', field: 'DiskRead' },
  { head: 'DISK WRITE/S', field: 'DiskWrite' },
  { head: 'PIDS', field: 'PIDs' },
]

const COLUMNS: Record<NonNullable<TopOptions['by']>, readonly Column[]> = {
  task: [
    { head: 'ID', field: 'ID' },
    { head: 'TASK', field: 'Name' },
    { head: 'NODE', field: 'Node' },
    ...USE_COLUMNS,
  ],
  service: [{ head: 'SERVICE', field: 'Name' }, { head: 'TASKS', field: 'Tasks' }, ...USE_COLUMNS],
  node: [
    { head: 'NODE', field: 'Name' },
    { head: 'CPUS', field: 'CPUs' },
    { head: 'TASKS', field: 'Tasks' },
    ...USE_COLUMNS,
    { head: 'NOTE', field: 'Note' },
  ],
}

const rowOf = (use: Use, by: NonNullable<TopOptions['by']>, options: ListOptions): ListRow => {
  // A machine's share is of all its CPUs, a task's of one, as docker stats has it.
  const cpus = by === 'node' && use.cpus !== undefined ? use.cpus / use.cpuCount : use.cpus
  return {
    id: use.id,
    fields: {
      ID: shortId(use.id, options),
      Name: use.name,
      Service: use.service,
      Node: use.node,
      Tasks: String(use.tasks),
      CPUs: use.cpuCount ? String(use.cpuCount) : '',
      CPUPerc: cpus === undefined ? '--' : percent(cpus),
      MemUsage: `${memorySize(use.memory)} / ${memorySize(use.memoryLimit)}`,
      MemPerc: use.memoryLimit === 0 ? '--' : percent(use.memory / use.memoryLimit),
      NetIn: trafficSize(use.received),
      NetOut: trafficSize(use.sent),
      DiskRead: trafficSize(use.read),
      DiskWrite: trafficSize(use.written),
      PIDs: String(use.pids),
      Note: use.error,
    },
  }
}

const isNamed = ({ name, service, node }: Use, ref: string): boolean =>
  [name, service, node].includes(ref)

const hasId = ({ id, serviceId, nodeId }: Use, ref: string): boolean =>
  ref !== '' && [id, serviceId, nodeId].some((one) => one.startsWith(ref))

/** Whether a task's or node's row is asked for: it, its service or its node, by name, else by the beginning of an id. */
const meant = (all: readonly Use[], refs: readonly string[]): ((use: Use) => boolean) => {
  const asks = refs.map((ref) => {
    const matches = all.some((use) => isNamed(use, ref)) ? isNamed : hasId
    return (use: Use) => matches(use, ref)
  })
  return (use) => refs.length === 0 || asks.some((ask) => ask(use))
}

/** Two looks, and what tells names. */
interface Sample {
  before: ClusterUsage
  after: ClusterUsage
  tasks: Task[]
  nodes: Node[]
  isFirst: boolean
}

const usesOf = ({ before, after, tasks, nodes }: Sample, refs: readonly string[]) => {
  const all = taskUses(before, after, tasks, nodes)
  const machines = nodeUses(before, after, all, nodes)
  const isMeant = meant([...all, ...machines], refs)
  const own = all.filter(isMeant)
  const names = new Set(own.map(({ node }) => node))
  return {
    task: own,
    service: serviceUses(own),
    node: machines.filter((node) => names.has(node.name) || isMeant(node)),
  }
}

const print = (output: Output, sample: Sample, refs: readonly string[], options: TopOptions) => {
  const uses = usesOf(sample, refs)
  // Between two tasks a service has none for a while: who watches it waits.
  if (refs.length > 0 && uses.node.length === 0 && (!options.stream || sample.isFirst)) {
    throw new SwarmctlError('NOT_FOUND', `nothing that runs is called ${refs.join(' or ')}`)
  }
  const table = (by: NonNullable<TopOptions['by']>) => {
    const rows = sorted(uses[by], options.sort).map((use) => rowOf(use, by, options))
    const hasNotes = rows.some(({ fields }) => fields.Note !== '')
    const columns = COLUMNS[by].filter(({ field }) => field !== 'Note' || hasNotes)
    printListing(output, options, columns, rows)
  }
  if (options.by) return table(options.by)
  // A format is about one kind of thing.
  if (options.quiet || (options.format ?? 'table') !== 'table') return table('task')
  table('node')
  output.write('\n')
  table(refs.length > 0 ? 'task' : 'service')
}

const usageNow = ({ client, signal }: CliContext): Promise<ClusterUsage> =>
  client.call<ClusterUsage>({ path: '/swarmctl/usage', signal })

const look = async (context: CliContext): Promise<Pick<Sample, 'after' | 'tasks' | 'nodes'>> => {
  const { client, signal } = context
  const [after, tasks, nodes] = await Promise.all([
    usageNow(context),
    client.call<Task[]>({ path: '/tasks', signal }),
    client.call<Node[]>({ path: '/nodes', signal }),
  ])
  return { after, tasks, nodes }
}

const top = async (context: CliContext, refs: string[], options: TopOptions): Promise<void> => {
  const { output } = context
  let before = await usageNow(context)
  await context.sleep(FIRST_MS)
  for (let isFirst = true; ; isFirst = false) {
    const now = await look(context)
    // Drawn in one piece: half a table would flicker.
    const parts = options.stream && output.isTerminal ? [CLEAR] : []
    const collected = { ...output, write: (part: string) => void parts.push(part) }
    print(collected, { before, ...now, isFirst }, refs, options)
    output.write(parts.join(''))
    if (!options.stream) return
    before = now.after
    await context.sleep(PERIOD_MS)
  }
}

/** `swarmctl top`: what services, tasks and nodes use now. */
export const topVerb = (program: Command, run: Runner): void => {
  withListOptions(program.command('top'))
    .description('Show what nodes, services and tasks use, again and again')
    .argument('[service|task|node...]', 'Only these')
    .addOption(
      new Option('--by <kind>', 'One row for each (default: nodes, then services)').choices([
        'service',
        'task',
        'node',
      ]),
    )
    .addOption(new Option('--sort <by>', 'Most first').choices(SORT_KEYS).default('cpu'))
    .option('--no-stream', 'Look once, over a second')
    .addHelpText('after', '\nExample:\n  swarmctl top --by task --no-stream web\n')
    .action(run((context, refs: string[], options: TopOptions) => top(context, refs, options)))
}
