import type { Clock } from '../api/clock.ts'
import { toSwarmctlError } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import { type Credentials, readCredentials } from './credentials.ts'
import { createKeyAndCsr } from './csr.ts'

/** A renewal begins at a random point between these parts of the certificate's life (swarmkit `ca/renewer`: 50–80 %). */
const RENEW_AFTER_PART_MIN = 0.5
const RENEW_AFTER_PART_MAX = 0.8
/** Waits between failed renewals, doubling, in milliseconds. Without a limit in number: each is one request. */
const RETRY_MS_MIN = 1000
const RETRY_MS_MAX = 5 * 60_000
/**
 * Between two renewals of the loop's own: a signer outside may give certificates most of whose life is over. Their rest is longer, at least
 * an hour (`node-signer.ts`).
 */
const RENEWAL_GAP_MS_MIN = 5 * 60_000
/** The longest single wait. Node's timers hold 31 bits of milliseconds (24.8 days); renewals are further away. */
const SLEEP_MS_MAX = 24 * 3_600_000

/** What a CA answers to a renewal (rpc method `ca.renew`). */
export interface RenewedCertificate {
  certPem: string
  rootCAPem: string
}

export interface RenewalLoopDeps {
  clock: Clock
  /** [0, 1), for spreading the nodes' renewals. */
  random: () => number
  log: Log
  /** Asks a manager to certify a new key for this node. */
  renew: (csrPem: string) => Promise<RenewedCertificate>
  /** Stores new credentials and hands them to server and pool. The loop goes on with them when it resolves. */
  onCredentials: (credentials: Credentials) => Promise<void>
}

/** When to renew: a function of the certificate's life and a random number in [0, 1). Milliseconds since the epoch. */
export const renewAtMs = (
  life: { notBefore: number; notAfter: number },
  random: number,
): number => {
  const part = RENEW_AFTER_PART_MIN + random * (RENEW_AFTER_PART_MAX - RENEW_AFTER_PART_MIN)
  return life.notBefore + (life.notAfter - life.notBefore) * part
}

/** Keeps a node's certificate fresh: renews it in time, at once on `renewNow`, and again after a failure. */
export class RenewalLoop {
  readonly #deps: RenewalLoopDeps
  #credentials: Credentials
  #cancel: (() => void) | undefined
  #current: Promise<void> | undefined
  #next: Promise<void> | undefined
  #running = false
  #failures = 0
  /** When the last renewal was done. */
  #renewedMs = Number.NEGATIVE_INFINITY

  constructor(deps: RenewalLoopDeps, options: { credentials: Credentials }) {
    this.#deps = deps
    this.#credentials = options.credentials
  }

  start(): void {
    if (this.#running) return
    this.#running = true
    this.#planRenewal()
  }

  /** No renewal begins after this; one that runs is still finished. */
  async stop(): Promise<void> {
    this.#running = false
    this.#cancel?.()
    this.#cancel = undefined
    await this.#current?.catch(() => {})
  }

  /**
   * Renews at once (the wanted role changed). Resolves when the new credentials are in use; rejects with what failed, while the
   * loop goes on trying. Calls during a renewal share one more that follows it, since the running one may carry the old role.
   */
  renewNow(): Promise<void> {
    if (!this.#current) return this.#begin()
    this.#next ??= this.#current
      .catch(() => {})
      .then(() => {
        this.#next = undefined
        return this.#begin()
      })
    return this.#next
  }

  #begin(): Promise<void> {
    this.#cancel?.()
    this.#current = this.#renew().finally(() => {
      this.#current = undefined
      if (this.#running) this.#planRenewal()
    })
    return this.#current
  }

  async #renew(): Promise<void> {
    try {
      const { keyPem, csrPem } = await createKeyAndCsr()
      const { certPem, rootCAPem } = await this.#deps.renew(csrPem)
      const credentials = readCredentials({ keyPem, certPem, rootCAPem })
      await this.#deps.onCredentials(credentials)
      this.#credentials = credentials
      this.#failures = 0
      this.#renewedMs = this.#deps.clock.nowMs()
      const notAfter = new Date(credentials.notAfter).toISOString()
      this.#deps.log.info({ role: credentials.role, notAfter }, 'renewed the node certificate')
    } catch (thrown) {
      this.#failures += 1
      const error = toSwarmctlError(thrown)
      const notAfter = new Date(this.#credentials.notAfter).toISOString()
      this.#deps.log.warn(
        { code: error.code, notAfter },
        `can't renew the node certificate: ${error.message}`,
      )
      throw error
    }
  }

  #planRenewal(): void {
    const { clock, random } = this.#deps
    const renewMs =
      this.#failures === 0
        ? Math.max(renewAtMs(this.#credentials, random()), this.#renewedMs + RENEWAL_GAP_MS_MIN)
        : clock.nowMs() + retryDelayMs(this.#failures, random())
    this.#sleepUntil(renewMs)
  }

  #sleepUntil(atMs: number): void {
    const leftMs = Math.max(0, atMs - this.#deps.clock.nowMs())
    this.#cancel = this.#deps.clock.schedule(Math.min(leftMs, SLEEP_MS_MAX), () => {
      if (leftMs > SLEEP_MS_MAX) this.#sleepUntil(atMs)
      // The failure was logged and the next attempt is planned.
      else this.#begin().catch(() => {})
    })
  }
}

const retryDelayMs = (failures: number, random: number): number => {
  const limitMs = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(failures - 1, 20))
  return limitMs * (0.5 + random / 2)
}
