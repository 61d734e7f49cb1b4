import { setTimeout as sleep } from 'node:timers/promises'
import type { LabHost } from '../lab/host.ts'
import type { UnixRequestOptions } from '../lab/unix-request.ts'
import type { History } from './history.ts'

/** A call that takes longer has no answer. */
const CALL_TIMEOUT_MS = 4000
/** After a call that failed; a manager that is down refuses at once. */
const PAUSE_MS = 20
/** Between two calls of a client: the machine has other work too. */
const THINK_MS = 4
/** Each so many writes, a new object beside the changed one. */
const CREATE_EVERY = 50

interface ConfigAnswer {
  readonly ID: string
  readonly Version: { readonly Index: number }
  readonly Spec: { readonly Labels: Readonly<Record<string, string>> }
}

const nowMs = (): number => performance.now()

/** Undefined: no answer, or one that says that the outcome is not known. */
const ask = async (host: LabHost, path: string, options: UnixRequestOptions = {}) => {
  const answer = await host
    .apiRequest(path, { timeoutMs: CALL_TIMEOUT_MS, ...options })
    .catch(() => undefined)
  return answer !== undefined && answer.status < 300 ? answer : undefined
}

/** A register is a config whose label `n` is its value; one client writes it, through one manager. */
export class Register {
  readonly name: string
  readonly host: LabHost
  readonly #history: History
  #id = ''
  #value = 0
  /** Names of configs whose creation was acknowledged. */
  readonly created: string[] = []

  constructor(host: LabHost, name: string, history: History) {
    this.host = host
    this.name = name
    this.#history = history
  }

  async create(): Promise<void> {
    const answer = await this.host.apiRequest('/configs/create', { body: this.#spec(0) })
    if (answer.status !== 201) throw new Error(`could not create ${this.name}: ${answer.text}`)
    this.#id = answer.json<{ ID: string }>().ID
  }

  /** Writes one value after the other until told to stop. */
  async write(isOver: () => boolean): Promise<void> {
    let version: number | undefined
    while (!isOver()) {
      await sleep(THINK_MS)
      version ??= (await this.read(this.host))?.Version.Index
      if (version === undefined) {
        await sleep(PAUSE_MS)
        continue
      }
      this.#value += 1
      const acknowledged = await this.#update(this.#value, version)
      // The version of the change is told by a read only; after an unknown outcome as well.
      version = undefined
      if (acknowledged && this.#value % CREATE_EVERY === 0) await this.#createObject()
    }
  }

  /** Through any manager; noted when it was answered. */
  async read(host: LabHost): Promise<ConfigAnswer | undefined> {
    const startMs = nowMs()
    const config = (await ask(host, `/configs/${this.#id}`))?.json<ConfigAnswer>()
    if (config === undefined) return undefined
    const value = Number(config.Spec.Labels.n)
    this.#history.read(this.name, value, startMs, nowMs())
    return config
  }

  async #update(value: number, version: number): Promise<boolean> {
    const settle = this.#history.write(this.name, value, nowMs())
    const path = `/configs/${this.#id}/update?version=${version}`
    const answer = await ask(this.host, path, { body: this.#spec(value) })
    settle(answer === undefined ? 'unknown' : 'ok', nowMs())
    return answer !== undefined
  }

  async #createObject(): Promise<void> {
    const name = `${this.name}-${this.#value}`
    const body = { Name: name, Labels: {}, Data: 'eA==' }
    if ((await ask(this.host, '/configs/create', { body })) !== undefined) this.created.push(name)
  }

  #spec(value: number): object {
    return { Name: this.name, Labels: { n: String(value) }, Data: 'eA==' }
  }
}

/** Reads the registers in turn through one manager until told to stop. */
export const readAll = async (
  host: LabHost,
  registers: readonly Register[],
  isOver: () => boolean,
): Promise<void> => {
  for (let turn = 0; !isOver(); turn += 1) {
    const answer = await registers[turn % registers.length]?.read(host)
    await sleep(answer === undefined ? PAUSE_MS : THINK_MS)
  }
}
