import type { Command } from 'commander'
import { collect, parseFilterFlags } from './arguments.ts'
import type { CliContext, Runner } from './context.ts'
import { compileFormat } from './format/compile-format.ts'
import { sinceSeconds } from './since.ts'

interface EventOptions {
  filter?: string[]
  since?: string
  until?: string
  format?: string
}

/** An event as the Engine API sends it. */
interface EngineEvent {
  Type: string
  Action: string
  Actor: { ID: string; Attributes?: Record<string, string> | null }
  scope?: string
  time?: number
  timeNano?: number
}

/** A line of the stream that is longer is no event. */
const LINE_LENGTH_MAX = 1 << 20
const NS_PER_S = 1_000_000_000n
const MS_PER_S = 1000

/** RFC 3339 with nanoseconds, which a number of JavaScript does not hold: read from the text. */
const timeOf = (line: string, event: EngineEvent): string => {
  const nano = /"timeNano":\s*(\d+)/.exec(line)?.[1]
  const at = nano === undefined ? BigInt(event.time ?? 0) * NS_PER_S : BigInt(nano)
  const seconds = new Date(Number(at / NS_PER_S) * MS_PER_S).toISOString().slice(0, 19)
  return `${seconds}.${String(at % NS_PER_S).padStart(9, '0')}Z`
}

/** One line as `docker events` shows it. */
const plainLine = (line: string, event: EngineEvent): string => {
  const attributes = Object.entries(event.Actor.Attributes ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`)
    .join(', ')
  return `${timeOf(line, event)} ${event.Type} ${event.Action} ${event.Actor.ID}${attributes === '' ? '' : ` (${attributes})`}`
}

/** What templates may also ask for: the names of before there were types. */
const withOldNames = (event: EngineEvent): object => ({
  Status: event.Action,
  ID: event.Actor.ID,
  From: event.Actor.Attributes?.image ?? '',
  Scope: event.scope ?? '',
  Time: event.time ?? 0,
  TimeNano: event.timeNano ?? 0,
  ...event,
})

const printerOf = (format: string | undefined): ((line: string) => string) => {
  if (format === 'json' || format === '{{json .}}') return (line) => line
  if (format === undefined) return (line) => plainLine(line, JSON.parse(line) as EngineEvent)
  const fill = compileFormat(format)
  return (line) => fill(withOldNames(JSON.parse(line) as EngineEvent))
}

const watch = async (
  { client, output, signal, nowMs }: CliContext,
  options: EventOptions,
): Promise<void> => {
  const point = (flag: '--since' | '--until', text: string | undefined) =>
    text === undefined ? undefined : sinceSeconds(flag, text, nowMs())
  const print = printerOf(options.format)
  const stream = await client.open({
    path: '/events',
    query: {
      since: point('--since', options.since),
      until: point('--until', options.until),
      filters: parseFilterFlags(options.filter),
    },
    signal,
  })
  let rest = ''
  stream.setEncoding('utf8')
  for await (const chunk of stream as AsyncIterable<string>) {
    const lines = `${rest}${chunk}`.split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line.trim() !== '') output.write(`${print(line)}\n`)
    if (rest.length > LINE_LENGTH_MAX) throw new Error('the event stream is broken')
  }
}

/** `swarmctl events`: what happens in the swarm and on the local Engine. */
export const eventsVerb = (program: Command, run: Runner): void => {
  program
    .command('events')
    .description(
      'Show what happens: services, tasks, nodes, secrets, configs and networks of the swarm, and what the local Engine does',
    )
    .option(
      '-f, --filter <key=value>',
      'Only what matches: type, event, service, node, scope …',
      collect,
    )
    .option('--since <time>', 'Also what happened since then: 10m, or 2026-01-02T13:00:00Z')
    .option('--until <time>', 'End at that time')
    .option('--format <format>', 'json (one object a line), or a template')
    .addHelpText('after', '\nExample:\n  swarmctl events --filter type=service --since 10m\n')
    .action(run((context, options: EventOptions) => watch(context, options)))
}
