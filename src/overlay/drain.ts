import type { Clock } from '../api/clock.ts'
import type { Exec } from './exec.ts'
import type { Proc } from './proc.ts'
import {
  connectionKey,
  openConnections,
  parseProcNetTcp,
  parseSilence,
  type SocketLine,
} from './socket-table.ts'

/** Milliseconds between two looks at a draining task's connections. */
const POLL_INTERVAL_MS = 250
/** A connection without data for so long is a kept-alive one (design §8). */
const SILENCE_MS = 3000
/** A client that has not confirmed its connection by then is gone, or never was one: it holds nobody up. */
const OPENING_MAX_MS = 3000
/** Every so many looks the silence is asked for: it costs a process. */
const SILENCE_EVERY_POLLS = 2

/** The TCP sockets of a process's network namespace; null when that is gone. */
export const readSockets = async (proc: Proc, pid: number): Promise<SocketLine[] | null> => {
  const files = await Promise.all(
    ['tcp', 'tcp6'].map((name) => proc.read(`/proc/${pid}/net/${name}`)),
  )
  if (files.every((text) => text === null)) return null
  return files.flatMap((text) => (text === null ? [] : parseProcNetTcp(text)))
}

/** Waits for a task's connections to end. */
export class Drainer {
  readonly #exec: Exec
  readonly #proc: Proc
  readonly #clock: Clock

  constructor(deps: { exec: Exec; proc: Proc; clock: Clock }) {
    this.#exec = deps.exec
    this.#proc = deps.proc
    this.#clock = deps.clock
  }

  /**
   * Resolves when no connection to the addresses is left in the process' network namespace, also none that a client is just opening,
   * when all of them were silent for 3 s, at the limit, or when the signal aborts.
   */
  async drain(
    addresses: ReadonlySet<string>,
    pid: number,
    limitMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const deadlineMs = this.#clock.nowMs() + limitMs
    const ports = new Set<number>()
    for (let poll = 0; !signal.aborted; poll++) {
      const isEarly = poll * POLL_INTERVAL_MS < OPENING_MAX_MS
      const open = (await this.#open(addresses, ports, pid)).filter(
        // It came while the task was in rotation, and its client may be far away: what it asks is answered.
        ({ state }) => state !== 'opening' || isEarly,
      )
      if (open.length === 0) return
      if (poll % SILENCE_EVERY_POLLS === 0 && (await this.#areSilent(open, pid))) return
      // The looks count too: a clock that is set back must not make the limit longer.
      const leftMs = Math.min(deadlineMs - this.#clock.nowMs(), limitMs - poll * POLL_INTERVAL_MS)
      if (leftMs <= 0) return
      await this.#wait(Math.min(POLL_INTERVAL_MS, leftMs), signal)
    }
  }

  async #open(
    addresses: ReadonlySet<string>,
    ports: Set<number>,
    pid: number,
  ): Promise<SocketLine[]> {
    const lines = (await readSockets(this.#proc, pid)) ?? []
    // A server that stops listening first still has its connections: ports are remembered.
    for (const line of lines) if (line.state === 'listen') ports.add(line.localPort)
    return openConnections(lines, addresses, ports)
  }

  async #areSilent(open: SocketLine[], pid: number): Promise<boolean> {
    const args = [`--net=/proc/${pid}/ns/net`, 'ss', '-tniHO']
    const result = await this.#exec.run('nsenter', args)
    if (result.code !== 0) return false
    const silence = parseSilence(result.stdout)
    return open.every((line) => {
      if (line.sendQueueBytes > 0 && line.state === 'closing') return false
      return (silence.get(connectionKey(line)) ?? 0) >= SILENCE_MS
    })
  }

  #wait(delayMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        cancel()
        signal.removeEventListener('abort', done)
        resolve()
      }
      const cancel = this.#clock.schedule(delayMs, done)
      signal.addEventListener('abort', done, { once: true })
    })
  }
}
