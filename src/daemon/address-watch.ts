import type { Clock } from '../api/clock.ts'
import type { Interfaces } from './addresses.ts'
import { movedAddresses } from './node-addresses.ts'
import type { NodeRecord } from './node-file.ts'

/** How often the machine's addresses are looked at: a lease may change, or come only after the daemon's start. */
const LOOK_MS = 5_000

export interface AddressWatchDeps {
  clock: Clock
  /** The machine's network devices now. */
  interfaces: () => Interfaces
  /** Undefined while this node is in no swarm. */
  record: () => NodeRecord | undefined
  onMoved: () => void
}

/** Notices that the device of this node's address has another one now, at two looks in a row: an address that is being replaced is gone for a moment. */
export class AddressWatch {
  readonly #deps: AddressWatchDeps
  #cancel: () => void = () => {}
  #seen = ''

  constructor(deps: AddressWatchDeps) {
    this.#deps = deps
  }

  start(): void {
    this.#cancel = this.#deps.clock.schedule(LOOK_MS, () => {
      this.start()
      this.#look()
    })
  }

  stop(): void {
    this.#cancel()
  }

  #look(): void {
    const record = this.#deps.record()
    const addr = record ? movedAddresses(record, this.#deps.interfaces()).advertiseAddr : ''
    const hasMoved = record !== undefined && addr !== record.advertiseAddr
    if (hasMoved && addr === this.#seen) this.#deps.onMoved()
    this.#seen = hasMoved ? addr : ''
  }
}
