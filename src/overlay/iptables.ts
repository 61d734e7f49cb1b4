import type { Exec, ExecResult } from './exec.ts'
import { MARK_ACCEPT } from './names.ts'

/** As iptables and dockerd take it: value/mask. */
export const ACCEPT_MARK = `0x${MARK_ACCEPT.toString(16)}/0x${MARK_ACCEPT.toString(16)}`

/** Accepts what nftables marked: an `accept` of another table does not overrule a FORWARD policy of DROP. */
export const ACCEPT_RULE = ['-m', 'mark', '--mark', ACCEPT_MARK, '-j', 'ACCEPT'] as const

/** A chain of ours, and those of the host that lead to it: the first that there is. */
export interface Jump {
  table: 'filter' | 'nat' | 'raw' | 'mangle'
  from: readonly string[]
  chain: string
}

/** The host's iptables of one family. What fails is told by exit codes: 127 when the program is missing. */
export class Iptables {
  readonly #exec: Exec
  readonly #program: 'iptables' | 'ip6tables'

  constructor(deps: { exec: Exec }, options: { program: 'iptables' | 'ip6tables' }) {
    this.#exec = deps.exec
    this.#program = options.program
  }

  /** Puts chains as they are to be, all or nothing of each table, and leaves others alone. */
  restore(script: string): Promise<ExecResult> {
    return this.#exec.run(`${this.#program}-restore`, ['-w', '--noflush'], script)
  }

  /** Why a restore failed, one line. */
  complaint({ stderr }: ExecResult): string {
    return `${this.#program}-restore: ${stderr.trim().split('\n')[0]}`
  }

  async hasChain(table: string, chain: string): Promise<boolean> {
    return (await this.#run(table, ['-S', chain])).code === 0
  }

  async has(table: string, chain: string, rule: readonly string[]): Promise<boolean> {
    return (await this.#run(table, ['-C', chain, ...rule])).code === 0
  }

  /** As the first of its chain. Resolves with the exit code. */
  async insert(table: string, chain: string, rule: readonly string[]): Promise<number> {
    return (await this.#run(table, ['-I', chain, ...rule])).code
  }

  async remove(table: string, chain: string, rule: readonly string[]): Promise<void> {
    if (await this.has(table, chain, rule)) await this.#run(table, ['-D', chain, ...rule])
  }

  /** Takes chains of ours away, and what leads to them. */
  async removeChains(jumps: readonly Jump[]): Promise<void> {
    for (const { table, from, chain } of jumps) {
      for (const hook of from) await this.remove(table, hook, ['-j', chain])
      await this.#run(table, ['-F', chain])
      await this.#run(table, ['-X', chain])
    }
  }

  #run(table: string, args: readonly string[]): Promise<ExecResult> {
    return this.#exec.run(this.#program, ['-w', '-t', table, ...args])
  }
}
