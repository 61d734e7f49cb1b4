import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const POLL_MS = 25
const STOP_TIMEOUT_MS = 15_000
const LOG_TAIL_LINES = 15

const living = new Set<ChildProcess>()

/** However the bench ends, no server outlives it. */
process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL')
})

/** One server that is measured; its output goes to a file. */
export class ServerProcess {
  readonly logFile: string
  readonly #child: ChildProcess

  constructor(command: readonly string[], logFile: string, env: NodeJS.ProcessEnv = {}) {
    this.logFile = logFile
    const log = openSync(logFile, 'a')
    const [file, ...args] = command
    this.#child = spawn(file as string, args, {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...env },
    })
    closeSync(log)
    this.#child.on('error', () => {})
    living.add(this.#child)
    this.#child.once('exit', () => living.delete(this.#child))
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  kill(signal: NodeJS.Signals): void {
    if (this.isRunning) this.#child.kill(signal)
  }

  /** Asks it to end, and makes it end when it doesn't. */
  async stop(): Promise<void> {
    this.kill('SIGTERM')
    for (let waitedMs = 0; this.isRunning && waitedMs < STOP_TIMEOUT_MS; waitedMs += POLL_MS) {
      await sleep(POLL_MS)
    }
    this.kill('SIGKILL')
    await this.exited()
  }

  async exited(): Promise<void> {
    while (this.isRunning) await sleep(POLL_MS)
  }

  logTail(): string {
    return readFileSync(this.logFile, 'utf8')
      .trimEnd()
      .split('\n')
      .slice(-LOG_TAIL_LINES)
      .join('\n')
  }
}

/** Polls until `probe` gives something; throws with `what` after a time limit. */
export const until = async <T>(
  what: string,
  timeoutMs: number,
  probe: () => Promise<T | undefined> | T | undefined,
): Promise<T> => {
  const endMs = performance.now() + timeoutMs
  let last = ''
  while (performance.now() < endMs) {
    try {
      const found = await probe()
      if (found !== undefined) return found
    } catch (error) {
      last = `: ${(error as Error).message}`
    }
    await sleep(POLL_MS)
  }
  throw new Error(`${what} took more than ${timeoutMs / 1000} s${last}`)
}
