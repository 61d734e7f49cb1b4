import type { Command } from 'commander'
import { notFound } from '../../api/errors.ts'
import type { Node } from '../../api/node.ts'
import type { Service } from '../../api/service.ts'
import type { Task } from '../../api/task.ts'
import type { CliContext, Runner } from '../context.ts'
import { ExitStatus } from '../exit-status.ts'
import { shortId } from '../format/listing.ts'
import { sinceSeconds } from '../since.ts'
import { findOrNone } from '../task-target.ts'
import { logFrames } from './log-reader.ts'

interface LogsOptions {
  follow?: boolean
  tail: string
  timestamps?: boolean
  since?: string
  raw?: boolean
  details?: boolean
  /** False with the flags that begin with `--no-`. */
  resolve: boolean
  taskIds: boolean
  trunc: boolean
}

/** A service by any name, else a task by its id. */
const findTarget = async (context: CliContext, ref: string) => {
  const name = encodeURIComponent(ref)
  const found = await findOrNone<Service>(context, `/services/${name}`)
  if (found) return { path: `/services/${found.ID}/logs`, service: found }
  const task = await findOrNone<Task>(context, `/tasks/${name}`)
  if (!task) throw notFound(`no such task or service: ${ref}`)
  const service = await context.client.call<Service>({ path: `/services/${task.ServiceID}` })
  return { path: `/tasks/${task.ID}/logs`, service }
}

/** Names a line's task: `web.1.x3k9@h2`; asks once per task. */
class TaskNames {
  readonly #context: CliContext
  readonly #service: Service
  readonly #options: LogsOptions
  readonly #names = new Map<string, string>()

  constructor(context: CliContext, service: Service, options: LogsOptions) {
    this.#context = context
    this.#service = service
    this.#options = options
  }

  async nameOf(taskId: string, nodeId: string): Promise<string> {
    const known = this.#names.get(taskId)
    if (known) return known
    const { resolve, taskIds } = this.#options
    const { client } = this.#context
    const task = await client.call<Task>({ path: `/tasks/${taskId}` }).catch(() => undefined)
    const node = resolve
      ? await client.call<Node>({ path: `/nodes/${nodeId}` }).catch(() => undefined)
      : undefined
    const service = resolve ? this.#service.Spec.Name : this.#service.ID
    const id = taskIds ? `.${shortId(taskId, this.#options)}` : ''
    const name = `${service}.${task?.Slot ?? nodeId}${id}@${node?.Description.Hostname ?? nodeId}`
    this.#names.set(taskId, name)
    return name
  }
}

/** The Engine escapes as forms do (Go's `url.QueryEscape`). */
const unescaped = (text: string): string => decodeURIComponent(text.replaceAll('+', ' '))

/** Splits the details that lead a line off it. */
const splitDetails = (text: string, timestamps: boolean) => {
  const [, time = '', details = '', rest = ''] =
    (timestamps ? /^(\S+) (\S+) ([\s\S]*)$/ : /^()(\S+) ([\s\S]*)$/).exec(text) ?? []
  const values = new Map(
    details.split(',').map((pair) => pair.split('=').map(unescaped) as [string, string]),
  )
  return {
    time,
    rest,
    details: [...values]
      .filter(([key]) => !key.startsWith('com.docker.swarm.'))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map((pair) => pair.map(encodeURIComponent).join('='))
      .join(','),
    taskId: values.get('com.docker.swarm.task.id') ?? '',
    nodeId: values.get('com.docker.swarm.node.id') ?? '',
  }
}

const printLogs = async (context: CliContext, ref: string, options: LogsOptions): Promise<void> => {
  const { output, client, terminal } = context
  const { path, service } = await findTarget(context, ref)
  const isTerminal = service.Spec.TaskTemplate.ContainerSpec?.TTY === true
  const stream = await client.open({
    path,
    signal: context.signal,
    query: {
      stdout: true,
      stderr: true,
      // They name the task. A terminal's output is written as it comes, and has nobody who takes them off.
      details: !isTerminal && (options.details === true || !options.raw),
      follow: options.follow === true,
      timestamps: options.timestamps === true,
      tail: options.tail,
      since: options.since && sinceSeconds('--since', options.since, context.nowMs()),
    },
  })
  if (isTerminal) {
    // As bytes: a character may be cut between two of them.
    for await (const chunk of stream as AsyncIterable<Buffer>) await terminal.write('stdout', chunk)
    return
  }
  const names = new TaskNames(context, service, options)
  let incomplete = false
  for await (const { stream: kind, line } of logFrames(stream)) {
    if (kind === 'system') {
      incomplete = true
      output.writeError(line.toString('utf8'))
      continue
    }
    if (options.raw) {
      await terminal.write(kind, line)
      continue
    }
    const text = line.toString('utf8')
    const write = kind === 'stderr' ? output.writeError : output.write
    const { time, rest, details, taskId, nodeId } = splitDetails(text, options.timestamps === true)
    const extra = options.details ? `${details} ` : ''
    write(`${time ? `${time} ` : ''}${await names.nameOf(taskId, nodeId)}    | ${extra}${rest}`)
  }
  if (incomplete) throw new ExitStatus(1)
}

/** `swarmctl service logs`. */
export const serviceLogsVerb = (noun: Command, run: Runner): void => {
  noun
    .command('logs')
    .description('Show the logs of all tasks of a service, or of one task')
    .argument('<service|task>', 'Name or id')
    .option('-f, --follow', 'Go on with what comes')
    .option('-n, --tail <lines>', 'Lines from the end of each log', 'all')
    .option('-t, --timestamps', 'Show timestamps')
    .option('--since <time>', 'From then on: 10m, or 2026-01-02T13:00:00Z')
    .option('--raw', 'Lines as they are, without the name of their task')
    .option('--details', 'Show the details that the log driver adds')
    .option('--no-resolve', 'Show ids instead of names')
    .option('--no-task-ids', 'Leave the ids of tasks out')
    .option('--no-trunc', 'Do not cut ids')
    .addHelpText('after', '\nExample:\n  swarmctl service logs --follow --tail 10 web\n')
    .action(run((context, ref: string, options: LogsOptions) => printLogs(context, ref, options)))
}
