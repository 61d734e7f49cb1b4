import type { Log } from '../api/log.ts'
import { type Exec, mustRun } from './exec.ts'
import type { HostSettings } from './host-settings.ts'
import { NFT_TABLE } from './names.ts'
import type { NftTable } from './nft-model.ts'
import { differenceScript, fullScript, type NftLayout, removalScript } from './nft-script.ts'
import { type Proc, sysctlPath } from './proc.ts'
import { answeringAddresses, endedFlows, removalArgs } from './udp-flows.ts'

/** Room for the flows of a busy mesh: the default of 262144 fills at about 2200 new connections a second. */
const CONNTRACK_MAX = 1_048_576
/** Seconds; the kernel's default is 120. Long enough for late segments (2 × a minute is for the Internet's worst case). */
const TIME_WAIT_SECONDS = 30

/** Runs of conntrack, which takes one filter each and reads all flows of the host for it. Bounded, the rest times out by itself. */
const FLOW_REMOVALS_MAX = 512
/** With more of them it is looked first which have flows at all: a node that fails takes hundreds of addresses along. */
const FLOW_REMOVALS_UNSEEN = 4

/** The nftables table of one family: applies a model as the difference to the last one, or in full. */
export class KernelTables {
  readonly #exec: Exec
  readonly #proc: Proc
  readonly #settings: HostSettings
  readonly #log: Log
  readonly #vxlanPort: number
  readonly #layout: NftLayout
  #applied: NftTable | null = null
  #chains = new Set<string>()

  constructor(
    deps: { exec: Exec; proc: Proc; settings: HostSettings; log: Log },
    options: { vxlanPort: number; layout: NftLayout },
  ) {
    this.#exec = deps.exec
    this.#settings = deps.settings
    this.#proc = deps.proc
    this.#log = deps.log
    this.#vxlanPort = options.vxlanPort
    this.#layout = options.layout
  }

  /** Resolves when the kernel holds the model. A failed difference is followed by a full replacement. */
  async apply(model: NftTable): Promise<void> {
    const before = this.#applied
    if (before !== null) {
      const script = differenceScript(before, model, this.#chains, this.#layout)
      if (script === '' || (await this.#run(script))) {
        this.#applied = model
        for (const name of model.chains.keys()) this.#chains.add(name)
        await this.#forgetFlows(before, model)
        return
      }
    }
    this.#applied = null
    const script = fullScript(model, { vxlanPort: this.#vxlanPort, layout: this.#layout })
    await mustRun(this.#exec, 'nft', ['-f', '-'], script)
    this.#applied = model
    this.#chains = new Set(model.chains.keys())
    if (before !== null) await this.#forgetFlows(before, model)
    else await this.#sizeConntrack()
  }

  /** Whether the table is in the kernel; when someone flushed it the next apply is full. */
  async isPresent(): Promise<boolean> {
    // Listing anything inside the table would make nft read all of it.
    const { family } = this.#layout
    const { stdout } = await this.#exec.run('nft', ['list', 'tables', family])
    const isThere = stdout.split('\n').includes(`table ${family} ${NFT_TABLE}`)
    if (!isThere) this.#applied = null
    return isThere
  }

  /** The next apply replaces everything. */
  invalidate(): void {
    this.#applied = null
  }

  async destroy(): Promise<void> {
    this.#applied = null
    if (await this.isPresent())
      await mustRun(this.#exec, 'nft', ['-f', '-'], removalScript(this.#layout.family))
  }

  async #run(script: string): Promise<boolean> {
    const result = await this.#exec.run('nft', ['-f', '-'], script)
    if (result.code === 0) return true
    const complaint = result.stderr.trim().split('\n')[0]
    this.#log.warn({ complaint }, 'nft refused a change: replacing the whole table')
    return false
  }

  async #forgetFlows(before: NftTable, after: NftTable): Promise<void> {
    const ended = endedFlows(before, after)
    if (ended.length === 0) return
    const isIpv6 = this.#layout.family === 'ip6'
    const here = ended.length > FLOW_REMOVALS_UNSEEN ? await this.#answering(isIpv6) : null
    const removals = ended.filter(({ from }) => here?.has(from) ?? true)
    // Exit code 1 says that there were none.
    for (const one of removals.slice(0, FLOW_REMOVALS_MAX))
      await this.#exec.run('conntrack', removalArgs(one, isIpv6))
  }

  /** Where this host's UDP flows lead; null when that can't be told. */
  async #answering(isIpv6: boolean): Promise<ReadonlySet<string> | null> {
    const family = isIpv6 ? ['-f', 'ipv6'] : []
    const { code, stdout } = await this.#exec.run('conntrack', ['-L', ...family, '-p', 'udp'])
    return code === 0 ? answeringAddresses(stdout) : null
  }

  /** Best effort: only the initial network namespace may change the maximum. */
  async #sizeConntrack(): Promise<void> {
    const max = sysctlPath('net/netfilter/nf_conntrack_max')
    if (Number(await this.#proc.read(max)) < CONNTRACK_MAX)
      await this.#settings.set(max, String(CONNTRACK_MAX)).catch(() => {})
    const wait = sysctlPath('net/netfilter/nf_conntrack_tcp_timeout_time_wait')
    if (Number(await this.#proc.read(wait)) > TIME_WAIT_SECONDS)
      await this.#settings.set(wait, String(TIME_WAIT_SECONDS)).catch(() => {})
  }
}
