import type { ServerResponse } from 'node:http'
import type { LogsRequest } from '../api/assignment.ts'
import type { Clock } from '../api/clock.ts'
import { type ErrorCode, invalid, toSwarmctlError } from '../api/errors.ts'
import type { Task } from '../api/task.ts'
import { isOlder } from './api-version.ts'
import { logFrame, logLine } from './log-frames.ts'
import type { SwarmPort } from './ports.ts'
import { writePart } from './reply.ts'
import { type Exchange, queryFlag } from './routes.ts'

/** Most task logs read at once for one request; a service with more tasks is refused with what to do. */
export const LOG_TASKS_MAX = 500

/** While a service's log is followed, a task's whose node is away is asked for again after this time. */
export const LOG_RESUME_MS = 1000

/** The node is away, or its Engine: neither says that the log is over. */
const AWAY: ReadonlySet<ErrorCode> = new Set(['UNAVAILABLE', 'ENGINE_UNAVAILABLE'])

/** `since` for what comes after a line of this time (RFC 3339 with up to nine digits of a second's fraction). */
export const sinceAfter = (timestamp: string): string => {
  const [, fraction = ''] = /\.(\d{1,9})/.exec(timestamp) ?? []
  const seconds = BigInt(Math.floor(Date.parse(timestamp) / 1000))
  const next = seconds * 1_000_000_000n + BigInt(fraction.padEnd(9, '0')) + 1n
  return `${next / 1_000_000_000n}.${String(next % 1_000_000_000n).padStart(9, '0')}`
}

/** What `GET /services/{id}/logs` and `/tasks/{id}/logs` ask for. */
export const parseLogQuery = (query: URLSearchParams) => {
  const wanted = {
    stdout: queryFlag(query, 'stdout'),
    stderr: queryFlag(query, 'stderr'),
    follow: queryFlag(query, 'follow'),
    timestamps: queryFlag(query, 'timestamps'),
    details: queryFlag(query, 'details'),
    since: query.get('since') === '0' ? '' : (query.get('since') ?? ''),
    tail: query.get('tail') || 'all',
  }
  if (!wanted.stdout && !wanted.stderr) {
    throw invalid('Bad parameters: you must choose at least one stream')
  }
  // Asked of the Engines it would be an answer of 200 with nothing but their refusals.
  if (wanted.since !== '' && !/^[-+]?\d+(\.\d{0,20})?$/.test(wanted.since)) {
    throw invalid(`invalid value for "since": invalid timestamp "${wanted.since}"`)
  }
  if (wanted.tail !== 'all' && !/^\d+$/.test(wanted.tail)) {
    throw invalid(`tail value must be a positive integer or "all", not "${wanted.tail}"`)
  }
  return wanted
}

type LogQuery = ReturnType<typeof parseLogQuery>

/** Whether the node has something to read for this task. */
const hasLog = (task: Task): boolean =>
  task.NodeID !== '' && (task.Status.ContainerStatus?.ContainerID ?? '') !== ''

/** Clients of this version on know the multiplexed stream by its own type. */
const MULTIPLEXED_SINCE = '1.42'

const contentType = (tty: boolean, version: string | undefined): string =>
  tty || isOlder(version, MULTIPLEXED_SINCE)
    ? 'application/vnd.docker.raw-stream'
    : 'application/vnd.docker.multiplexed-stream'

/** Streams the logs of tasks to a client. */
export class LogStream {
  readonly #port: SwarmPort
  readonly #response: ServerResponse
  readonly #clock: Clock
  readonly #contentType: string
  readonly #query: LogQuery
  readonly #tty: boolean
  readonly #abort = new AbortController()
  readonly #reading = new Map<string, Promise<void>>()
  /** The last line that is written. */
  #written: Promise<void> = Promise.resolve()
  /** Whether logs that come later are waited for: of tasks to come, and of nodes that are away. */
  #followsService = false
  /** Why the log of some task is not whole. */
  readonly #missing: string[] = []

  constructor({ port, response, version, clock }: Exchange, query: LogQuery, tty: boolean) {
    this.#port = port
    this.#response = response
    this.#clock = clock
    this.#contentType = contentType(tty, version)
    this.#query = query
    this.#tty = tty
    response.on('close', () => this.#abort.abort())
  }

  /** Ends when every log ended; with `isWanted` it goes on with matching tasks that appear later, until the client goes away. */
  async run(
    tasks: readonly Task[],
    isWanted: ((task: Task) => boolean) | undefined,
  ): Promise<void> {
    // Nobody would end the streams of a client that went away while its tasks were looked up: 'close' is told once.
    if (this.#response.destroyed) return
    const present = tasks.filter(hasLog)
    if (present.length > LOG_TASKS_MAX) {
      throw invalid(`more than ${LOG_TASKS_MAX} tasks: ask for the log of one task instead`)
    }
    this.#followsService = isWanted !== undefined
    this.#response.writeHead(200, { 'Content-Type': this.#contentType })
    this.#response.flushHeaders()
    for (const task of present) this.#read(task, this.#query.tail)
    if (isWanted) await this.#follow(isWanted)
    else await Promise.all(this.#reading.values())
    await this.#tellMissing()
    if (!this.#response.destroyed) this.#response.end()
  }

  #follow(isWanted: (task: Task) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const see = (task: Task) => {
        if (!isWanted(task) || !hasLog(task) || this.#reading.has(task.ID)) return
        // All that a new task says is new: the tail is of what was there before.
        this.#read(task, 'all')
      }
      const stop = this.#port.watch(
        (changes) => {
          for (const change of changes) {
            if (change.kind === 'task' && change.action !== 'remove') see(change.object)
          }
        },
        () => {
          this.#missing.push('this node is no manager any more, or began anew as one: ask again')
          this.#abort.abort()
        },
      )
      const end = () => {
        stop?.()
        resolve()
      }
      if (this.#abort.signal.aborted) end()
      else this.#abort.signal.addEventListener('abort', end, { once: true })
    })
  }

  #read(task: Task, tail: string): void {
    this.#reading.set(task.ID, this.#copy(task, tail))
  }

  async #copy(task: Task, tail: string): Promise<void> {
    const { follow, stdout, stderr, since, details } = this.#query
    const request: LogsRequest = { taskId: task.ID, follow, stdout, stderr, since, tail, details }
    let last = ''
    for (;;) {
      const from = last === '' ? request : { ...request, since: sinceAfter(last), tail: 'all' }
      try {
        for await (const message of this.#port.taskLogs(task.NodeID, from, this.#abort.signal)) {
          last = message.timestamp || last
          const line = logLine(message, task, this.#query)
          // After the end another task's lines may still come.
          await this.#write(this.#tty ? line : logFrame(message.stream, line))
        }
        return
      } catch (thrown) {
        if (this.#abort.signal.aborted) return
        const { code, message } = toSwarmctlError(thrown)
        // The task was removed: so ends a log that is followed.
        if (this.#followsService && code === 'NOT_FOUND') return
        if (!(this.#followsService && AWAY.has(code) && (await this.#isLeaders()))) {
          this.#missing.push(`task ${task.ID}: ${message}`)
          // A follower would wait for lines that never come. Without following, the other logs are let through first.
          if (follow) this.#abort.abort()
          return
        }
      }
      // As in Swarm one node that is away ends nobody's reading of the others.
      await new Promise<void>((resolve) => this.#clock.schedule(LOG_RESUME_MS, resolve))
      if (this.#abort.signal.aborted) return
    }
  }

  /** One line at a time, whichever log it is of: else each would add its own to what a slow reader leaves waiting. */
  #write(part: Uint8Array): Promise<void> {
    this.#written = this.#written.then(() => writePart(this.#response, part))
    return this.#written
  }

  /** Nodes talk to the leader alone: on another manager no log goes on. */
  async #isLeaders(): Promise<boolean> {
    return (await this.#port.route()).kind === 'self'
  }

  /** The docker CLI stops at such a frame, so it comes last. */
  async #tellMissing(): Promise<void> {
    if (this.#missing.length === 0) return
    const text = Buffer.from(
      `incomplete log stream. some logs could not be retrieved for the following reasons: ${this.#missing.join('; ')}\n`,
    )
    await this.#write(this.#tty ? text : logFrame('system', text))
  }
}
