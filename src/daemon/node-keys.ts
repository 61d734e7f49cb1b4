import { randomBytes } from 'node:crypto'
import { type Credentials, LOCKED_KEY } from '../pki/credentials.ts'
import { loadCredentials, storeCredentials } from '../pki/credentials-file.ts'
import { DATA_KEY_BYTES, loadDataKey, storeDataKey } from '../pki/data-key.ts'

/** What a node finds on its disk when it starts. `locked`: the credentials are without the private key. */
export type StoredKeys =
  | { kind: 'open'; keys: NodeKeys; credentials: Credentials }
  | { kind: 'locked'; credentials: Credentials }

/**
 * The keys on a node's disk: the data key, which seals a manager's log and state, and the certificate's private key. Both are
 * plain, or (autolock) the private key is sealed with the data key, and that with the cluster's unlock key, which is on no disk.
 * One write after the other, each durable when it resolves.
 */
export class NodeKeys {
  readonly #directory: string
  #dataKey: Uint8Array
  /** What the files are sealed with now. */
  #unlockKey: string | undefined
  #credentials: Credentials | undefined
  #writing: Promise<void> = Promise.resolve()

  private constructor(directory: string, dataKey: Uint8Array, unlockKey: string | undefined) {
    this.#directory = directory
    this.#dataKey = dataKey
    this.#unlockKey = unlockKey
  }

  /** A new data key, stored: sealed from the first moment on when there is an unlock key. */
  static async create(directory: string, unlockKey?: string): Promise<NodeKeys> {
    const dataKey = randomBytes(DATA_KEY_BYTES)
    await storeDataKey(directory, dataKey, unlockKey)
    return new NodeKeys(directory, dataKey, unlockKey)
  }

  /**
   * Reads the keys of a member; undefined when the node is in no cluster. Throws UNAUTHENTICATED for a wrong unlock key, and what
   * `loadCredentials` and `loadDataKey` throw.
   */
  static async open(directory: string, unlockKey?: string): Promise<StoredKeys | undefined> {
    const stored = await loadDataKey(directory, unlockKey)
    const dataKey = stored?.kind === 'open' ? stored.key : undefined
    const credentials = await loadCredentials(directory, dataKey)
    if (credentials === undefined) return undefined
    // A worker has nothing that the data key seals: one that a crash left locked during its demotion gets a new one.
    const isUseless =
      stored === undefined || (dataKey === undefined && credentials.role === 'worker')
    if (isUseless && credentials.keyPem !== LOCKED_KEY) {
      return { kind: 'open', keys: await NodeKeys.create(directory), credentials }
    }
    if (dataKey === undefined) return { kind: 'locked', credentials }
    // Without an unlock key nothing sealed would have opened.
    const isSealed = unlockKey !== undefined && (await loadDataKey(directory))?.kind === 'locked'
    const keys = new NodeKeys(directory, dataKey, isSealed ? unlockKey : undefined)
    keys.#credentials = credentials
    // A crash between the two writes of a lock left the private key as it was.
    const isHalfLocked = isSealed && (await loadCredentials(directory))?.keyPem !== LOCKED_KEY
    if (isHalfLocked) await keys.storeCredentials(credentials)
    return { kind: 'open', keys, credentials }
  }

  /** Seals the raft log and state. */
  get dataKey(): Uint8Array {
    return this.#dataKey
  }

  /** Whether what is on the disk is sealed with the cluster's unlock key. */
  get isLocked(): boolean {
    return this.#unlockKey !== undefined
  }

  /** Replaces the stored credentials. */
  storeCredentials(credentials: Credentials): Promise<void> {
    return this.#write(async () => {
      await this.#writeCredentials(credentials, this.#unlockKey)
      this.#credentials = credentials
    })
  }

  /** Seals everything with the cluster's unlock key, or opens it when there is none (any more). Writes nothing when it is so already. */
  lockWith(unlockKey: string | undefined): Promise<void> {
    return this.#write(async () => {
      if (unlockKey === this.#unlockKey) return
      // The data key first, both ways: the private key is never plain beside a sealed one for longer than the two writes take, and a crash
      // after a lock was taken off leaves nothing that wants the old unlock key, which nobody can print any more.
      await storeDataKey(this.#directory, this.#dataKey, unlockKey)
      if (this.#credentials) await this.#writeCredentials(this.#credentials, unlockKey)
      this.#unlockKey = unlockKey
    })
  }

  /** A demoted manager: what the old key sealed is gone, and the new one needs no lock. */
  renew(): Promise<void> {
    return this.#write(async () => {
      const dataKey = randomBytes(DATA_KEY_BYTES)
      if (this.#credentials) await this.#writeCredentials(this.#credentials, undefined)
      await storeDataKey(this.#directory, dataKey)
      this.#dataKey = dataKey
      this.#unlockKey = undefined
    })
  }

  #writeCredentials(credentials: Credentials, unlockKey: string | undefined): Promise<void> {
    const dataKey = unlockKey === undefined ? undefined : this.#dataKey
    return storeCredentials(this.#directory, credentials, dataKey)
  }

  #write(run: () => Promise<void>): Promise<void> {
    const write = this.#writing.catch(() => {}).then(run)
    this.#writing = write
    return write
  }
}
