/** Several hosts, each with its own Docker Engine, on this one machine. Needs Linux and root. */
import assert from 'node:assert'
import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { type CommandResult, runCommand } from './command.ts'
import { type HostOptions, LabHost } from './host.ts'
import { LabMachine } from './machine.ts'
import {
  bridgeName,
  CLIENTS_MAX,
  clientAddress,
  HOSTS_MAX,
  hostAddress,
  labDir,
  machineAddress,
  type Slot,
} from './names.ts'
import { acceptForwarding, removeRemains } from './remains.ts'
import { freeSlot, sweepSlots, takeSlot } from './slot.ts'
import { testImageFile } from './test-image.ts'

/** What a lab consists of. */
export interface LabOptions {
  /** Hosts with an Engine each: `h1`, `h2`, … */
  readonly hosts: number
  /** Machines without an Engine, to connect from: `c1`, … Default none. */
  readonly clients?: number
  /** Appears in messages. */
  readonly name?: string
  /** `false`: the Engines start without the test image. */
  readonly image?: boolean
  /** Further arguments of every dockerd. */
  readonly engineArgs?: readonly string[]
  /** The command line of swarmctl; default `dist/swarmctl`, or SWARMCTL_COMMAND split at spaces. */
  readonly swarmctl?: readonly string[]
}

const EXECUTABLE = resolve(import.meta.dirname, '../../../dist/swarmctl')
const TOOLS = ['ip', 'nft', 'iptables', 'conntrack', 'dockerd', 'docker', 'nsenter', 'unshare']
/** From the shell's convention: 128 + the signal's number. */
const SIGNAL_EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

const living = new Set<Lab>()

export class Lab {
  readonly name: string
  readonly slot: Slot
  readonly hosts: readonly LabHost[]
  readonly clients: readonly LabMachine[]
  /** This machine's own address on the lab's network: what a host sees when the test itself connects. */
  readonly machineIp: string

  private constructor(slot: Slot, options: LabOptions) {
    this.slot = slot
    this.name = options.name ?? `lab ${slot}`
    this.machineIp = machineAddress(slot)
    const host: HostOptions = {
      swarmctl: options.swarmctl ?? defaultCommand(),
      engineArgs: options.engineArgs ?? [],
    }
    this.hosts = count(options.hosts).map(
      (index) => new LabHost({ slot, name: `h${index}`, ip: hostAddress(slot, index) }, host),
    )
    this.clients = count(options.clients ?? 0).map(
      (index) => new LabMachine({ slot, name: `c${index}`, ip: clientAddress(slot, index) }),
    )
  }

  /** Why a lab cannot run here, in words for a user; undefined when it can. */
  static async unavailable(): Promise<string | undefined> {
    if (process.platform !== 'linux') return 'a lab needs Linux'
    if (process.getuid?.() !== 0) return 'a lab needs root (namespaces, own Docker Engines)'
    const script = `for tool in ${TOOLS.join(' ')}; do command -v $tool >/dev/null || echo $tool; done`
    const missing = (await runCommand('sh', ['-c', script])).stdout.trim().split('\n').join(', ')
    return missing === '' ? undefined : `missing: ${missing}. Run: npm run setup -- --lab`
  }

  /** Builds the network, switches the hosts on, starts their Engines and loads the test image. */
  static async create(options: LabOptions): Promise<Lab> {
    assert(options.hosts >= 0 && options.hosts <= HOSTS_MAX, `0 to ${HOSTS_MAX} hosts`)
    assert((options.clients ?? 0) <= CLIENTS_MAX, `at most ${CLIENTS_MAX} clients`)
    const reason = await Lab.unavailable()
    if (reason !== undefined) throw new Error(reason)
    const lab = new Lab(takeSlot(), options)
    watchExit()
    living.add(lab)
    try {
      await lab.#start(options.image === false ? undefined : await testImageFile())
    } catch (error) {
      lab.#remove()
      throw error
    }
    return lab
  }

  /** Removes what labs left whose creator no longer runs; returns how many there were. */
  static sweep(): number {
    return sweepSlots().length
  }

  /** The host with this number, from 1. */
  host(number: number): LabHost {
    const host = this.hosts[number - 1]
    assert(host !== undefined, `this lab has ${this.hosts.length} hosts`)
    return host
  }

  /** The client with this number, from 1. */
  client(number: number): LabMachine {
    const client = this.clients[number - 1]
    assert(client !== undefined, `this lab has ${this.clients.length} clients`)
    return client
  }

  /** Cuts the network into groups: a host hears only those of its own group. The links stay up. */
  async partition(groups: readonly (readonly LabMachine[])[]): Promise<void> {
    await this.heal()
    const all = [...this.hosts, ...this.clients]
    await Promise.all(
      groups.flatMap((group) =>
        group.map((machine) => {
          const others = all.filter((other) => other.isOn && !group.includes(other))
          return others.length === 0 ? undefined : isolate(machine, others)
        }),
      ),
    )
  }

  /** Takes {@link partition} back and plugs in every cut link. */
  async heal(): Promise<void> {
    const machines = [...this.hosts, ...this.clients].filter((machine) => machine.isOn)
    await Promise.all(
      machines.map(async (machine) => {
        await machine.exec('nft', ['delete', 'table', 'inet', 'lab'], { check: false })
        await machine.healLink()
      }),
    )
  }

  /** The last lines of every daemon's log, for a failure's diagnosis. */
  logTails(): string {
    const tails = this.hosts.map((host) => {
      const tail = host.daemon?.logTail() ?? 'no daemon was started'
      return `--- ${host.name}: last lines of ${host.dir}/daemon.log\n${tail}`
    })
    return tails.join('\n')
  }

  /** Ends every process and removes everything the lab made. Never leave a lab open. */
  async close(): Promise<void> {
    this.#remove()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** For an exiting process, which cannot wait. */
  closeNow(): void {
    this.#remove()
  }

  async #start(imageFile: string | undefined): Promise<void> {
    mkdirSync(labDir(this.slot), { recursive: true })
    const bridge = bridgeName(this.slot)
    await runCommand('ip', ['link', 'add', bridge, 'type', 'bridge'])
    await runCommand('ip', ['addr', 'add', `${this.machineIp}/24`, 'dev', bridge])
    await runCommand('ip', ['link', 'set', bridge, 'up'])
    acceptForwarding(this.slot, true)
    const hosts = this.hosts.map(async (host) => {
      await host.switchOn()
      await host.startEngine()
      if (imageFile !== undefined) await host.engine.loadImages(imageFile)
    })
    // All of them, so that after a failure nobody is still building while the rest is removed.
    const starts = [...hosts, ...this.clients.map((client) => client.switchOn())]
    for (const start of await Promise.allSettled(starts)) {
      if (start.status === 'rejected') throw start.reason
    }
  }

  #remove(): void {
    if (!living.delete(this)) return
    removeRemains(this.slot)
    for (const machine of [...this.hosts, ...this.clients]) machine.forget()
    freeSlot(this.slot)
  }
}

function isolate(machine: LabMachine, others: readonly LabMachine[]): Promise<CommandResult> {
  const addresses = others.map((other) => other.ip).join(', ')
  // Before every other rule, so that the host's own tables see nothing of it.
  const rules = `table inet lab {
    chain in { type filter hook prerouting priority -500; ip saddr { ${addresses} } drop; }
    chain out { type filter hook output priority -500; ip daddr { ${addresses} } drop; }
  }`
  return machine.exec('nft', ['-f', '-'], { input: rules })
}

function defaultCommand(): readonly string[] {
  return process.env.SWARMCTL_COMMAND?.split(' ') ?? [EXECUTABLE]
}

function count(total: number): number[] {
  return Array.from({ length: total }, (_, index) => index + 1)
}

let isWatching = false

/** However this process ends, its labs go with it; after a SIGKILL the next lab's sweep does it. */
function watchExit(): void {
  if (isWatching) return
  isWatching = true
  process.on('exit', () => {
    for (const lab of living) lab.closeNow()
  })
  for (const [signal, code] of Object.entries(SIGNAL_EXIT_CODES)) {
    process.once(signal, () => process.exit(code))
  }
}
