import { SwarmctlError } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import { type Exec, mustRun } from './exec.ts'
import type { ForwardingTable } from './forwarding-table.ts'
import type { HostSettings } from './host-settings.ts'
import { type LinkItem, type LinkModel, linkDifference, linkModel } from './link-model.ts'
import { type Ipv6LinkInputs, ipv6LinkModel } from './link-model-ipv6.ts'
import {
  OUR_BRIDGE,
  RETURN_END_PREF,
  RETURN_SKIP_PREF,
  ROUTE_PROTOCOL,
  VXLAN_DEVICE,
  VXLAN_ID,
  VXLAN_OVERHEAD_BYTES,
} from './names.ts'
import { type Proc, setSysctl, sysctlPath } from './proc.ts'

interface LinkJson {
  ifname: string
  mtu: number
  address: string
  linkinfo?: { info_data?: { id?: number; local?: string; port?: number } }
  addr_info?: { local: string; prefixlen: number }[]
}

/** Smallest MTU that IPv4 forwarding should meet (RFC 791's 576 is for hosts; below this containers break). */
const MTU_MIN = 576
const UNDERLAY_MTU_DEFAULT = 1500

/** What an earlier daemon may have left, by the keys of the link model. */
const existingItems = async (exec: Exec, withIpv6: boolean): Promise<Map<string, LinkItem>> => {
  const json = async (tool: string, args: string[]): Promise<Record<string, unknown>[]> => {
    const result = await exec.run(tool, ['-j', ...args])
    return result.code === 0 && result.stdout.trim() !== '' ? JSON.parse(result.stdout) : []
  }
  const [routes, rules, neighbours, forwards, proxied] = await Promise.all([
    json('ip', ['route', 'show', 'table', 'all', 'proto', String(ROUTE_PROTOCOL)]),
    json('ip', ['rule', 'show']),
    json('ip', ['neigh', 'show', 'dev', VXLAN_DEVICE, 'nud', 'permanent']),
    json('bridge', ['fdb', 'show', 'dev', VXLAN_DEVICE]),
    withIpv6 ? json('ip', ['neigh', 'show', 'proxy']) : [],
  ])
  const items = new Map<string, LinkItem>()
  for (const { dst, table = 'main' } of routes) {
    const where = table === 'main' ? '' : ` table ${table}`
    const remove = `route del ${dst} proto ${ROUTE_PROTOCOL}${where}`
    items.set(`route ${table} ${dst}`, { tool: 'ip', add: '', remove })
  }
  for (const { priority } of rules) {
    if (typeof priority !== 'number') continue
    if (priority < RETURN_SKIP_PREF || priority > RETURN_END_PREF) continue
    items.set(`rule ${priority}`, { tool: 'ip', add: '', remove: `rule del pref ${priority}` })
  }
  for (const { dst } of neighbours) {
    const remove = `neigh del ${dst} dev ${VXLAN_DEVICE}`
    items.set(`neigh ${dst}`, { tool: 'ip', add: '', remove })
  }
  for (const { mac, dst } of forwards) {
    if (dst === undefined) continue
    const remove = `fdb del ${mac} dev ${VXLAN_DEVICE} dst ${dst} self`
    items.set(`fdb ${mac} ${dst}`, { tool: 'bridge', add: '', remove })
  }
  for (const { dst, dev } of proxied) {
    if (!OUR_BRIDGE.test(String(dev))) continue
    const remove = `neigh del proxy ${dst} dev ${dev}`
    items.set(`proxy ${dst} ${dev}`, { tool: 'ip', add: '', remove })
  }
  return items
}

/** The VXLAN device and the node's neighbours, routes and rules: both planes need them. */
export class Links {
  readonly #exec: Exec
  readonly #proc: Proc
  readonly #settings: HostSettings
  readonly #log: Log
  readonly #vxlanPort: number
  #applied: LinkModel | null = null
  #device = ''
  #ipv6Problem = ''
  /** MTU of the overlay, bytes: the underlay's minus VXLAN's overhead. */
  mtu = UNDERLAY_MTU_DEFAULT - VXLAN_OVERHEAD_BYTES

  constructor(
    deps: { exec: Exec; proc: Proc; settings: HostSettings; log: Log },
    options: { vxlanPort: number },
  ) {
    this.#exec = deps.exec
    this.#settings = deps.settings
    this.#proc = deps.proc
    this.#log = deps.log
    this.#vxlanPort = options.vxlanPort
  }

  /** Brings the kernel to the table. `resync` compares with what is really there and removes what is not wanted. */
  async sync(table: ForwardingTable, inputs: Ipv6LinkInputs, resync: boolean): Promise<void> {
    const device = `${table.self.dataPathAddr} ${table.self.vtepAddr}`
    if (resync || this.#device !== device) {
      await this.#ensureDevice(table)
      this.#device = device
    }
    const ipv6 = ipv6LinkModel(table, inputs)
    if (ipv6.size > 0) {
      const path = sysctlPath('net/ipv6/conf', VXLAN_DEVICE, 'disable_ipv6')
      await setSysctl(this.#proc, path, '0')
    }
    const wanted = new Map([...linkModel(table, inputs.bridges), ...ipv6])
    const isFull = resync || this.#applied === null
    const before = isFull
      ? await existingItems(this.#exec, ipv6.size > 0)
      : (this.#applied ?? new Map())
    const { remove, add } = linkDifference(before, wanted)
    // The kernel lists no text to compare rules by, so on a resync those that exist stay: their text is a function of their key.
    const fresh = add.filter((item) => !isFull || !this.#existsAsRule(item, before))
    this.#applied = null
    await this.#batch(remove, true)
    const own = new Set(ipv6.values())
    await this.#batch(
      fresh.filter((item) => !own.has(item)),
      false,
    )
    this.#applied = new Map([...wanted].filter(([key]) => !ipv6.has(key)))
    if (await this.#addIpv6(fresh.filter((item) => own.has(item)))) this.#applied = wanted
  }

  /** What of the links does not work, one line. */
  problems(): string[] {
    return this.#ipv6Problem === '' ? [] : [this.#ipv6Problem]
  }

  /** What the kernel refuses of IPv6 (it has none on a device of less than 1280 bytes, say) is a problem of IPv6 alone. */
  async #addIpv6(items: LinkItem[]): Promise<boolean> {
    try {
      await this.#batch(items, false)
      this.#ipv6Problem = ''
    } catch (error) {
      const problem = `IPv6 between nodes does not work here: ${(error as Error).message}`
      if (problem !== this.#ipv6Problem) this.#log.warn({}, problem)
      this.#ipv6Problem = problem
    }
    return this.#ipv6Problem === ''
  }

  /** The last sync is not to be trusted any more: the next one is full. */
  invalidate(): void {
    this.#applied = null
    this.#device = ''
  }

  /** Removes all of it. */
  async destroy(): Promise<void> {
    await this.#batch([...(await existingItems(this.#exec, false)).values()], true)
    await this.#exec.run('ip', ['link', 'del', VXLAN_DEVICE])
    this.invalidate()
  }

  #existsAsRule(item: LinkItem, before: LinkModel): boolean {
    const pref = /^rule add pref (\d+) /.exec(item.add)?.[1]
    return pref !== undefined && before.has(`rule ${pref}`)
  }

  async #batch(items: LinkItem[], isRemoval: boolean): Promise<void> {
    for (const tool of ['ip', 'bridge'] as const) {
      const lines = items
        .filter((item) => item.tool === tool)
        .map((item) => (isRemoval ? item.remove : item.add))
      if (lines.length === 0) continue
      // What is to be removed may be gone already (a device took its routes along): -force goes on.
      const args = isRemoval ? ['-force', '-batch', '-'] : ['-batch', '-']
      const result = await this.#exec.run(tool, args, `${lines.join('\n')}\n`)
      if (result.code === 0 || isRemoval) continue
      throw new SwarmctlError('INTERNAL', `${tool}: ${result.stderr.trim().split('\n')[0]}`)
    }
  }

  async #ensureDevice(table: ForwardingTable): Promise<void> {
    const { dataPathAddr, vtepAddr, mac } = table.self
    const links = JSON.parse(await mustRun(this.#exec, 'ip', ['-j', '-d', 'addr'])) as LinkJson[]
    const underlay = links.find((link) => link.addr_info?.some((one) => one.local === dataPathAddr))
    if (underlay === undefined) {
      throw new SwarmctlError(
        'FAILED_PRECONDITION',
        `no interface of this host has the data path address ${dataPathAddr}: join with --data-path-addr set to one of its own`,
      )
    }
    this.mtu = Math.max(MTU_MIN, underlay.mtu - VXLAN_OVERHEAD_BYTES)
    const current = links.find((link) => link.ifname === VXLAN_DEVICE)
    const info = current?.linkinfo?.info_data
    const isSame =
      info?.id === VXLAN_ID && info.local === dataPathAddr && info.port === this.#vxlanPort
    if (current !== undefined && !isSame) {
      this.#log.info(
        { device: VXLAN_DEVICE },
        'the data path changed: making the VXLAN device anew',
      )
      await mustRun(this.#exec, 'ip', ['link', 'del', VXLAN_DEVICE])
    }
    const lines = [
      ...(current !== undefined && isSame
        ? []
        : [
            `link add ${VXLAN_DEVICE} type vxlan id ${VXLAN_ID} local ${dataPathAddr} dstport ${this.#vxlanPort} nolearning`,
          ]),
      `link set ${VXLAN_DEVICE} address ${mac} mtu ${this.mtu} up`,
      ...(current?.addr_info ?? [])
        .filter((one) => isSame && one.local !== vtepAddr && !one.local.includes(':'))
        .map((one) => `addr del ${one.local}/${one.prefixlen} dev ${VXLAN_DEVICE}`),
      `addr replace ${vtepAddr}/32 dev ${VXLAN_DEVICE}`,
    ]
    await mustRun(this.#exec, 'ip', ['-batch', '-'], `${lines.join('\n')}\n`)
    await this.#relaxReversePath()
    // Not given back at leave: the Engine's own containers need it, whoever set it.
    await setSysctl(this.#proc, sysctlPath('net/ipv4/ip_forward'), '1')
  }

  /**
   * Packets of clients arrive through VXLAN with sources that this host would route elsewhere. The kernel takes the stricter of
   * `all` and the device's own setting, so `all` must be 0: what it demanded moves to the other devices.
   */
  async #relaxReversePath(): Promise<void> {
    const folder = '/proc/sys/net/ipv4/conf'
    const all = (await this.#proc.read(`${folder}/all/rp_filter`))?.trim() ?? '0'
    if (all !== '0') {
      for (const device of await this.#proc.list(folder)) {
        if (device === 'all' || device === VXLAN_DEVICE) continue
        const own = (await this.#proc.read(`${folder}/${device}/rp_filter`))?.trim() ?? '0'
        if (own === '0') await this.#settings.set(`${folder}/${device}/rp_filter`, all)
      }
      await this.#settings.set(`${folder}/all/rp_filter`, '0')
    }
    await setSysctl(this.#proc, `${folder}/${VXLAN_DEVICE}/rp_filter`, '0')
  }
}
