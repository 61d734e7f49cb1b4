/** A long-running program inside a host's namespaces, with a log file. */
import assert from 'node:assert'
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { childrenOf } from './process-table.ts'

const FORK_WAIT_MS = 5
const FORK_ATTEMPTS_MAX = 400
const STOP_TIMEOUT_MS = 30_000
const LOG_TAIL_LINES = 30

/** How it ended; both null while it runs. */
export interface ExitState {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** Started by {@link startInBackground}. */
export class BackgroundProcess {
  readonly logFile: string
  /** Pid as the machine sees it, not as the host's own pid namespace does. */
  readonly pid: number
  readonly #entrance: ChildProcess
  readonly #ended: Promise<ExitState>
  #state: ExitState = { code: null, signal: null }
  #isRunning = true

  constructor(pid: number, entrance: ChildProcess, logFile: string) {
    this.pid = pid
    this.logFile = logFile
    this.#entrance = entrance
    this.#ended = new Promise((resolve) => {
      const finish = (code: number | null, signal: NodeJS.Signals | null) => {
        this.#isRunning = false
        this.#state = { code, signal }
        resolve(this.#state)
      }
      if (entrance.exitCode !== null || entrance.signalCode !== null) {
        finish(entrance.exitCode, entrance.signalCode)
      } else {
        entrance.once('exit', finish)
      }
    })
  }

  get isRunning(): boolean {
    return this.#isRunning
  }

  get exitState(): ExitState {
    return this.#state
  }

  /** Resolves when the program has ended; while somebody waits it keeps this process alive. */
  waitForEnd(): Promise<ExitState> {
    this.#entrance.ref()
    return this.#ended.finally(() => this.#entrance.unref())
  }

  /** Sends a signal to the program itself; no error when it has ended. */
  signal(signal: NodeJS.Signals): void {
    if (!this.#isRunning) return
    try {
      process.kill(this.pid, signal)
      // nsenter stops itself with its child: it has to be woken too, or it never sees the child's end.
      if (signal === 'SIGCONT') this.#entrance.kill(signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }

  /** SIGTERM, then waits for the end; after the time SIGKILL and an error, since that is a bug to see. */
  async stop(timeoutMs = STOP_TIMEOUT_MS): Promise<ExitState> {
    this.signal('SIGTERM')
    const timeout = new AbortController()
    const late = sleep(timeoutMs, 'late', { signal: timeout.signal }).catch(() => 'ended')
    const first = await Promise.race([this.#ended, late])
    timeout.abort()
    if (first !== 'late') return this.waitForEnd()
    await this.kill()
    throw new Error(`no end within ${timeoutMs} ms of SIGTERM; last lines:\n${this.logTail()}`)
  }

  /** SIGKILL, and waits for the end. */
  async kill(): Promise<ExitState> {
    this.signal('SIGKILL')
    return this.waitForEnd()
  }

  log(): string {
    return existsSync(this.logFile) ? readFileSync(this.logFile, 'utf8') : ''
  }

  logTail(lines = LOG_TAIL_LINES): string {
    return this.log().trimEnd().split('\n').slice(-lines).join('\n')
  }
}

/**
 * Starts `args` behind `entrance` (an nsenter command line that forks), appending both outputs to
 * `logFile`. Resolves when the program's own pid is known. It neither keeps this process alive nor gets its Ctrl-C.
 */
export async function startInBackground(
  entrance: readonly string[],
  args: readonly string[],
  logFile: string,
  env: Readonly<Record<string, string>> = {},
): Promise<BackgroundProcess> {
  const [file, ...entranceArgs] = entrance
  assert(file !== undefined)
  const log = openSync(logFile, 'a')
  const child = spawn(file, [...entranceArgs, ...args], {
    stdio: ['ignore', log, log],
    detached: true,
    env: { ...process.env, ...env },
  })
  closeSync(log)
  const failed = new Promise<never>((_, reject) => child.once('error', reject))
  child.unref()
  return Promise.race([failed, waitForFork(child, logFile)])
}

async function waitForFork(child: ChildProcess, logFile: string): Promise<BackgroundProcess> {
  for (let attempt = 0; attempt < FORK_ATTEMPTS_MAX; attempt += 1) {
    if (child.exitCode !== null || child.signalCode !== null) {
      // Ended before it was seen: its own log says why, its pid matters to nobody any more.
      return new BackgroundProcess(child.pid ?? 0, child, logFile)
    }
    const pid = child.pid === undefined ? undefined : childrenOf(child.pid)[0]
    if (pid !== undefined) return new BackgroundProcess(pid, child, logFile)
    await sleep(FORK_WAIT_MS)
  }
  child.kill('SIGKILL')
  throw new Error(`${child.spawnargs.join(' ')}: did not start`)
}
