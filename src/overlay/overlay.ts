import assert from 'node:assert'
import type { Duplex } from 'node:stream'
import type { OverlayMessage } from '../api/assignment.ts'
import type { Clock } from '../api/clock.ts'
import { SwarmctlError, toSwarmctlError, unavailable } from '../api/errors.ts'
import type { Log } from '../api/log.ts'
import type { DataPlaneKind } from '../api/node.ts'
import type { OverlayNetwork, OverlayView } from '../api/overlay-view.ts'
import type { Task } from '../api/task.ts'
import { type Attachment, addressesOf, attachmentOf, type NodeNumber } from './attachment.ts'
import { BridgePorts } from './bridge-ports.ts'
import { Bridges, type DockerNetworks } from './bridges.ts'
import { Coalescer } from './coalescer.ts'
import { NameIndex } from './dns/names.ts'
import { DnsServer } from './dns/server.ts'
import { nameservers, searchDomains, Upstream } from './dns/upstream.ts'
import { Drainer } from './drain.ts'
import type { Exec } from './exec.ts'
import { Firewall } from './firewall.ts'
import { bridgeNetwork, type ForwardingTable, forwardingTable } from './forwarding-table.ts'
import { HostSettings } from './host-settings.ts'
import { Ipv6Plane } from './ipv6-plane.ts'
import { KernelTables } from './kernel-tables.ts'
import { Links } from './links.ts'
import { type ListenWait, untilListening } from './listening.ts'
import { NameClients } from './name-clients.ts'
import { VXLAN_PORT } from './names.ts'
import { nftModel } from './nft-model.ts'
import { IPV4_LAYOUT } from './nft-script.ts'
import { Presence } from './presence.ts'
import { type DataPlaneChoice, type DataPlaneProbe, probeDataPlane } from './probe.ts'
import type { Proc } from './proc.ts'
import { PublishedPorts } from './proxy/published-ports.ts'
import { isTunnelTarget, serveTunnel, type Tunnel } from './proxy/tunnel.ts'
import type { RelayLink } from './relay/link.ts'
import { Relay } from './relay/relay.ts'
import { RetiredAddresses } from './retired-addresses.ts'
import { StoredView } from './stored-view.ts'
import { changeView, emptyView } from './view.ts'
import { Watcher } from './watcher.ts'

/** Milliseconds after a failed sync. */
const RETRY_MS = 1000
/**
 * Milliseconds between looks at whether someone else changed our rules, routes or bridges. Each starts some ten programs; the removals
 * that cut traffic off are noticed at once by the watcher.
 */
const RECONCILE_MS = 60_000

export interface OverlayDeps {
  exec: Exec
  proc: Proc
  docker: DockerNetworks
  clock: Clock
  log: Log
  /** The way to endpoints of other nodes in the proxy plane; null: routed. */
  tunnel: Tunnel | null
  /** The way of encrypted networks' packets to other nodes, in both planes. */
  relayLink: RelayLink
}

export interface OverlayOptions {
  dataPlane: DataPlaneChoice
  /** UDP port of VXLAN, the same on every node; default 4789. */
  dataPathPort?: number
  /** Where the last view is kept for a restart without managers; absent: it is not kept. */
  viewPath?: string
  /** Where the host's kernel settings are kept that `destroy` gives back; absent: only those changed by this process. */
  settingsPath?: string
}

/**
 * A node's share of the overlay: turns the view that managers send into VXLAN, routes, rules, bridges, names and listeners. Its
 * interface is what the agent knows as its overlay port.
 */
export class Overlay {
  readonly #deps: OverlayDeps
  readonly #options: OverlayOptions
  readonly #settings: HostSettings
  readonly #links: Links
  readonly #relay: Relay
  readonly #vxlanPort: number
  readonly #tables: KernelTables
  readonly #ipv6: Ipv6Plane
  readonly #bridges: Bridges
  readonly #bridgePorts: BridgePorts
  readonly #firewall: Firewall
  readonly #dns: DnsServer
  readonly #drainer: Drainer
  readonly #retired: RetiredAddresses
  readonly #watcher: Watcher
  readonly #sync: Coalescer
  readonly #storedView: StoredView | null
  #ports: PublishedPorts | null = null
  #probe: DataPlaneProbe | null = null
  #self: NodeNumber | null = null
  #view: OverlayView = emptyView()
  /** A complete view arrived: only then is what it lacks removed. */
  #isComplete = false
  /** Tasks that ended by themselves before the managers know. */
  readonly #dropped = new Set<string>()
  readonly #attachments = new Map<string, Attachment>()
  readonly #clients: NameClients
  #names: NameIndex | null = null
  #problems: string[] = []
  #needsResync = true
  #cancelReconcile = () => {}
  #isClosed = false

  constructor(deps: OverlayDeps, options: OverlayOptions) {
    this.#deps = deps
    this.#options = options
    this.#vxlanPort = options.dataPathPort ?? VXLAN_PORT
    const vxlan = { vxlanPort: this.#vxlanPort }
    const { settingsPath: path } = options
    this.#settings = new HostSettings(deps, path === undefined ? {} : { path })
    this.#links = new Links({ ...deps, settings: this.#settings }, vxlan)
    const withSettings = { ...deps, settings: this.#settings }
    this.#tables = new KernelTables(withSettings, { ...vxlan, layout: IPV4_LAYOUT })
    this.#ipv6 = new Ipv6Plane(withSettings, { ...vxlan, mtu: () => this.#links.mtu })
    this.#bridges = new Bridges(deps)
    this.#bridgePorts = new BridgePorts(deps)
    this.#relay = new Relay({ ...deps, link: deps.relayLink }, vxlan)
    this.#firewall = new Firewall(deps, vxlan)
    this.#drainer = new Drainer(deps)
    this.#clients = new NameClients(deps)
    this.#storedView =
      options.viewPath === undefined ? null : new StoredView(deps, { path: options.viewPath })
    this.#retired = new RetiredAddresses(deps.clock)
    const resolvConf = async () => nameservers((await deps.proc.read('/etc/resolv.conf')) ?? '')
    this.#dns = new DnsServer({
      ...deps,
      upstream: new Upstream({ clock: deps.clock, servers: resolvConf }),
      source: {
        names: () => this.#nameIndex(),
        resolverOf: (source) => this.#clients.resolverOf(source),
        nameserversOf: (addr) => this.#nameserversOf(addr),
      },
    })
    this.#sync = new Coalescer(deps, { run: () => this.#runSync(), retryMs: RETRY_MS })
    const presence = new Presence(
      { log: deps.log, tables: this.#tables, ipv6: this.#ipv6, links: this.#links },
      { settled: () => this.#sync.settled(), repair: () => this.#repair() },
    )
    const watched = (run: Promise<void>) => void run.catch((error) => this.#warn(error))
    this.#watcher = new Watcher(deps, {
      onLinks: () => watched(this.#bridgePorts.sync()),
      onRules: () => watched(presence.onTable()),
      onDevice: (device) => watched(presence.onDevice(device)),
      onRoutingRule: () => watched(presence.onRoutingRule()),
    })
  }

  /**
   * Finds out which plane this host runs and starts watching. Before anything else.
   * @throws SwarmctlError FAILED_PRECONDITION naming the program or kernel feature that is missing
   */
  async start(): Promise<DataPlaneProbe> {
    this.#probe = await probeDataPlane(this.#deps.exec, this.#options.dataPlane)
    const { plane, note } = this.#probe
    await this.#ipv6.start(plane)
    if (note !== '') this.#deps.log.warn({ plane }, note)
    this.#ports = new PublishedPorts(
      { ...this.#deps, onReserved: () => this.#requestSync() },
      {
        selfId: () => this.#self?.nodeId ?? null,
        tunnel: plane === 'proxy' ? this.#deps.tunnel : null,
      },
    )
    // Rules of an earlier start in the other plane would go on balancing by a table that nobody keeps.
    if (plane === 'proxy') await this.#tables.destroy()
    // Of before the restart; the managers' first view replaces it.
    this.#view = (await this.#storedView?.load()) ?? this.#view
    this.#watcher.start(plane === 'kernel')
    this.#scheduleReconcile()
    return this.#probe
  }

  /** Which plane runs and what the node is to say about it; after `start`. */
  get dataPlane(): { plane: DataPlaneKind; note: string } {
    assert(this.#probe !== null, 'the overlay was not started')
    const notes = [this.#probe.note, this.#firewall.note].filter((one) => one !== '')
    return { plane: this.#probe.plane, note: notes.join('; ') }
  }

  /** Whether this node's tasks have IPv6 addresses where their networks do; after `start`. */
  get hasIpv6(): boolean {
    return this.#ipv6.isSupported
  }

  /** host:port of a node's cluster port, as the view has it: where its tunnel is. */
  addressOf(nodeId: string): string | undefined {
    return this.#view.nodes.get(nodeId)?.addr
  }

  /** One line each: what does not work now and what to do. */
  problems(): string[] {
    const encryption = [this.#links.problem, this.#relay.problem].filter((one) => one !== '')
    return [
      ...this.#problems,
      ...this.#links.problems(),
      ...encryption,
      ...this.#ipv6.problems(),
      ...(this.#ports?.problems() ?? []),
      ...this.#dns.problems(),
      ...this.#clients.problems(),
    ]
  }

  /** Takes a part of the managers' view; the kernel follows. What can't be programmed for long holds up no later view. */
  take(message: OverlayMessage): void {
    const before = this.#view
    this.#view = changeView(before, message.change, message.complete)
    if (message.complete) this.#isComplete = true
    for (const taskId of this.#dropped) {
      if (!this.#view.endpoints.has(taskId)) this.#dropped.delete(taskId)
    }
    this.#retired.onViews(before, this.#view)
    this.#names = null
    this.#storedView?.save(this.#view)
    this.#requestSync()
  }

  /** Resolves when all that is new goes by the views taken before; rejects only when closed before. */
  async held(): Promise<void> {
    await this.#sync.request()
    await this.#ports?.settled()
  }

  /** Tells which node this is; before the first view. */
  async setSelf(node: NodeNumber): Promise<void> {
    if (this.#self?.nodeId === node.nodeId && this.#self.index === node.index) return
    this.#self = { ...node }
    await this.#sync.request()
  }

  /**
   * Before a task's container is created, and again after a restart: makes the bridges of its overlay networks. The answer lists
   * only overlay networks.
   * @throws SwarmctlError UNAVAILABLE when this node does not know its own number or a gateway yet, ENGINE_UNAVAILABLE
   */
  async attach(task: Task): Promise<Attachment> {
    const self = this.#self
    if (self === null) throw unavailable('this node does not know its number yet: it is retried')
    const search = searchDomains((await this.#deps.proc.read('/etc/resolv.conf')) ?? '')
    const attachment = await this.#ipv6.prepare(attachmentOf(task, this.#view, self, search))
    // From now on no resync takes the bridges away.
    this.#attachments.set(task.ID, attachment)
    try {
      const present = await this.#bridges.present()
      for (const network of attachment.overlayNetworks) {
        const bridge = bridgeNetwork(network, self)
        if (bridge === null) throw unavailable(`network ${network.name} has no subnet yet`)
        // One that was there and is made anew took the routes along that speak from its address.
        const isMade = await this.#bridges.ensure(bridge, this.#links.mtu)
        const isKnown = this.#view.networks.has(network.id)
        if (isMade || !present.has(network.index) || !isKnown) this.#needsResync = true
      }
    } catch (error) {
      this.#attachments.delete(task.ID)
      throw error
    }
    // An Engine that was down at the last look has its chains by now.
    if (this.#firewall.note !== '') this.#needsResync = true
    // Routes take the bridge's address as source, the DNS server listens on it.
    if (this.#needsResync) await this.#sync.request()
    return attachment
  }

  async detach(taskId: string): Promise<void> {
    this.#attachments.delete(taskId)
    if (this.#clients.delete(taskId)) this.#requestSync()
  }

  /** See `OverlayPort`. */
  answerFor(taskId: string, pid: number): void {
    const { networks: [network] = [], dns: [gateway] = [] } = this.#attachments.get(taskId) ?? {}
    if (network === undefined || gateway === undefined) return
    this.#clients.set(taskId, { pid, address: network.ipv4Address, gateway })
    // Also without news: an Engine that was away has its resolver on other ports.
    this.#requestSync()
  }

  /** Resolves when the task's connections ended, were silent for 3 s, at the limit, or when aborted. */
  async drain(
    task: Task,
    containerPid: number,
    limitMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    if (containerPid <= 0) return
    await this.#drainer.drain(new Set(addressesOf(task)), containerPid, limitMs, signal)
  }

  /** See `OverlayPort`. */
  listening(task: Task, pid: number, wait: ListenWait, signal: AbortSignal): Promise<void> {
    const addresses = new Set(addressesOf(task))
    return untilListening(this.#deps, { pid, addresses, ...wait }, signal)
  }

  /** A local task went away by itself: nothing new is sent to it from this node. */
  dropEndpoint(taskId: string): void {
    if (!this.#view.endpoints.has(taskId)) return
    this.#dropped.add(taskId)
    this.#names = null
    this.#requestSync()
  }

  /**
   * Serves the far end of a peer's tunnel: only addresses of this node's own tasks.
   * @throws SwarmctlError NOT_FOUND, UNAVAILABLE
   */
  async acceptTunnel(target: unknown, peer: Duplex): Promise<void> {
    const endpoints = [...this.#view.endpoints.values()]
    const isOurs =
      isTunnelTarget(target) &&
      endpoints.some(
        (endpoint) =>
          endpoint.nodeId === this.#self?.nodeId &&
          endpoint.addresses.some(
            (one) => one.addr === target.addr && one.networkId === target.networkId,
          ),
      )
    if (!isOurs) {
      peer.destroy()
      throw new SwarmctlError(
        'NOT_FOUND',
        'no task of this node has the address that a peer asks for',
      )
    }
    await serveTunnel(target, peer)
  }

  /** Serves a peer's relay until its stream ends; `nodeId` as its certificate says. */
  acceptRelay(nodeId: string, messages: AsyncIterable<unknown>): Promise<void> {
    return this.#relay.accept(nodeId, messages)
  }

  /** Stops serving. Devices, routes and rules stay: containers keep their connections while the daemon is away. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancelReconcile()
    this.#watcher.stop()
    await this.#sync.close()
    await this.#clients.close()
    await this.#storedView?.flush()
    this.#dns.close()
    this.#relay.close()
    this.#ports?.close()
  }

  /** The node leaves: removes every device, rule, route and Docker network. @throws SwarmctlError when a bridge is still in use */
  async destroy(): Promise<void> {
    await this.close()
    await this.#storedView?.remove()
    await this.#firewall.destroy()
    if (this.#probe?.plane !== 'proxy') await this.#tables.destroy()
    await this.#ipv6.destroy()
    let isClean = false
    try {
      isClean = await this.#bridges.removeUnwanted(() => false)
    } finally {
      // The bridges are the Engine's, which may be down; the rest goes in any case.
      await this.#links.destroy()
      await this.#settings.restore()
    }
    if (!isClean) {
      throw new SwarmctlError(
        'FAILED_PRECONDITION',
        'a container still uses an overlay network: stop it and remove the networks with docker network rm',
      )
    }
  }

  #requestSync(): void {
    this.#sync.trigger()
  }

  async #runSync(): Promise<void> {
    if (this.#self === null) return
    assert(this.#ports !== null, 'the overlay was not started')
    const isResync = this.#needsResync
    let table: ForwardingTable | null
    try {
      table = forwardingTable(this.#liveView(), this.#self.nodeId, this.#attached())
      if (table === null) return
      this.#needsResync = false
      await this.#program(table, this.#ports, isResync)
    } catch (error) {
      this.#needsResync = true
      const { message } = toSwarmctlError(error)
      // It is tried again each second: said once.
      if (this.#problems.join() !== message)
        this.#deps.log.error({ error: message }, 'overlay sync failed')
      this.#problems = [message]
      throw error
    }
    if (table.problems.join() !== this.#problems.join()) {
      for (const problem of table.problems) this.#deps.log.warn({}, problem)
    }
    this.#problems = table.problems
  }

  async #program(table: ForwardingTable, ports: PublishedPorts, isResync: boolean): Promise<void> {
    const present = await this.#bridges.present()
    const ours = table.networks.filter((network) => present.has(network.index))
    const retired = this.#retired.addresses()
    const hasIpv6 = table.networks.some(({ ipv6 }) => ipv6 !== null)
    const isIsolated = hasIpv6 && (await this.#bridgePorts.mode()) === 'isolated'
    const relayPort = await this.#relay.set(table)
    const inputs = { bridges: present, isIsolated, retired }
    await this.#links.sync(table, inputs, { resync: isResync, relayPort })
    this.#relay.hasDevice = relayPort !== null && this.#links.problem === ''
    await this.#ipv6.sync(table, { retired, isResync })
    try {
      await ports.set(table.published, new Set([...table.deadAddresses, ...retired]), async () => {
        if (this.dataPlane.plane === 'kernel') {
          const { isReserved: reserved } = ports
          const model = nftModel(table, { reserved, retired, vxlanPort: this.#vxlanPort })
          if (isResync) await this.#tables.isPresent()
          await this.#tables.apply(model)
          if (isResync) await this.#firewall.syncKernel()
        } else await this.#firewall.syncProxy(table)
      })
      if (isResync) {
        for (const network of ours) await this.#bridges.tune(network).catch(() => {})
        await this.#bridgePorts.sync()
        await this.#removeOldBridges(table)
      }
    } finally {
      // Names do not wait for a firewall that refuses its rules: a host may do so for good.
      await this.#dns.serve(new Set(ours.flatMap((network) => network.gateway ?? [])))
      await this.#clients.sync(isResync)
    }
  }

  /** An Engine that is down keeps its networks until the next look. */
  async #removeOldBridges(table: ForwardingTable): Promise<void> {
    if (!this.#isComplete) return
    const served = new Set(table.networks.map(({ id, index }) => `${id} ${index}`))
    // Asked for each bridge: a task may attach meanwhile, and says so before its bridge is made.
    const isAttached = (id: string, index: number) =>
      this.#attached().some((network) => network.id === id && network.index === index)
    try {
      await this.#bridges.removeUnwanted(
        (id, index) => served.has(`${id} ${index}`) || isAttached(id, index),
      )
    } catch (error) {
      this.#deps.log.debug({ error: (error as Error).message }, 'bridges: the Engine is away')
    }
  }

  #liveView(): OverlayView {
    const networks = this.#ipv6.served(this.#view.networks)
    if (this.#dropped.size === 0 && networks === this.#view.networks) return this.#view
    const endpoints = new Map(this.#view.endpoints)
    for (const taskId of this.#dropped) endpoints.delete(taskId)
    return { ...this.#view, networks, endpoints }
  }

  #attached(): OverlayNetwork[] {
    return [...this.#attachments.values()].flatMap((one) => one.overlayNetworks)
  }

  #nameIndex(): NameIndex {
    this.#names ??= new NameIndex(this.#liveView(), this.dataPlane.plane)
    return this.#names
  }

  #nameserversOf(source: string): readonly string[] {
    for (const { networks, nameservers } of this.#attachments.values()) {
      const isAsking = networks.some((one) => one.ipv4Address === source)
      if (isAsking && nameservers.length > 0) return nameservers
    }
    return []
  }

  #scheduleReconcile(): void {
    this.#cancelReconcile = this.#deps.clock.schedule(RECONCILE_MS, () => {
      this.#needsResync = true
      this.#sync
        .request()
        .catch(() => {})
        .finally(() => {
          if (!this.#isClosed) this.#scheduleReconcile()
        })
    })
  }

  #repair(): void {
    this.#needsResync = true
    this.#requestSync()
  }

  #warn(error: unknown): void {
    this.#deps.log.warn({ error: toSwarmctlError(error).message }, 'overlay')
  }
}
