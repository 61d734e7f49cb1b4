/** Drives a node-process.ts on a lab host. */
import assert from 'node:assert'
import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { OverlayMessage } from '../../../src/api/assignment.ts'
import type { Task } from '../../../src/api/task.ts'
import type { Attachment } from '../../../src/overlay/attachment.ts'
import type { DataPlaneProbe } from '../../../src/overlay/probe.ts'
import type { LabHost } from '../lab/host.ts'

interface Pending {
  resolve(result: unknown): void
  reject(error: Error): void
}

export class OverlayNode {
  readonly host: LabHost
  readonly nodeId: string
  readonly index: number
  readonly logFile: string
  readonly #plane: string
  readonly #pending = new Map<number, Pending>()
  #child: ChildProcess | null = null
  #nextId = 1

  constructor(host: LabHost, index: number, plane: string) {
    this.host = host
    this.index = index
    this.nodeId = `node${index}`
    this.#plane = plane
    this.logFile = join(host.dir, 'overlay.log')
  }

  /** Starts the process and the overlay in it. */
  async start(): Promise<DataPlaneProbe> {
    assert(this.#child === null)
    const [entrance, ...args] = this.host.entrance()
    assert(entrance !== undefined)
    const script = resolve(import.meta.dirname, 'node-process.ts')
    const command = [process.execPath, script, this.#plane, this.host.dockerSocket, this.host.ip]
    const child = spawn(entrance, [...args, ...command], { stdio: 'pipe' })
    child.stderr.on('data', (chunk: Buffer) => appendFileSync(this.logFile, chunk))
    createInterface({ input: child.stdout }).on('line', (line) => this.#onLine(line))
    child.on('exit', () => {
      for (const one of this.#pending.values())
        one.reject(new Error(`overlay ended\n${this.log()}`))
      this.#pending.clear()
    })
    this.#child = child
    const probe = (await this.#call('start')) as DataPlaneProbe
    await this.#call('setSelf', { nodeId: this.nodeId, index: this.index })
    return probe
  }

  apply(message: OverlayMessage): Promise<unknown> {
    return this.#call('apply', message)
  }

  attach(task: Task): Promise<Attachment> {
    return this.#call('attach', task) as Promise<Attachment>
  }

  /** How long it took, milliseconds. */
  drain(task: Task, pid: number, limitMs: number): Promise<number> {
    return this.#call('drain', task, pid, limitMs) as Promise<number>
  }

  dropEndpoint(taskId: string): Promise<unknown> {
    return this.#call('dropEndpoint', taskId)
  }

  problems(): Promise<string[]> {
    return this.#call('problems') as Promise<string[]>
  }

  destroy(): Promise<unknown> {
    return this.#call('destroy')
  }

  /** Ends the process as a daemon's restart does: with an orderly close, or at once. */
  async stop(how: 'close' | 'kill'): Promise<void> {
    const child = this.#child
    if (child === null) return
    if (how === 'close') await this.#call('close')
    this.#child = null
    const ended = new Promise((resolve) => child.once('exit', resolve))
    // nsenter stands in front: the end of its input ends the process itself.
    child.stdin?.end()
    await ended
  }

  log(): string {
    try {
      return readFileSync(this.logFile, 'utf8')
    } catch {
      return ''
    }
  }

  #call(method: string, ...args: unknown[]): Promise<unknown> {
    const child = this.#child
    assert(child !== null, 'the overlay is not started')
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject })
      child.stdin?.write(`${JSON.stringify({ id, method, args })}\n`)
    })
  }

  #onLine(line: string): void {
    const { id, result, error } = JSON.parse(line) as {
      id: number
      result: unknown
      error?: string
    }
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    if (error === undefined) pending?.resolve(result)
    else pending?.reject(new Error(error))
  }
}
