// Clients of the control API at any manager's socket, and what they were told: the history that is checked at the end.

import { SwarmctlError } from '../../../src/api/errors.ts'
import type { Control } from '../../../src/manager/control/control.ts'
import type { RaftErrorCode } from '../../../src/raft/errors.ts'
import type { VirtualClock } from '../raft/virtual-clock.ts'
import type { ApiRequest } from './api-hop.ts'
import type { Host, Life } from './host.ts'
import type { Event } from './linearizability.ts'
import type { ManagerChecker } from './manager-checker.ts'
import type { ManagerFaults } from './manager-faults.ts'
import type { ObjectAnswer, ObjectCall, ObjectOperation } from './object-model.ts'
import { type FileKind, OBJECT_VERBS, type Seen } from './object-verbs.ts'
import type { Trace } from './trace.ts'

/** A client gives up after this long, milliseconds, and never learns what became of its request. */
const PATIENCE_MS = 20_000
/** Of one object: a longer history only costs time. */
const HISTORY_MAX = 150
/** Errors that promise that nothing happened (docs of `RaftNode.propose`), and the forwarder's own refusal. */
const NO_EFFECT: readonly (RaftErrorCode | 'NOT_FORWARDED')[] = [
  ...['RAFT_NOT_LEADER', 'RAFT_DROPPED', 'RAFT_LOG_FULL', 'RAFT_TOO_LARGE', 'NOT_FORWARDED'],
] as (RaftErrorCode | 'NOT_FORWARDED')[]

export interface ClientsDeps {
  clock: VirtualClock
  random: () => number
  trace: Trace
  checker: ManagerChecker
  faults: ManagerFaults
  hosts: () => readonly Host[]
  isFaulty: () => boolean
}

type Recorded = { -readonly [K in keyof Event<ObjectOperation>]: Event<ObjectOperation>[K] }

interface Target {
  readonly kind: FileKind
  readonly name: string
  readonly history: Recorded[]
}

export class Clients {
  readonly counts = { done: 0, refused: 0, unknown: 0, reads: 0, staleReads: 0 }
  readonly #deps: ClientsDeps
  readonly #targets: Target[]
  readonly #tokens = new Set<string>()
  /** The version that a process showed last, by process and name: it must not go back. */
  readonly #shown = new WeakMap<Life, Map<string, number>>()
  #time = 0

  constructor(deps: ClientsDeps) {
    this.#deps = deps
    const kinds: FileKind[] = ['config', 'secret', 'service']
    this.#targets = Array.from({ length: deps.faults.names }, (_, at) => {
      const kind = kinds[Math.floor(deps.random() * kinds.length)] ?? 'config'
      return { kind, name: `name-${at}`, history: [] }
    })
  }

  get targets(): readonly Target[] {
    return this.#targets
  }

  /** Clients work until faults end. */
  start(): void {
    for (let number = 1; number <= this.#deps.faults.clients; number += 1) void this.#work(number)
  }

  /** Reads an object at one manager, for the record. */
  async read(host: Host, target: Target): Promise<ObjectAnswer | undefined> {
    return this.#operate(0, host, target, { kind: 'read' }, undefined)
  }

  /** A request to a manager's socket; rejects as a client sees it, with UNAVAILABLE when nothing answers. */
  ask(host: Host, request: ApiRequest): Promise<unknown> {
    const { clock } = this.#deps
    const { life } = host
    if (life === undefined || !life.started) {
      return Promise.reject(
        new SwarmctlError('UNAVAILABLE', 'refused', { cause: { code: 'NOT_FORWARDED' } }),
      )
    }
    return new Promise((resolve, reject) => {
      const giveUp = () => reject(new SwarmctlError('TIMEOUT', 'no answer'))
      clock.after(PATIENCE_MS, giveUp)
      // A process takes requests when it runs.
      life.process.enter(0, () => {
        life.hop.handle(request).then(
          (value) => life.process.alive && resolve(value),
          (error) => life.process.alive && reject(error),
        )
      })
    })
  }

  async #work(number: number): Promise<void> {
    const { clock, random, faults, isFaulty } = this.#deps
    const seen = new Map<Target, Seen>()
    for (;;) {
      await new Promise<void>((resolve) => {
        clock.after(-Math.log(1 - random()) * faults.thinkMs, resolve)
      })
      if (!isFaulty()) return
      const host = this.#pick(this.#deps.hosts().filter(({ life }) => life?.started))
      const target = this.#pick(this.#targets)
      if (host === undefined || target === undefined) continue
      if (target.history.length >= HISTORY_MAX) return
      if (random() < 0.1) await this.#readStale(host, target)
      else await this.#operate(number, host, target, this.#choose(seen.get(target)), seen)
    }
  }

  #choose(seen: Seen | undefined): ObjectCall {
    const kind = this.#deps.random()
    if (kind < 0.35) return { kind: 'read' }
    if (kind < 0.5) return { kind: 'create', token: this.#newToken() }
    if (kind < 0.6) return { kind: 'remove' }
    if (seen === undefined) return { kind: 'read' }
    return { kind: 'update', expected: seen.token, token: this.#newToken() }
  }

  /** One checked operation. Undefined when it is none: a read without an answer, or a write that certainly did nothing. */
  async #operate(
    client: number,
    host: Host,
    target: Target,
    call: ObjectCall,
    seen: Map<Target, Seen> | undefined,
  ): Promise<ObjectAnswer | undefined> {
    const { trace } = this.#deps
    // On record from the start: who never answers may have done it all the same.
    const record: Recorded = {
      operation: { call, answer: { kind: 'unknown' } },
      called: this.#now(),
      returned: Number.POSITIVE_INFINITY,
    }
    target.history.push(record)
    const request = this.#request(target, call, seen?.get(target), (found) => {
      seen?.set(target, found)
    })
    trace.note(`c${client} at ${host.id} calls ${request.name}`)
    const answer = await this.ask(host, request).then(
      (value) => value as ObjectAnswer,
      (error) => this.#answerOf(error),
    )
    trace.note(`c${client} ${request.name}: ${answer === undefined ? 'no effect' : show(answer)}`)
    this.#count(call, answer)
    if (answer === undefined || (answer.kind === 'unknown' && call.kind === 'read')) {
      target.history.splice(target.history.indexOf(record), 1)
      return undefined
    }
    record.operation = { call, answer }
    if (answer.kind !== 'unknown') record.returned = this.#now()
    return answer
  }

  #request(
    { kind, name }: Target,
    call: ObjectCall,
    seen: Seen | undefined,
    onSeen: (found: Seen) => void,
  ): ApiRequest {
    const verbs = OBJECT_VERBS[kind]
    const title = `${call.kind} ${kind} ${name} ${'token' in call ? call.token : ''}`
    const run = async (control: Control): Promise<ObjectAnswer> => {
      switch (call.kind) {
        case 'read': {
          const found = await verbs.read(control, name, {})
          onSeen(found)
          return { kind: 'value', token: found.token }
        }
        case 'create':
          await verbs.create(control, name, call.token)
          return { kind: 'done' }
        case 'update':
          await verbs.update(control, name, seen?.version ?? 0, call.token)
          return { kind: 'done' }
        case 'remove':
          await verbs.remove(control, name)
          return { kind: 'done' }
        default:
          return call satisfies never
      }
    }
    return { name: title, run }
  }

  /** A read from one manager's own state: something that was written, and never older than what the same process showed before. */
  async #readStale(host: Host, { kind, name }: Target): Promise<void> {
    const { checker } = this.#deps
    const { life } = host
    const run = (control: Control) => OBJECT_VERBS[kind].read(control, name, { stale: true })
    const found = (await this.ask(host, { name: 'stale', stale: true, run }).catch(
      () => undefined,
    )) as Seen | undefined
    if (found === undefined || life === undefined) return
    this.counts.staleReads += 1
    if (!this.#tokens.has(found.token)) {
      checker.fail(`${host.id} shows ${found.token} at ${name}, which nobody wrote`)
    }
    const shown = this.#shown.get(life) ?? new Map<string, number>()
    this.#shown.set(life, shown)
    const before = shown.get(name) ?? 0
    if (found.version < before) {
      checker.fail(`${host.id} showed version ${before} of ${name}, and then ${found.version}`)
    }
    shown.set(name, found.version)
  }

  #answerOf(error: unknown): ObjectAnswer | undefined {
    if (!(error instanceof SwarmctlError)) {
      this.#deps.checker.fail(`a request ended with ${String((error as Error)?.stack ?? error)}`)
      return undefined
    }
    switch (error.code) {
      case 'ALREADY_EXISTS':
        return { kind: 'exists' }
      case 'NOT_FOUND':
        return { kind: 'absent' }
      case 'OUT_OF_SEQUENCE':
        return { kind: 'conflict' }
      case 'UNAVAILABLE':
      case 'TIMEOUT':
      case 'DISK_FULL': {
        const code = (error.cause as { code?: unknown } | undefined)?.code
        return NO_EFFECT.some((known) => known === code) ? undefined : { kind: 'unknown' }
      }
      default:
        this.#deps.checker.fail(`a request ended with ${error.code}: ${error.stack}`)
        return undefined
    }
  }

  #count(call: ObjectCall, answer: ObjectAnswer | undefined): void {
    if (answer === undefined) this.counts.refused += 1
    else if (answer.kind === 'unknown') this.counts.unknown += 1
    else if (call.kind === 'read') this.counts.reads += 1
    else this.counts.done += 1
  }

  /** The next place in the order of all calls and returns. */
  #now(): number {
    this.#time += 1
    return this.#time
  }

  #newToken(): string {
    const token = `t${this.#tokens.size + 1}`
    this.#tokens.add(token)
    return token
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items[Math.floor(this.#deps.random() * items.length)]
  }
}

function show(answer: ObjectAnswer): string {
  return answer.kind === 'value' ? answer.token : answer.kind
}
