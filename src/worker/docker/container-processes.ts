import { readFile } from 'node:fs/promises'
import type { ProcessState } from '../executor.ts'

interface Container {
  id: string
  pid: number
}

/** What /proc says of a pid: `other` lives, without the container's id in its cgroup. */
type Seen = 'container' | 'other' | 'gone' | 'unreadable'

/** States of /proc/<pid>/stat that are an end: zombie and dead (proc(5)). */
const ENDED = new Set(['Z', 'X', 'x'])

/**
 * Containers' first processes as /proc has them: what is left to ask while the Engine does not answer. Believed only as far as it agreed
 * with the Engine while that did answer (another pid namespace, a machine without the Engine's cgroups).
 */
export class ContainerProcesses {
  readonly #procPath: string
  #seesProcesses: boolean
  /** The Engine names cgroups after containers here, so that a pid that is used again is told apart. */
  #seesCgroups = false

  /** `isLocal`: the Engine runs on this machine. */
  constructor(options: { isLocal: boolean; procPath?: string }) {
    this.#seesProcesses = options.isLocal
    this.#procPath = options.procPath ?? '/proc'
  }

  /** Containers that run, as the Engine says now. */
  async learn(running: readonly Container[]): Promise<void> {
    if (!this.#seesProcesses) return
    const seen = await Promise.all(running.map((one) => this.#see(one)))
    if (seen.includes('container')) this.#seesCgroups = true
    // One that just ended is gone although the Engine was right; all of them are not.
    else if (seen.length > 0 && seen.every((one) => one === 'gone')) this.#seesProcesses = false
  }

  async stateOf(container: Container): Promise<ProcessState> {
    // Without a pid nothing is known of its process.
    if (!this.#seesProcesses || container.pid === 0) return 'unknown'
    const seen = await this.#see(container)
    switch (seen) {
      case 'container':
        return 'alive'
      case 'gone':
        return 'gone'
      case 'other':
        return this.#seesCgroups ? 'gone' : 'unknown'
      case 'unreadable':
        return 'unknown'
      default:
        return seen satisfies never
    }
  }

  async #see({ id, pid }: Container): Promise<Seen> {
    try {
      const stat = await readFile(`${this.#procPath}/${pid}/stat`, 'utf8')
      // The second field is the name in brackets, which may hold anything.
      const state = stat.slice(stat.lastIndexOf(')') + 2).charAt(0)
      if (ENDED.has(state)) return 'gone'
      const cgroup = await readFile(`${this.#procPath}/${pid}/cgroup`, 'utf8')
      return cgroup.includes(id) ? 'container' : 'other'
    } catch (thrown) {
      const { code } = thrown as NodeJS.ErrnoException
      return code === 'ENOENT' || code === 'ESRCH' ? 'gone' : 'unreadable'
    }
  }
}
