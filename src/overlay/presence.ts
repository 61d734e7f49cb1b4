import type { Log } from '../api/log.ts'
import type { Ipv6Plane } from './ipv6-plane.ts'
import type { KernelTables } from './kernel-tables.ts'
import type { Links } from './links.ts'
import { ENCRYPTED_DEVICE } from './names.ts'

export interface PresenceDeps {
  log: Log
  tables: Pick<KernelTables, 'isPresent'>
  ipv6: Pick<Ipv6Plane, 'isPresent'>
  links: Pick<Links, 'hasDevice' | 'hasRules' | 'isEncrypting'>
}

export interface PresenceOptions {
  /** Resolves when no sync is at work that began before. */
  settled: () => Promise<void>
  /** Has everything compared with the kernel. */
  repair: () => void
}

/**
 * What to do when the kernel tells that something of ours was removed. A sync removes things as well, so it is looked at once that
 * is over; what somebody else removed meanwhile is found missing then.
 */
export class Presence {
  readonly #deps: PresenceDeps
  readonly #options: PresenceOptions

  constructor(deps: PresenceDeps, options: PresenceOptions) {
    this.#deps = deps
    this.#options = options
  }

  onTable(): Promise<void> {
    const { tables, ipv6 } = this.#deps
    return this.#look('the nftables rules were', async () => {
      return (await tables.isPresent()) && (await ipv6.isPresent())
    })
  }

  onDevice(device: string): Promise<void> {
    const { links } = this.#deps
    return this.#look(`the VXLAN device ${device} was shut or`, async () => {
      // The last encrypted network went, and its device with it.
      if (device === ENCRYPTED_DEVICE && !links.isEncrypting) return true
      return await links.hasDevice(device)
    })
  }

  /** systemd-networkd takes the routing rules of others away when it starts anew. */
  onRoutingRule(): Promise<void> {
    return this.#look('routing rules were', () => this.#deps.links.hasRules())
  }

  async #look(what: string, isThere: () => Promise<boolean>): Promise<void> {
    await this.#options.settled()
    if (await isThere()) return
    this.#deps.log.warn({}, `${what} removed by someone else: putting them back`)
    this.#options.repair()
  }
}
