import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Answer, EtcdClientName, Job, Load, LoadResult, MemberStatus, Target } from './job.ts'
import type { BenchNetwork } from './network.ts'

const CLIENT = join(import.meta.dirname, 'client.ts')

/** The clients' own process, in their own network namespace. */
export class ClientProcess {
  readonly #child: ChildProcess
  #exit: Promise<never>

  constructor(network: BenchNetwork) {
    const [file, ...args] = [...network.inClient(), process.execPath, CLIENT]
    this.#child = spawn(file as string, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#exit = new Promise((_, reject) => {
      this.#child.once('exit', (code) => reject(new Error(`the client ended with code ${code}`)))
    })
    this.#exit.catch(() => {})
  }

  async open(target: Target, etcdClient: EtcdClientName = 'http2'): Promise<void> {
    await this.#ask({ kind: 'open', target, etcdClient })
  }

  async status(): Promise<readonly (MemberStatus | null)[]> {
    const answer = await this.#ask({ kind: 'status' })
    return answer.kind === 'status' ? answer.members : []
  }

  async load(load: Load): Promise<LoadResult> {
    const answer = await this.#ask({ kind: 'load', load })
    if (answer.kind !== 'load') throw new Error('the client answered something else')
    return answer.result
  }

  async fill(count: number): Promise<void> {
    await this.#ask({ kind: 'fill', count })
  }

  /** Milliseconds from the leader's death to the first acknowledged write. */
  async failover(leader: number): Promise<number> {
    const answer = await this.#ask({ kind: 'failover', leader })
    if (answer.kind !== 'failover') throw new Error('the client answered something else')
    return answer.ms
  }

  close(): void {
    if (this.#child.connected) this.#child.disconnect()
  }

  async #ask(job: Job): Promise<Answer> {
    const answered = new Promise<Answer>((resolve) => {
      this.#child.once('message', (answer) => resolve(answer as Answer))
    })
    this.#child.send(job)
    const answer = await Promise.race([answered, this.#exit])
    if (answer.kind === 'failed') throw new Error(answer.message)
    return answer
  }
}
