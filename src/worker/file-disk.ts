import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../api/clock.ts'
import type { Log } from '../api/log.ts'
import type { AgentDisk, NodeRecord, TaskRecord } from './agent-disk.ts'

const NODE_FILE = 'node.json'

/** What is saved waits this long for newer content: a task goes through half of its states at once. */
const WRITE_DELAY_MS = 100

/** One JSON file per task and one for the node, each replaced atomically by a rename. */
export class FileDisk implements AgentDisk {
  readonly #path: string
  readonly #clock: Clock
  readonly #log: Log
  /** File name → content; null: to be removed. At most one entry per task. */
  #pending = new Map<string, NodeRecord | TaskRecord | null>()
  #cancelWrite: (() => void) | undefined
  /** One write of each file at a time. */
  #writing: Promise<void> = Promise.resolve()

  /** `path`: a directory for this alone, below --data-dir. */
  constructor(deps: { clock: Clock; log: Log }, options: { path: string }) {
    this.#clock = deps.clock
    this.#log = deps.log
    this.#path = options.path
  }

  async load(): Promise<{ node: NodeRecord | undefined; tasks: TaskRecord[] }> {
    await mkdir(this.#path, { recursive: true, mode: 0o700 })
    const names = (await readdir(this.#path)).filter((name) => name.endsWith('.json'))
    const records = await Promise.all(names.map((name) => this.#read(name)))
    const node = records.find((record) => record !== undefined && 'index' in record)
    return {
      node: node as NodeRecord | undefined,
      tasks: records.filter((r): r is TaskRecord => r !== undefined && 'task' in r),
    }
  }

  saveNode(record: NodeRecord): void {
    this.#put(NODE_FILE, record)
  }

  saveTask(record: TaskRecord): void {
    this.#put(`task-${record.task.ID}.json`, record)
  }

  removeTask(taskId: string): void {
    this.#put(`task-${taskId}.json`, null)
  }

  flush(): Promise<void> {
    this.#cancelWrite?.()
    this.#cancelWrite = undefined
    this.#writing = this.#writing.then(() => this.#write())
    return this.#writing
  }

  async clear(): Promise<void> {
    this.#pending.clear()
    await this.flush()
    await rm(this.#path, { recursive: true, force: true })
  }

  #put(name: string, content: NodeRecord | TaskRecord | null): void {
    this.#pending.set(name, content)
    this.#cancelWrite ??= this.#clock.schedule(WRITE_DELAY_MS, () => void this.flush())
  }

  async #write(): Promise<void> {
    const batch = this.#pending
    this.#pending = new Map()
    await Promise.all([...batch].map(([name, content]) => this.#replace(name, content)))
  }

  async #replace(name: string, content: NodeRecord | TaskRecord | null): Promise<void> {
    const path = join(this.#path, name)
    try {
      if (content === null) return await rm(path, { force: true })
      await writeFile(`${path}.new`, JSON.stringify(content), { mode: 0o600 })
      await rename(`${path}.new`, path)
    } catch (error) {
      // A full disk must not stop the tasks: without the record a restarted daemon learns the task from its manager.
      this.#log.error({ path, error: (error as Error).message }, 'could not save an assignment')
    }
  }

  async #read(name: string): Promise<NodeRecord | TaskRecord | undefined> {
    const path = join(this.#path, name)
    try {
      const record = JSON.parse(await readFile(path, 'utf8')) as NodeRecord | TaskRecord
      if (record.version === 1) return record
      this.#log.warn({ path, version: record.version }, 'ignoring a record of another version')
    } catch (error) {
      this.#log.warn({ path, error: (error as Error).message }, 'ignoring a damaged record')
    }
    return undefined
  }
}
