/** A host of the lab: a machine with an Engine of its own, on which the built swarmctl runs. */
import assert from 'node:assert'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { BackgroundProcess } from './background-process.ts'
import type { CommandOptions, CommandResult } from './command.ts'
import { Engine } from './engine.ts'
import { eventually } from './eventually.ts'
import { LabMachine, type MachineIdentity } from './machine.ts'
import { cgroupParent } from './names.ts'
import { type UnixRequestOptions, type UnixResponse, unixRequest } from './unix-request.ts'

const DAEMON_START_TIMEOUT_MS = 20_000
const DAEMON_START_INTERVAL_MS = 50

/** How a host runs its programs. */
export interface HostOptions {
  /** The command line of swarmctl: `['/…/dist/swarmctl']`. */
  readonly swarmctl: readonly string[]
  /** Further arguments of dockerd. */
  readonly engineArgs: readonly string[]
}

/** How a daemon is started. */
export interface DaemonOptions {
  readonly env?: Readonly<Record<string, string>>
  /** `false`: do not wait until the API socket answers. */
  readonly wait?: boolean
}

export class LabHost extends LabMachine {
  readonly engine: Engine
  /** API socket of the swarmctl daemon. */
  readonly swarmctlSocket: string
  readonly dataDir: string
  readonly runDir: string
  readonly #options: HostOptions
  #daemon: BackgroundProcess | undefined

  constructor(identity: MachineIdentity, options: HostOptions) {
    super(identity)
    this.#options = options
    this.engine = new Engine(this, {
      cgroupParent: cgroupParent(identity.slot, identity.name),
      args: options.engineArgs,
    })
    this.swarmctlSocket = join(this.dir, 'swarmctl.sock')
    this.dataDir = join(this.dir, 'state')
    this.runDir = join(this.dir, 'run')
  }

  /** Socket of the host's raw Engine; reachable from outside the host too. */
  get dockerSocket(): string {
    return this.engine.socket
  }

  /** The daemon that {@link spawnDaemon} started last. */
  get daemon(): BackgroundProcess | undefined {
    return this.#daemon
  }

  /** The flags by which this host's daemon differs from another's; `init` and `join` pass them on. */
  daemonFlags(): string[] {
    return [
      ...['--data-dir', this.dataDir],
      ...['--run-dir', this.runDir],
      ...['--socket', this.swarmctlSocket],
      ...['--docker-host', `unix://${this.dockerSocket}`],
    ]
  }

  /** Starts `swarmctl daemon` and resolves when its API socket answers; the log is `daemon.log`. */
  async spawnDaemon(
    args: readonly string[] = [],
    options: DaemonOptions = {},
  ): Promise<BackgroundProcess> {
    assert(!this.#daemon?.isRunning, `the daemon of ${this.name} runs already`)
    const daemon = await this.spawn(
      [...this.#options.swarmctl, 'daemon', ...this.daemonFlags(), ...args],
      { logName: 'daemon', ...(options.env === undefined ? {} : { env: options.env }) },
    )
    this.#daemon = daemon
    if (options.wait === false) return daemon
    await eventually(
      async () => !daemon.isRunning || (await this.apiRequest('/_ping')).status > 0,
      {
        what: `the daemon of ${this.name} answers`,
        timeoutMs: DAEMON_START_TIMEOUT_MS,
        intervalMs: DAEMON_START_INTERVAL_MS,
      },
    ).catch((error: unknown) => {
      throw new Error(`${(error as Error).message}\n${daemon.logTail()}`)
    })
    if (!daemon.isRunning) throw new Error(`the daemon ended at once:\n${daemon.logTail()}`)
    return daemon
  }

  /** SIGTERM, and waits for its end. */
  async stopDaemon(): Promise<void> {
    await this.#daemon?.stop()
  }

  /** SIGKILL, and waits for its end. */
  async kill9Daemon(): Promise<void> {
    await this.#daemon?.kill()
  }

  /** Sends the daemon any signal: SIGSTOP and SIGCONT make it hang and wake up. */
  signalDaemon(signal: NodeJS.Signals): void {
    this.#daemon?.signal(signal)
  }

  /** The CLI, talking to this host's daemon. */
  swarmctl(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    const [file, ...before] = this.#options.swarmctl
    assert(file !== undefined)
    const env = { ...this.#env(), SWARMCTL_HOST: `unix://${this.swarmctlSocket}`, ...options.env }
    return this.exec(file, [...before, ...args], { ...options, env })
  }

  /** The command line of swarmctl, for a caller's own shell. */
  get swarmctlCommand(): readonly string[] {
    return this.#options.swarmctl
  }

  /** The CLI as a program that goes on: `logs --follow`. What it prints is in the process's log. */
  spawnSwarmctl(args: readonly string[]): Promise<BackgroundProcess> {
    const env = { ...this.#env(), SWARMCTL_HOST: `unix://${this.swarmctlSocket}` }
    return this.spawn([...this.#options.swarmctl, ...args], { env })
  }

  /** The docker CLI on the host's raw Engine. */
  docker(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return this.#docker(this.dockerSocket, args, options)
  }

  /** The unmodified docker CLI on the daemon's API socket. */
  dockerViaSwarmctl(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return this.#docker(this.swarmctlSocket, args, options)
  }

  /** One request to the raw Engine; any status resolves. */
  engineRequest(path: string, options?: UnixRequestOptions): Promise<UnixResponse> {
    return unixRequest(this.dockerSocket, path, options)
  }

  /** One request to the daemon's API socket; any status resolves. */
  apiRequest(path: string, options?: UnixRequestOptions): Promise<UnixResponse> {
    return unixRequest(this.swarmctlSocket, path, options)
  }

  /** SIGKILL to dockerd: its containers go on. */
  async killEngine(): Promise<void> {
    await this.engine.kill()
  }

  /** SIGTERM to dockerd: its containers stop. */
  async stopEngine(): Promise<void> {
    await this.engine.stop()
  }

  async startEngine(): Promise<void> {
    await this.engine.start()
  }

  /** The power fails: every process and container ends at once and the link is gone; the disk stays. */
  die(): void {
    this.switchOff()
  }

  /** Switches the host on (off before, if need be) and starts its Engine. The daemon is not started. */
  async reboot(): Promise<void> {
    if (this.isOn) this.die()
    for (const path of [this.runDir, this.swarmctlSocket, this.dockerSocket]) {
      rmSync(path, { recursive: true, force: true })
    }
    await this.switchOn()
    await this.startEngine()
  }

  #docker(socket: string, args: readonly string[], options: CommandOptions) {
    const env = { ...this.#env(), ...options.env }
    return this.exec('docker', ['-H', `unix://${socket}`, ...args], { ...options, env })
  }

  /** Log-ins and contexts of whoever runs the tests stay out. */
  #env(): Record<string, string> {
    return { DOCKER_CONFIG: join(this.dir, 'docker-config'), DOCKER_CLI_HINTS: 'false' }
  }
}
