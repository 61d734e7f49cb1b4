import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '../test/support/lab/eventually.ts'
import type { LabHost } from '../test/support/lab/host.ts'
import type { UnixResponse } from '../test/support/lab/unix-request.ts'
import { wordsOf } from './command-line.ts'
import type { Replacement } from './shape.ts'
import type { Step } from './step.ts'

/** Most time that one command may take. */
const COMMAND_TIMEOUT_MS = 90_000
/** Most time until services are whole, and between looks. */
const WHOLE_TIMEOUT_MS = 60_000
const LOOK_EVERY_MS = 200

/** What a command did. */
export interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

interface ListedService {
  Spec: { Name: string }
  ServiceStatus?: { RunningTasks: number; DesiredTasks: number; CompletedTasks: number }
}

/** One of the two clusters: a manager and a worker. */
export class Side {
  readonly name: 'swarm' | 'swarmctl'
  readonly #cli: string
  readonly #manager: LabHost
  readonly #worker: LabHost
  readonly #dir: string
  readonly #remembered = new Map<string, string>()

  constructor(name: Side['name'], cli: string, manager: LabHost, worker: LabHost) {
    this.name = name
    this.#cli = cli
    this.#manager = manager
    this.#worker = worker
    this.#dir = join(manager.dir, 'compat')
    mkdirSync(this.#dir, { recursive: true })
  }

  write(files: Readonly<Record<string, string>>): void {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(this.#dir, name), text)
  }

  /** What of this side's outputs stands for itself only. */
  replacements(anyNode: boolean): Replacement[] {
    const places = (host: LabHost, role: string): Replacement[] => [
      [this.#socket(host), '<socket>'],
      [host.name, anyNode ? '<node>' : `<${role}>`],
    ]
    return [
      [this.#dir, '<dir>'],
      ...places(this.#manager, 'manager'),
      ...places(this.#worker, 'worker'),
    ]
  }

  /** Runs a step's command as it is for this side. */
  async run(step: Step): Promise<Outcome> {
    if (step.remember !== undefined) {
      const [name, args] = step.remember
      const { stdout } = await this.#docker(this.#manager, await this.#fill(args), '')
      this.#remembered.set(name, stdout.trim())
    }
    for (const wanted of step.when ?? []) await this.#untilWhole(wanted)
    const host = step.on === 'worker' ? this.#worker : this.#manager
    const line = await this.#fill(step.run)
    return this.#docker(host, line, step.input ?? '', step.endAfterMs)
  }

  async #fill(line: string): Promise<string> {
    const known: Record<string, string> = {
      manager: this.#manager.name,
      worker: this.#worker.name,
      managerIp: this.#manager.ip,
      workerIp: this.#worker.ip,
      dir: this.#dir,
    }
    for (const role of ['worker', 'manager']) {
      if (line.includes(`{token:${role}}`)) known[`token:${role}`] = await this.#token(role)
    }
    for (const [name, value] of this.#remembered) known[`name:${name}`] = value
    return line.replace(
      /(?<!\{)\{([a-zA-Z:]+)\}(?!\})/g,
      (text, name: string) => known[name] ?? text,
    )
  }

  async #token(role: string): Promise<string> {
    const args = `swarm join-token --quiet ${role}`
    return (await this.#docker(this.#manager, args, '')).stdout.trim()
  }

  #socket(host: LabHost): string {
    return this.name === 'swarm' ? host.dockerSocket : host.swarmctlSocket
  }

  async #docker(host: LabHost, line: string, input: string, endAfterMs?: number): Promise<Outcome> {
    const env = { DOCKER_CONFIG: join(this.#dir, 'config'), DOCKER_CLI_HINTS: 'false' }
    const end = endAfterMs === undefined ? [] : ['timeout', '-s', 'INT', String(endAfterMs / 1000)]
    const command = [...end, this.#cli, '-H', `unix://${this.#socket(host)}`, ...wordsOf(line)]
    const result = await host.exec(command[0]!, command.slice(1), {
      ...{ input, env, check: false, timeoutMs: COMMAND_TIMEOUT_MS },
    })
    // 124: ended by `timeout`, as the step wants.
    return endAfterMs !== undefined && result.code === 124 ? { ...result, code: 0 } : result
  }

  /** `web:2` two running tasks, `job!3` three completed ones. */
  async #untilWhole(wanted: string): Promise<void> {
    const [, name, kind, count] = /^(.+)([:!])(\d+)$/.exec(wanted)!
    await eventually(
      async () => {
        const services = (await this.#api('/services?status=true')).json<ListedService[]>()
        const status = services.find(({ Spec }) => Spec.Name === name)?.ServiceStatus
        const actual = kind === ':' ? status?.RunningTasks : status?.CompletedTasks
        if (actual !== Number(count)) throw new Error(JSON.stringify(status))
        return true
      },
      {
        what: `${this.name}: ${wanted}`,
        timeoutMs: WHOLE_TIMEOUT_MS,
        intervalMs: LOOK_EVERY_MS,
      },
    )
  }

  #api(path: string): Promise<UnixResponse> {
    return this.name === 'swarm'
      ? this.#manager.engineRequest(path)
      : this.#manager.apiRequest(path)
  }
}
