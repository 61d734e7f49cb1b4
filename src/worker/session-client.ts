import type {
  AgentMessage,
  DispatcherMessage,
  ManagerAddr,
  ManagersList,
  SessionRequest,
} from '../api/assignment.ts'
import type { Clock } from '../api/clock.ts'
import { type ErrorCode, SwarmctlError, toSwarmctlError } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import { backoffMs } from './backoff.ts'
import {
  ELECTION_POLL_MS_MAX,
  REGISTER_TIMEOUT_MS,
  SESSION_BACKOFF_MS_MAX,
  SESSION_BACKOFF_MS_MIN,
  SESSION_SHORT_MS,
} from './limits.ts'
import { ManagerChoice } from './manager-choice.ts'
import { sleep } from './sleep.ts'

/** The part of an rpc stream that the agent needs (`src/rpc/connection.ts` has the whole). */
export interface ManagerStream {
  send(message: unknown): Promise<void>
  messages(): AsyncIterable<unknown>
  end(): void
  abort(error?: Error): void
}

/** A connection to a manager that is this session's alone: closed at its end. `agent.logs` is served on it. */
export interface ManagerConnection {
  openStream(method: string, body: unknown): ManagerStream
  close(): void
}

/** Connects to a manager's cluster port with the node's certificate. */
export type ConnectManager = (
  manager: ManagerAddr,
  signal: AbortSignal,
) => Promise<ManagerConnection>

/** A registered session. */
export interface LiveSession {
  manager: ManagerAddr
  /** Resolves when below the stream's high-water mark; never rejects: a broken stream ends the session. */
  send(message: AgentMessage): Promise<void>
  /** Ends the session; the agent registers anew. */
  restart(reason: string): void
}

export interface SessionClientDeps {
  connect: ConnectManager
  clock: Clock
  log: Log
  /** In [0, 1). */
  random: () => number
  hello: () => SessionRequest
  /** In order; the next message is read when it resolves. */
  onMessage: (
    message: Exclude<DispatcherMessage, { kind: 'redirect' }>,
    session: LiveSession,
  ) => Promise<void>
  onEnd: () => void
  /** A manager refuses this node because it was removed from the cluster; again at each further try. */
  onRemoved: (reason: string) => void
}

const SHORT_SESSION_BACKOFF = { minMs: SESSION_BACKOFF_MS_MIN, maxMs: SESSION_BACKOFF_MS_MAX }

/** Removed, expired or another cluster's; of a swarm that was restored from before the node joined; with a description that is none. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set([
  'UNAUTHENTICATED',
  'NODE_REMOVED',
  'NOT_FOUND',
  'INVALID_ARGUMENT',
  'PERMISSION_DENIED',
])

type Outcome =
  | { kind: 'ended' }
  | { kind: 'redirected' }
  | { kind: 'failed' }
  /** Trying elsewhere changes nothing. */
  | { kind: 'removed' }

/** Keeps a session with whoever leads: finds it, registers, sends heartbeats, and finds the next one when it is lost. */
export class SessionClient {
  readonly #deps: SessionClientDeps
  readonly #choice: ManagerChoice
  readonly #closing = new AbortController()
  #done: Promise<void> = Promise.resolve()
  #current: ManagerStream | undefined
  #refusal = ''

  constructor(deps: SessionClientDeps, options: { known: ManagersList }) {
    this.#deps = deps
    this.#choice = new ManagerChoice(options.known)
  }

  /** The managers as this node knows them. */
  get known(): ManagersList {
    return this.#choice.known
  }

  /** A manager says where the managers are. */
  learn(list: ManagersList): void {
    this.#choice.learn(list, { isPresent: true })
  }

  start(): void {
    this.#done = this.#run()
  }

  async stop(): Promise<void> {
    this.#closing.abort()
    this.#current?.abort()
    await this.#done
  }

  async #run(): Promise<void> {
    const { clock, random } = this.#deps
    let attempt = 0
    let anyAnswered = false
    this.#choice.begin()
    while (!this.#closing.signal.aborted) {
      const manager = this.#choice.next()
      if (manager === undefined) {
        attempt += 1
        const maxMs = anyAnswered ? ELECTION_POLL_MS_MAX : SESSION_BACKOFF_MS_MAX
        const delayMs = backoffMs(attempt, { minMs: SESSION_BACKOFF_MS_MIN, maxMs }, random())
        await sleep(clock, delayMs, this.#closing.signal)
        this.#choice.begin()
        anyAnswered = false
        continue
      }
      const sinceMs = clock.nowMs()
      const outcome = await this.#session(manager)
      if (outcome.kind === 'redirected') anyAnswered = true
      if (outcome.kind === 'removed')
        await sleep(clock, SESSION_BACKOFF_MS_MAX, this.#closing.signal)
      if (outcome.kind !== 'ended') continue
      this.#choice.begin(manager)
      if (clock.nowMs() - sinceMs >= SESSION_SHORT_MS) attempt = 0
      else {
        // A leader that can't serve sends its agents away at once: they must not come back in a loop.
        attempt += 1
        const delayMs = backoffMs(attempt, SHORT_SESSION_BACKOFF, random())
        await sleep(clock, delayMs, this.#closing.signal)
      }
    }
  }

  async #session(manager: ManagerAddr): Promise<Outcome> {
    const { connect, hello, log, onEnd } = this.#deps
    // One failed or silent manager must not hold up the search.
    const giveUp = new AbortController()
    const stopTimer = this.#deps.clock.schedule(REGISTER_TIMEOUT_MS, () =>
      giveUp.abort(new SwarmctlError('TIMEOUT', `manager ${manager.addr} does not answer`)),
    )
    let connection: ManagerConnection | undefined
    let isRegistered = false
    let stopHeartbeats = (): void => {}
    try {
      connection = await connect(manager, AbortSignal.any([giveUp.signal, this.#closing.signal]))
      const stream = connection.openStream('agent.session', hello())
      this.#current = stream
      giveUp.signal.addEventListener('abort', () => stream.abort(giveUp.signal.reason as Error))
      if (this.#closing.signal.aborted || giveUp.signal.aborted) return { kind: 'failed' }
      const session = liveSession(manager, stream)
      for await (const raw of stream.messages()) {
        stopTimer()
        const message = raw as DispatcherMessage
        if (message.kind === 'redirect') {
          this.#choice.learn(message)
          this.#choice.redirect(message.leader)
          return { kind: isRegistered ? 'ended' : 'redirected' }
        }
        if (message.kind === 'session') {
          isRegistered = true
          this.#refusal = ''
          log.info({ manager: manager.addr }, 'registered at the leader')
          stopHeartbeats = this.#heartbeat(session, message.heartbeatPeriodMs)
        }
        if (message.kind === 'heartbeat-period') {
          stopHeartbeats()
          stopHeartbeats = this.#heartbeat(session, message.periodMs)
        }
        if (message.kind === 'session') this.#choice.learn(message)
        if (message.kind === 'managers') this.#choice.learn(message, message)
        await this.#deps.onMessage(message, session)
      }
      return { kind: isRegistered ? 'ended' : 'failed' }
    } catch (thrown) {
      const error = toSwarmctlError(thrown)
      if (this.#closing.signal.aborted) return { kind: isRegistered ? 'ended' : 'failed' }
      if (isRegistered) {
        log.warn({ manager: manager.addr, error: error.message }, 'session broke')
        return { kind: 'ended' }
      }
      this.#tellRefusal(manager, error)
      if (error.code !== 'NODE_REMOVED') return { kind: 'failed' }
      this.#deps.onRemoved(error.message)
      return { kind: 'removed' }
    } finally {
      stopTimer()
      stopHeartbeats()
      this.#current = undefined
      connection?.close()
      if (isRegistered) onEnd()
    }
  }

  /** Not to be reached is everyday; to be refused needs somebody: told once, until it is otherwise. */
  #tellRefusal(manager: ManagerAddr, { code, message }: SwarmctlError): void {
    const { log } = this.#deps
    const isRefusal = REFUSALS.has(code)
    if (!isRefusal || message === this.#refusal)
      log.debug({ manager: manager.addr, error: message }, 'no session')
    else log.warn({ manager: manager.addr, error: message }, 'the managers refuse this node')
    if (isRefusal) this.#refusal = message
  }

  /** Returns what stops them. */
  #heartbeat(session: LiveSession, periodMs: number): () => void {
    let isSending = false
    let cancel = (): void => {}
    const beat = (): void => {
      cancel = this.#deps.clock.schedule(periodMs, beat)
      // A slow stream holds the last one still; more of them would say nothing more.
      if (isSending) return
      isSending = true
      void session.send({ kind: 'heartbeat' }).then(() => {
        isSending = false
      })
    }
    cancel = this.#deps.clock.schedule(periodMs, beat)
    return () => cancel()
  }
}

const liveSession = (manager: ManagerAddr, stream: ManagerStream): LiveSession => ({
  manager,
  send: (message) => stream.send(message).catch((error: Error) => stream.abort(error)),
  restart: (reason) => stream.abort(new SwarmctlError('UNAVAILABLE', reason)),
})
