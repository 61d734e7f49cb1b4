import { isDeepStrictEqual } from 'node:util'
import type { Log } from '../api/log.ts'
import type { Exec } from './exec.ts'
import type { Proc } from './proc.ts'
import {
  JOIN_SCRIPT,
  NOT_THERE,
  PART_SCRIPT,
  type ResolverPorts,
  resolverPorts,
  resolverRules,
} from './resolver-rules.ts'

/** A container that was there before it came to an overlay: it asks the Engine's resolver, which knows nothing of us. */
export interface NameClient {
  /** Of its first process. */
  pid: number
  /** Its address on the overlay, without mask. */
  address: string
  /** This node's gateway there: where our DNS listens. */
  gateway: string
}

/** Where a container's Engine answers, as our server reaches it. */
export interface EngineResolver {
  address: string
  ports: ResolverPorts
}

interface Led {
  client: NameClient
  ports: ResolverPorts
}

/**
 * Leads the questions of such containers to our DNS server, by rules in their own network namespaces: no Engine changes a container's
 * servers once it exists, and newer ones ask for it from the host, where nobody can tell for whom. What our server does not know it asks
 * the Engine's resolver in the container, which still has the names of the container's other networks and its servers.
 */
export class NameClients {
  readonly #exec: Exec
  readonly #proc: Proc
  readonly #log: Log
  /** By task id: a container on several overlays has several. */
  readonly #wanted = new Map<string, NameClient>()
  /** What was done, by process id. */
  readonly #led = new Map<number, Led>()
  readonly #problems = new Map<number, string>()

  constructor(deps: { exec: Exec; proc: Proc; log: Log }) {
    this.#exec = deps.exec
    this.#proc = deps.proc
    this.#log = deps.log
  }

  set(taskId: string, client: NameClient): void {
    this.#wanted.set(taskId, client)
  }

  /** Whether there was one. */
  delete(taskId: string): boolean {
    return this.#wanted.delete(taskId)
  }

  /** One line for each container whose questions can't be led to us. */
  problems(): string[] {
    return [...this.#problems.values()]
  }

  /** Whom to ask what our server does not know, for the container with an address. */
  resolverOf(source: string): EngineResolver | undefined {
    for (const { client, ports } of this.#led.values())
      if (client.address === source) return { address: source, ports }
    return undefined
  }

  /** Makes the containers' rules what they are to be; `isResync`: also those that were made before. */
  async sync(isResync: boolean): Promise<void> {
    const wanted = this.#byPid()
    for (const [pid, { client }] of this.#led) {
      if (wanted.has(pid)) continue
      this.#led.delete(pid)
      await this.#part(client)
    }
    for (const pid of this.#problems.keys()) if (!wanted.has(pid)) this.#problems.delete(pid)
    for (const client of wanted.values()) await this.#lead(client, isResync)
  }

  /** A container asks at one of its overlays: our server answers from all of them. */
  #byPid(): Map<number, NameClient> {
    const first = new Map<number, NameClient>()
    for (const client of this.#wanted.values())
      if (!first.has(client.pid)) first.set(client.pid, client)
    return first
  }

  /** The containers ask their Engine alone again, as long as nobody answers here. */
  async close(): Promise<void> {
    this.#wanted.clear()
    await this.sync(false)
  }

  async #lead(client: NameClient, isResync: boolean): Promise<void> {
    const { address, pid } = client
    const ports = await this.#ports(pid)
    // Without an Engine's resolver (the user wrote resolv.conf) there is nothing to stand before.
    if (ports === undefined) return
    const led: Led = { client, ports }
    if (!isResync && isDeepStrictEqual(this.#led.get(pid), led)) return
    const args = ['sh', '-ec', JOIN_SCRIPT, 'sh', address]
    const result = await this.#inside(pid, args, resolverRules(client, ports))
    // It ended meanwhile, and the process id is another one's by now.
    if (result.code === NOT_THERE) return
    this.#led.set(pid, led)
    this.#tell(client, result.code === 0 ? '' : (result.stderr.trim().split('\n')[0] ?? ''))
  }

  async #part({ address, pid }: NameClient): Promise<void> {
    await this.#inside(pid, ['sh', '-c', PART_SCRIPT, 'sh', address], '')
  }

  #inside(pid: number, args: readonly string[], input: string) {
    return this.#exec.run('nsenter', [`--net=/proc/${pid}/ns/net`, ...args], input)
  }

  async #ports(pid: number): Promise<ResolverPorts | undefined> {
    const files = ['udp', 'tcp'].map((name) => this.#proc.read(`/proc/${pid}/net/${name}`))
    const [udp, tcp] = await Promise.all(files)
    return resolverPorts(udp ?? '', tcp ?? '')
  }

  #tell({ address, pid }: NameClient, reason: string): void {
    if (reason === '') {
      this.#problems.delete(pid)
      return
    }
    const problem = `the container with address ${address} finds no names of the overlay: ${reason}`
    if (this.#problems.get(pid) !== problem) this.#log.warn({ address }, problem)
    this.#problems.set(pid, problem)
  }
}
