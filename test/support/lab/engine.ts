/** A host's own dockerd. */
import assert from 'node:assert'
import { createReadStream, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BackgroundProcess } from './background-process.ts'
import { eventually } from './eventually.ts'
import type { LabMachine } from './machine.ts'
import { unixRequest } from './unix-request.ts'

const START_TIMEOUT_MS = 60_000
const START_INTERVAL_MS = 50
const LOAD_TIMEOUT_MS = 120_000
/** Of a process in the machine's own pid namespace, as its /run is. */
const PID_FILE = '/run/docker.pid'

/** What an Engine needs beside its machine. */
export interface EngineOptions {
  readonly cgroupParent: string
  /** Further arguments of dockerd. */
  readonly args: readonly string[]
}

/** Its images and containers are in the machine's folder, so they survive a reboot. */
export class Engine {
  readonly socket: string
  readonly #machine: LabMachine
  readonly #options: EngineOptions
  #process: BackgroundProcess | undefined

  constructor(machine: LabMachine, options: EngineOptions) {
    this.#machine = machine
    this.#options = options
    this.socket = join(machine.dir, 'docker.sock')
  }

  get process(): BackgroundProcess | undefined {
    return this.#process
  }

  /** Starts dockerd and resolves when it answers. Containers that a killed one left running are adopted. */
  async start(): Promise<void> {
    assert(!this.#process?.isRunning, `the Engine of ${this.#machine.name} runs already`)
    const root = join(this.#machine.dir, 'engine')
    mkdirSync(root, { recursive: true })
    writeFileSync(join(root, 'daemon.json'), '{}')
    rmSync(this.socket, { force: true })
    await this.#machine.exec('rm', ['-f', PID_FILE])
    const started = await this.#machine.spawn(
      [
        'dockerd',
        ...['-H', `unix://${this.socket}`],
        ...['--data-root', root],
        ...['--pidfile', PID_FILE],
        // The machine's own settings are not the host's.
        ...['--config-file', join(root, 'daemon.json')],
        // Nobody on the host could answer for systemd's cgroups.
        ...['--exec-opt', 'native.cgroupdriver=cgroupfs'],
        ...['--cgroup-parent', this.#options.cgroupParent],
        ...this.#options.args,
      ],
      { logName: 'dockerd' },
    )
    this.#process = started
    await eventually(
      async () => {
        if (!started.isRunning) return 'ended'
        return (await unixRequest(this.socket, '/_ping')).status === 200
      },
      {
        what: `the Engine of ${this.#machine.name} answers`,
        timeoutMs: START_TIMEOUT_MS,
        intervalMs: START_INTERVAL_MS,
      },
    )
    if (!started.isRunning) throw new Error(`dockerd ended at once:\n${started.logTail()}`)
  }

  /** SIGTERM: containers are stopped as well. */
  async stop(): Promise<void> {
    await this.#process?.stop()
  }

  /** SIGKILL: containers go on without their Engine. */
  async kill(): Promise<void> {
    await this.#process?.kill()
  }

  /** Loads what `docker save` made, or the lab's own image file. */
  async loadImages(tarFile: string): Promise<void> {
    const stream = createReadStream(tarFile)
    const response = await unixRequest(this.socket, '/images/load?quiet=1', {
      stream,
      timeoutMs: LOAD_TIMEOUT_MS,
    })
    if (response.status !== 200 || response.text.includes('"error"')) {
      throw new Error(`cannot load ${tarFile}: ${response.text}`)
    }
  }
}
