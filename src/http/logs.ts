import type { IncomingMessage, ServerResponse } from 'node:http'
import type { LogsRequest } from '../api/assignment.ts'
import { invalid, toSwarmctlError } from '../api/errors.ts'
import type { Task } from '../api/task.ts'
import { logFrame, logLine } from './log-frames.ts'
import type { SwarmPort } from './ports.ts'

/** Most task logs read at once for one request; a service with more tasks is refused with what to do. */
export const LOG_TASKS_MAX = 500

const flag = (query: URLSearchParams, name: string): boolean =>
  ['1', 'true', 'True', 'TRUE', 't'].includes(query.get(name) ?? '')

/** What `GET /services/{id}/logs` and `/tasks/{id}/logs` ask for. */
export const parseLogQuery = (query: URLSearchParams) => {
  const wanted = {
    stdout: flag(query, 'stdout'),
    stderr: flag(query, 'stderr'),
    follow: flag(query, 'follow'),
    timestamps: flag(query, 'timestamps'),
    details: flag(query, 'details'),
    since: query.get('since') === '0' ? '' : (query.get('since') ?? ''),
    tail: query.get('tail') || 'all',
  }
  if (!wanted.stdout && !wanted.stderr) {
    throw invalid('Bad parameters: you must choose at least one stream')
  }
  if (wanted.tail !== 'all' && !/^\d+$/.test(wanted.tail)) {
    throw invalid(`invalid tail "${wanted.tail}": a number of lines or "all"`)
  }
  return wanted
}

type LogQuery = ReturnType<typeof parseLogQuery>

/** Whether the node has, or will have, something to read for this task. */
const hasLog = (task: Task): boolean =>
  task.NodeID !== '' && (task.Status.ContainerStatus?.ContainerID ?? '') !== ''

/** Streams the logs of `tasks` and, when following, of those that `isWanted` and appear later. */
export class LogStream {
  readonly #port: SwarmPort
  readonly #response: ServerResponse
  readonly #query: LogQuery
  readonly #tty: boolean
  readonly #abort = new AbortController()
  readonly #reading = new Map<string, Promise<void>>()

  constructor(
    port: SwarmPort,
    request: IncomingMessage,
    response: ServerResponse,
    query: LogQuery,
    tty: boolean,
  ) {
    this.#port = port
    this.#response = response
    this.#query = query
    this.#tty = tty
    request.on('close', () => response.writableEnded || this.#abort.abort())
    response.on('close', () => this.#abort.abort())
  }

  /** Ends when every log ended, or when the client goes away. */
  async run(tasks: readonly Task[], isWanted: (task: Task) => boolean): Promise<void> {
    const present = tasks.filter(hasLog)
    if (present.length > LOG_TASKS_MAX) {
      throw invalid(`more than ${LOG_TASKS_MAX} tasks: ask for the log of one task instead`)
    }
    this.#response.writeHead(200, {
      'Content-Type': this.#tty
        ? 'application/vnd.docker.raw-stream'
        : 'application/vnd.docker.multiplexed-stream',
    })
    this.#response.flushHeaders()
    for (const task of present) this.#read(task)
    if (this.#query.follow) await this.#follow(isWanted)
    else await Promise.all(this.#reading.values())
    if (!this.#response.destroyed) this.#response.end()
  }

  #follow(isWanted: (task: Task) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.#port.watch((changes) => {
        for (const change of changes) {
          if (change.kind !== 'task' || change.action === 'remove') continue
          const task = change.object
          if (isWanted(task) && hasLog(task) && !this.#reading.has(task.ID)) this.#read(task)
        }
      })
      const end = () => {
        stop()
        resolve()
      }
      if (this.#abort.signal.aborted) end()
      else this.#abort.signal.addEventListener('abort', end, { once: true })
    })
  }

  #read(task: Task): void {
    this.#reading.set(task.ID, this.#copy(task))
  }

  async #copy(task: Task): Promise<void> {
    const { follow, stdout, stderr, since, tail } = this.#query
    const request: LogsRequest = { taskId: task.ID, follow, stdout, stderr, since, tail }
    try {
      const messages = this.#port.taskLogs(task.NodeID, request, this.#abort.signal)
      for await (const message of messages) {
        const line = logLine(message, task, this.#query)
        await this.#write(this.#tty ? line : logFrame(message.stream, line))
      }
    } catch (error) {
      if (this.#abort.signal.aborted) return
      const text = `error from daemon in stream: incomplete log of task ${task.ID}: ${toSwarmctlError(error).message}\n`
      await this.#write(this.#tty ? Buffer.from(text) : logFrame('system', Buffer.from(text)))
    }
  }

  #write(chunk: Uint8Array): Promise<void> {
    if (this.#response.destroyed || this.#response.write(chunk)) return Promise.resolve()
    return new Promise((resolve) => {
      const done = () => {
        this.#response.off('drain', done)
        this.#response.off('close', done)
        resolve()
      }
      this.#response.once('drain', done)
      this.#response.once('close', done)
    })
  }
}
