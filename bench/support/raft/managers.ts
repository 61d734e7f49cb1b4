import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import { join, resolve } from 'node:path'
import { unixRequest } from '../../../test/support/lab/unix-request.ts'
import { startEngine } from './engine.ts'
import type { Target } from './job.ts'
import type { BenchNetwork } from './network.ts'
import { ServerProcess, until } from './server-process.ts'
import type { RaftSubject } from './subject.ts'

const CLUSTER_PORT = 2377
const START_TIMEOUT_MS = 30_000
const ROOT = resolve(import.meta.dirname, '../../..')

/** The real daemon: from source with this Node, or what SWARMCTL_COMMAND says, split at spaces. */
const COMMAND = process.env.SWARMCTL_COMMAND?.split(' ') ?? [
  process.execPath,
  ...(process.env.RAFT_BENCH_NODE_FLAGS?.split(' ') ?? []),
  join(ROOT, 'bin/swarmctl.ts'),
]

/** Three managers of swarmctl with their defaults, each the whole daemon. */
export class ManagerCluster implements RaftSubject {
  readonly name = 'swarmctl'
  readonly #network: BenchNetwork
  readonly #directory: string
  #members: ServerProcess[] = []
  #engines: Server[] = []

  constructor(network: BenchNetwork, directory: string) {
    this.#network = network
    this.#directory = join(directory, 'swarmctl')
  }

  async start(): Promise<void> {
    rmSync(this.#directory, { recursive: true, force: true })
    const { addresses } = this.#network
    for (const index of addresses.keys()) {
      mkdirSync(this.#path(index, 'run'), { recursive: true })
      this.#engines.push(await startEngine(this.#path(index, 'engine.sock')))
    }
    this.#members = addresses.map((_, index) => this.#spawn(index))
    await Promise.all(addresses.map((_, index) => this.#untilServing(index)))
    await this.#api(0, '/swarm/init', { ListenAddr: this.#addr(0), AdvertiseAddr: this.#addr(0) })
    const { JoinTokens } = (await this.#api(0, '/swarm')) as { JoinTokens: { Manager: string } }
    for (const index of addresses.keys()) {
      if (index === 0) continue
      await this.#api(index, '/swarm/join', {
        ListenAddr: this.#addr(index),
        AdvertiseAddr: this.#addr(index),
        RemoteAddrs: [this.#addr(0)],
        JoinToken: JoinTokens.Manager,
      })
    }
  }

  async startMember(index: number): Promise<void> {
    this.#members[index] = this.#spawn(index)
    await this.#untilServing(index)
  }

  /** Resolves when a member that was started again takes part, with its state in memory. */
  async untilActive(index: number): Promise<void> {
    await until('a member to take part again', START_TIMEOUT_MS, async () => {
      const { Swarm } = (await this.#api(index, '/info')) as { Swarm: { LocalNodeState: string } }
      return Swarm.LocalNodeState === 'active' ? true : undefined
    })
  }

  async stop(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.stop()))
    for (const engine of this.#engines.splice(0)) {
      engine.closeAllConnections()
      engine.close()
    }
    rmSync(this.#directory, { recursive: true, force: true })
  }

  target(): Target {
    // The clients show a manager's certificate, as a manager that calls another one does.
    const file = readFileSync(this.#path(0, 'data/credentials.json'), 'utf8')
    const { keyPem, certPem, rootCAPem } = JSON.parse(file) as Record<string, string>
    return {
      subject: 'swarmctl',
      addrs: this.#network.addresses.map((_, index) => this.#addr(index)),
      pids: this.#members.map(({ pid }) => pid),
      tls: { key: keyPem as string, cert: certPem as string, ca: rootCAPem as string },
    }
  }

  member(index: number): ServerProcess {
    return this.#members[index] as ServerProcess
  }

  logTails(): string {
    return this.#members.map((member) => `${member.logFile}:\n${member.logTail()}`).join('\n')
  }

  #addr(index: number): string {
    return `${this.#network.addresses[index]}:${CLUSTER_PORT}`
  }

  #path(index: number, name: string): string {
    return join(this.#directory, `m${index}`, name)
  }

  #spawn(index: number): ServerProcess {
    const flags = [
      ...['--data-dir', this.#path(index, 'data'), '--run-dir', this.#path(index, 'run')],
      ...['--docker-host', `unix://${this.#path(index, 'engine.sock')}`],
    ]
    const command = [...this.#network.inMember(index), ...COMMAND, 'daemon', ...flags]
    return new ServerProcess(command, join(this.#directory, `m${index}.log`))
  }

  async #untilServing(index: number): Promise<void> {
    const socket = this.#path(index, 'run/docker.sock')
    await until('the start of a daemon', START_TIMEOUT_MS, async () => {
      if (!this.member(index).isRunning) throw new Error(this.member(index).logTail())
      return (await unixRequest(socket, '/_ping')).status === 200 ? true : undefined
    })
  }

  async #api(index: number, path: string, body?: unknown): Promise<unknown> {
    const socket = this.#path(index, 'run/docker.sock')
    const answer = await unixRequest(socket, path, { ...(body !== undefined && { body }) })
    if (answer.status >= 300) throw new Error(`${path}: ${answer.status} ${answer.text}`)
    return answer.text === '' ? undefined : answer.json()
  }
}
