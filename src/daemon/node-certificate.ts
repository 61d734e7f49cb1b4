import type { Clock } from '../api/clock.ts'
import { toSwarmctlError, unavailable } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import { type Credentials, readCredentials } from '../pki/credentials.ts'
import { RenewalLoop, type RenewedCertificate } from '../pki/renewal-loop.ts'
import { type TLSInfo, tlsInfoOf } from '../pki/root-ca.ts'

export interface NodeCertificateDeps {
  clock: Clock
  /** In [0, 1). */
  random: () => number
  log: Log
  /** Asks a manager to certify a new key for this node. */
  renew: (csrPem: string) => Promise<RenewedCertificate>
  /** Makes credentials durable. */
  store: (credentials: Credentials) => Promise<void>
  /** They are in force from now on; connections made after this use them. */
  onChange: (credentials: Credentials) => Promise<void>
}

/**
 * What this node proves itself with and whom it trusts: renewed in time or when the cluster asks, and following the cluster's roots.
 * One change after the other.
 */
export class NodeCertificate {
  readonly #deps: NodeCertificateDeps
  readonly #renewal: RenewalLoop
  #current: Credentials
  /** Of `#current`, once somebody asked: every second it is looked at again. */
  #tlsInfo: TLSInfo | undefined
  /** What the leader said last; '' as long as it said nothing. */
  #trustRoot = ''
  #changing: Promise<void> = Promise.resolve()
  #isStopped = false
  /** The node may have left: whatever is on the disk now is not this membership's. */
  #isOver = false

  constructor(deps: NodeCertificateDeps, options: { credentials: Credentials }) {
    this.#deps = deps
    this.#current = options.credentials
    const { clock, random, log, renew } = deps
    const onCredentials = (credentials: Credentials) =>
      this.#change(() => this.#use(withTrust(credentials, this.#trustRoot) ?? credentials))
    this.#renewal = new RenewalLoop({ clock, random, log, renew, onCredentials }, options)
  }

  get current(): Credentials {
    return this.#current
  }

  /** What the node tells of its certificate. */
  get tlsInfo(): TLSInfo {
    this.#tlsInfo ??= tlsInfoOf(this.#current)
    return this.#tlsInfo
  }

  start(): void {
    this.#renewal.start()
  }

  /** Nothing changes any more when it resolves. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#renewal.stop()
    await this.#changing.catch(() => {})
    this.#isOver = true
  }

  /** See `RenewalLoop.renewNow`. */
  renewNow(): Promise<void> {
    return this.#renewal.renewNow()
  }

  /** The cluster asks for a new certificate; a failure is logged and tried again. */
  onRenewCertificate(): void {
    if (!this.#isStopped) this.renewNow().catch(() => {})
  }

  /** The leader says whom nodes trust. Where this node's own certificate would be worth nothing by that, it gets another one first. */
  onTrustRoot(rootCACert: string): void {
    this.#trustRoot = rootCACert
    if (this.#isStopped) return
    this.#change(async () => {
      if (this.#trustRoot === '' || this.#trustRoot === this.#current.rootCAPem) return
      const credentials = withTrust(this.#current, this.#trustRoot)
      if (credentials === undefined) return this.onRenewCertificate()
      await this.#use(credentials)
      this.#deps.log.info({}, "this node follows the cluster's root CA")
    }).catch((error: unknown) =>
      this.#deps.log.warn({ error: toSwarmctlError(error).message }, 'root CA not taken over yet'),
    )
  }

  #change(run: () => Promise<void>): Promise<void> {
    const change = this.#changing.catch(() => {}).then(run)
    this.#changing = change
    return change
  }

  async #use(credentials: Credentials): Promise<void> {
    // A change of the role that waited for its time, and was answered while the node left.
    if (this.#isOver) throw unavailable('this node is shutting down')
    await this.#deps.store(credentials)
    this.#current = credentials
    this.#tlsInfo = undefined
    await this.#deps.onChange(credentials)
  }
}

/** The credentials with other trusted roots; undefined when those did not sign them. */
const withTrust = (credentials: Credentials, rootCAPem: string): Credentials | undefined => {
  try {
    return readCredentials({ ...credentials, rootCAPem })
  } catch {
    return undefined
  }
}
