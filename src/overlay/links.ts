import { SwarmctlError } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import { type Exec, mustRun } from './exec.ts'
import { type ForwardingTable, hasEncrypted } from './forwarding-table.ts'
import type { HostSettings } from './host-settings.ts'
import {
  type LinkItem,
  type LinkModel,
  linkDifference,
  linkModel,
  ownRule,
  type RuleJson,
} from './link-model.ts'
import { type Ipv6LinkInputs, ipv6LinkModel } from './link-model-ipv6.ts'
import {
  ENCRYPTED_DEVICE,
  encryptedPort,
  OUR_BRIDGE,
  ROUTE_PROTOCOL,
  VXLAN_DEVICE,
  VXLAN_OVERHEAD_BYTES,
} from './names.ts'
import { type Proc, setSysctl, sysctlPath } from './proc.ts'
import {
  deviceLines,
  encryptedDevice,
  isSameDevice,
  type LinkJson,
  plainDevice,
  type VxlanDevice,
} from './vxlan-device.ts'

/** Smallest MTU that IPv4 forwarding should meet (RFC 791's 576 is for hosts; below this containers break). */
const MTU_MIN = 576
const UNDERLAY_MTU_DEFAULT = 1500
/** An outer packet of loopback is 65,535 bytes at most. */
const ENCRYPTED_MTU_MAX = 65_000

/** What an earlier daemon may have left, by the keys of the link model. */
const existingItems = async (exec: Exec, withIpv6: boolean): Promise<Map<string, LinkItem>> => {
  const json = async (tool: string, args: string[]): Promise<Record<string, unknown>[]> => {
    const result = await exec.run(tool, ['-j', ...args])
    return result.code === 0 && result.stdout.trim() !== '' ? JSON.parse(result.stdout) : []
  }
  const [routes, rules, proxied, ...devices] = await Promise.all([
    json('ip', ['route', 'show', 'table', 'all', 'proto', String(ROUTE_PROTOCOL)]),
    json('ip', ['rule', 'show']),
    withIpv6 ? json('ip', ['neigh', 'show', 'proxy']) : [],
    ...[VXLAN_DEVICE, ENCRYPTED_DEVICE].flatMap((device) => [
      json('ip', ['neigh', 'show', 'dev', device, 'nud', 'permanent']),
      json('bridge', ['fdb', 'show', 'dev', device]),
    ]),
  ])
  const items = new Map<string, LinkItem>()
  for (const { dst, table = 'main' } of routes) {
    const where = table === 'main' ? '' : ` table ${table}`
    const remove = `route del ${dst} proto ${ROUTE_PROTOCOL}${where}`
    items.set(`route ${table} ${dst}`, { tool: 'ip', add: '', remove })
  }
  for (const rule of rules as unknown as RuleJson[]) {
    const how = ownRule(rule)
    if (how === undefined) continue
    const remove = `rule del pref ${rule.priority} ${how}`
    items.set(`rule ${rule.priority}`, { tool: 'ip', add: '', remove })
  }
  for (const [at, device] of [VXLAN_DEVICE, ENCRYPTED_DEVICE].entries()) {
    for (const { dst } of devices[2 * at] ?? []) {
      const remove = `neigh del ${dst} dev ${device}`
      items.set(`neigh ${dst}`, { tool: 'ip', add: '', remove })
    }
    for (const { mac, dst, port } of devices[2 * at + 1] ?? []) {
      if (dst === undefined) continue
      const to = port === undefined ? dst : `${dst} port ${port}`
      const remove = `fdb del ${mac} dev ${device} dst ${to} self`
      items.set(`fdb ${mac} ${dst}`, { tool: 'bridge', add: '', remove })
    }
  }
  for (const { dst, dev } of proxied) {
    if (!OUR_BRIDGE.test(String(dev))) continue
    const remove = `neigh del proxy ${dst} dev ${dev}`
    items.set(`proxy ${dst} ${dev}`, { tool: 'ip', add: '', remove })
  }
  return items
}

/** What an encrypted network may carry in one packet: as the others, or what its user asked for. 0 without any. */
const encryptedMtu = ({ networks }: ForwardingTable, mtu: number): number =>
  Math.min(
    ENCRYPTED_MTU_MAX,
    networks.reduce((max, one) => (one.encrypted ? Math.max(max, one.mtu || mtu) : max), 0),
  )

const without = (all: ReadonlySet<number>, some: ReadonlySet<number>): ReadonlySet<number> =>
  new Set([...all].filter((one) => !some.has(one)))

/** The VXLAN devices and the node's neighbours, routes and rules: both planes need them. */
export class Links {
  readonly #exec: Exec
  readonly #proc: Proc
  readonly #settings: HostSettings
  readonly #log: Log
  readonly #vxlanPort: number
  #applied: LinkModel | null = null
  #devices = ''
  #ipv6Problem = ''
  #bridgeProblem = ''
  /** Networks (by index) whose bridge lacked the gateway since the last resync. */
  #unsound: ReadonlySet<number> = new Set()
  /** MTU of the overlay, bytes: the underlay's minus VXLAN's overhead. */
  mtu = UNDERLAY_MTU_DEFAULT - VXLAN_OVERHEAD_BYTES
  /** Why encrypted networks stand still on this node; empty otherwise. The others don't wait for them. */
  problem = ''
  /** Whether the device of encrypted networks is to be there. */
  isEncrypting = false

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

  /**
   * Brings the kernel to the table. `resync` compares with what is really there and removes what is not wanted. `relayPort`: see
   * `linkModel`.
   */
  async sync(
    table: ForwardingTable,
    inputs: Omit<Ipv6LinkInputs, 'isRelayed'>,
    options: { resync: boolean; relayPort: number | null },
  ): Promise<void> {
    const { resync } = options
    const { dataPathAddr, vtepAddr } = table.self
    const devices = () => `${dataPathAddr} ${vtepAddr} ${encryptedMtu(table, this.mtu)}`
    if (resync || this.#devices !== devices()) {
      await this.#ensureDevices(table)
      // A device that is set anew forgets its neighbours.
      this.#applied = null
      this.#devices = devices()
    }
    const relayPort = this.problem === '' ? options.relayPort : null
    const ipv6 = ipv6LinkModel(table, { ...inputs, isRelayed: relayPort !== null })
    const model = (bridges: ReadonlySet<number>) => linkModel(table, bridges, relayPort)
    if (resync) this.#unsound = new Set()
    let ipv4 = model(without(inputs.bridges, this.#unsound))
    const isFull = this.#applied === null
    const before = isFull
      ? await existingItems(this.#exec, ipv6.size > 0)
      : (this.#applied ?? new Map())
    const difference = linkDifference(before, new Map([...ipv4, ...ipv6]))
    this.#applied = null
    await this.#batch(difference.remove, 'remove')
    try {
      await this.#add(ipv4, before)
      if (resync) this.#bridgeProblem = ''
    } catch (error) {
      const unsound = await this.#unsoundBridges(table, inputs.bridges)
      if (unsound.size === this.#unsound.size) throw error
      this.#unsound = unsound
      ipv4 = model(without(inputs.bridges, unsound))
      // What came before the refusal is there.
      await this.#add(ipv4, await existingItems(this.#exec, false))
    }
    this.#applied = ipv4
    const own = new Set(ipv6.values())
    if (ipv6.size === 0) this.#ipv6Problem = ''
    else if (!(await this.#addIpv6(difference.add.filter((item) => own.has(item))))) return
    this.#applied = new Map([...ipv4, ...ipv6])
  }

  /** What of the links does not work, one line each. */
  problems(): string[] {
    return [this.#bridgeProblem, this.#ipv6Problem].filter((one) => one !== '')
  }

  /** Whether the rules by which answers go back to the node that a flow entered through are all there; true before the first sync. */
  async hasRules(): Promise<boolean> {
    const wanted = [...(this.#applied?.keys() ?? [])].filter((key) => key.startsWith('rule '))
    if (wanted.length === 0) return true
    const { code, stdout } = await this.#exec.run('ip', ['-j', 'rule', 'show'])
    if (code !== 0 || stdout.trim() === '') return true
    const there = new Set(
      (JSON.parse(stdout) as RuleJson[])
        .filter((rule) => ownRule(rule) !== undefined)
        .map(({ priority }) => `rule ${priority}`),
    )
    return wanted.every((key) => there.has(key))
  }

  /** Whether a device is there and up. */
  async hasDevice(device: string): Promise<boolean> {
    const { code, stdout } = await this.#exec.run('ip', ['-o', 'link', 'show', 'up', 'dev', device])
    return code === 0 && stdout.includes(device)
  }

  /**
   * The bridges that lack this node's gateway. One may be left of another swarm, or the Engine is just making it: routes that are to
   * speak from its address are refused then, and `ip -batch` stops at the first, which must not keep the other networks down.
   */
  async #unsoundBridges(
    table: ForwardingTable,
    bridges: ReadonlySet<number>,
  ): Promise<ReadonlySet<number>> {
    const links = JSON.parse(await mustRun(this.#exec, 'ip', ['-j', '-d', 'addr'])) as LinkJson[]
    const isWrong = ({ index, bridge, gateway }: ForwardingTable['networks'][number]) =>
      bridges.has(index) &&
      gateway !== null &&
      !links.some(
        (link) => link.ifname === bridge && link.addr_info?.some(({ local }) => local === gateway),
      )
    const wrong = table.networks.filter(isWrong)
    const problem = wrong
      .map(
        ({ name, bridge, gateway }) =>
          `network ${name}: the bridge ${bridge} does not have this node's gateway ${gateway}; if containers of an earlier swarm are on it, remove them`,
      )
      .join('; ')
    if (problem !== '' && problem !== this.#bridgeProblem) this.#log.warn({}, problem)
    this.#bridgeProblem = problem
    return new Set(wrong.map(({ index }) => index))
  }

  /** What the kernel refuses of IPv6 (a bridge may have gone meanwhile) is a problem of IPv6 alone. */
  async #addIpv6(items: LinkItem[]): Promise<boolean> {
    try {
      await this.#enableIpv6()
      await this.#batch(items, 'as far as it goes')
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
    this.#devices = ''
  }

  /** Removes all of it. */
  async destroy(): Promise<void> {
    await this.#batch([...(await existingItems(this.#exec, true)).values()], 'remove')
    await this.#exec.run('ip', ['link', 'del', VXLAN_DEVICE])
    await this.#exec.run('ip', ['link', 'del', ENCRYPTED_DEVICE])
    this.invalidate()
  }

  /** The kernel lists no text to compare rules by, so those that exist stay: their text is a function of their key. */
  async #add(wanted: LinkModel, before: LinkModel): Promise<void> {
    const isThere = (key: string) => key.startsWith('rule ') && before.has(key)
    const missing = new Map([...wanted].filter(([key]) => !isThere(key)))
    await this.#batch(linkDifference(before, missing).add, 'add')
  }

  async #batch(items: LinkItem[], how: 'add' | 'as far as it goes' | 'remove'): Promise<void> {
    const isRemoval = how === 'remove'
    for (const tool of ['ip', 'bridge'] as const) {
      const lines = items
        .filter((item) => item.tool === tool)
        .map((item) => (isRemoval ? item.remove : item.add))
      if (lines.length === 0) continue
      // What is to be removed may be gone already (a device took its routes along), what is refused on one device goes on others: -force.
      const args = how === 'add' ? ['-batch', '-'] : ['-force', '-batch', '-']
      const result = await this.#exec.run(tool, args, `${lines.join('\n')}\n`)
      if (result.code === 0 || isRemoval) continue
      throw new SwarmctlError('INTERNAL', `${tool}: ${result.stderr.trim().split('\n')[0]}`)
    }
  }

  async #enableIpv6(): Promise<void> {
    for (const device of [VXLAN_DEVICE, ...(this.isEncrypting ? [ENCRYPTED_DEVICE] : [])])
      await setSysctl(this.#proc, sysctlPath('net/ipv6/conf', device, 'disable_ipv6'), '0')
  }

  async #ensureDevices(table: ForwardingTable): Promise<void> {
    const { self } = table
    const links = JSON.parse(await mustRun(this.#exec, 'ip', ['-j', '-d', 'addr'])) as LinkJson[]
    const underlay = links.find((link) =>
      link.addr_info?.some((one) => one.local === self.dataPathAddr),
    )
    if (underlay === undefined) {
      throw new SwarmctlError(
        'FAILED_PRECONDITION',
        `no interface of this host has the data path address ${self.dataPathAddr}: join with --data-path-addr set to one of its own`,
      )
    }
    this.mtu = Math.max(MTU_MIN, underlay.mtu - VXLAN_OVERHEAD_BYTES)
    const shape = { mac: self.mac, mtu: this.mtu, address: self.vtepAddr, port: this.#vxlanPort }
    await this.#ensureDevice(plainDevice(shape, self.dataPathAddr), links)
    await this.#ensureEncrypted(table, links)
    // Not given back at leave: the Engine's own containers need it, whoever set it.
    await setSysctl(this.#proc, sysctlPath('net/ipv4/ip_forward'), '1')
  }

  async #ensureEncrypted(table: ForwardingTable, links: LinkJson[]): Promise<void> {
    this.problem = ''
    this.isEncrypting = hasEncrypted(table)
    const isThere = links.some((link) => link.ifname === ENCRYPTED_DEVICE)
    if (!this.isEncrypting) {
      if (isThere) await this.#exec.run('ip', ['link', 'del', ENCRYPTED_DEVICE])
      return
    }
    const { mac, vtepAddr: address } = table.self.encrypted
    const mtu = encryptedMtu(table, this.mtu)
    const port = encryptedPort(this.#vxlanPort)
    try {
      await this.#ensureDevice(encryptedDevice({ mac, mtu, address, port }), links)
    } catch (error) {
      this.problem = `encrypted networks reach no other node: the device ${ENCRYPTED_DEVICE} can't be made (${(error as Error).message}); it needs UDP port ${port} of this host`
      this.#log.error({}, this.problem)
    }
  }

  async #ensureDevice(device: VxlanDevice, links: LinkJson[]): Promise<void> {
    const current = links.find((link) => link.ifname === device.name)
    if (current !== undefined && !isSameDevice(device, current)) {
      this.#log.info({ device: device.name }, 'the data path changed: making the VXLAN device anew')
    }
    const lines = deviceLines(device, current)
    await mustRun(this.#exec, 'ip', ['-batch', '-'], `${lines.join('\n')}\n`)
    await this.#relaxReversePath(device.name)
  }

  /**
   * Packets of clients arrive through VXLAN with sources that this host would route elsewhere. The kernel takes the stricter of
   * `all` and the device's own setting, so `all` must be 0: what it demanded moves to the other devices.
   */
  async #relaxReversePath(name: string): Promise<void> {
    const folder = '/proc/sys/net/ipv4/conf'
    const all = (await this.#proc.read(`${folder}/all/rp_filter`))?.trim() ?? '0'
    if (all !== '0') {
      for (const device of await this.#proc.list(folder)) {
        if (device === 'all' || device === VXLAN_DEVICE || device === ENCRYPTED_DEVICE) continue
        const own = (await this.#proc.read(`${folder}/${device}/rp_filter`))?.trim() ?? '0'
        if (own === '0') await this.#settings.set(`${folder}/${device}/rp_filter`, all)
      }
      await this.#settings.set(`${folder}/all/rp_filter`, '0')
    }
    await setSysctl(this.#proc, `${folder}/${name}/rp_filter`, '0')
  }
}
