/** A small cluster of overlay nodes on lab hosts, with the part of a manager that a test plays: views, addresses, containers. */
import assert from 'node:assert'
import { formatIpv4, parseCidr } from '../../../src/api/ipv4.ts'
import type { Network } from '../../../src/api/network.ts'
import type { DataPlaneKind } from '../../../src/api/node.ts'
import type {
  EndpointState,
  OverlayEndpoint,
  OverlayNetwork,
  OverlayService,
} from '../../../src/api/overlay-view.ts'
import type { PortConfig } from '../../../src/api/service-spec.ts'
import type { Task } from '../../../src/api/task.ts'
import { eventually } from '../lab/eventually.ts'
import type { Lab } from '../lab/lab.ts'
import { TEST_IMAGE } from '../lab/test-image.ts'
import { OverlayNode } from './overlay-node.ts'

export interface TestTask {
  task: Task
  node: OverlayNode
  container: string
  pid: number
  /** Address by network id. */
  addresses: Map<string, string>
}

export interface ServiceOptions {
  networks: string[]
  mode?: 'vip' | 'dnsrr'
  ports?: {
    published: number
    target: number
    protocol?: 'tcp' | 'udp'
    proxyProtocol?: 'v2'
  }[]
  aliases?: string[]
}

export class OverlayCluster {
  readonly lab: Lab
  readonly nodes: OverlayNode[]
  readonly networks = new Map<string, OverlayNetwork>()
  readonly services = new Map<string, OverlayService>()
  readonly endpoints = new Map<string, OverlayEndpoint>()
  readonly dead = new Set<string>()
  readonly #planes: DataPlaneKind[]
  #version = 0
  #nextHost = 20
  #nextVip = 10
  #taskCount = 0
  #networkCount = 0

  /** `planes[i]` is host i's; the last one repeats. */
  constructor(lab: Lab, planes: DataPlaneKind[]) {
    this.lab = lab
    this.#planes = lab.hosts.map((_, at) => planes[Math.min(at, planes.length - 1)] ?? 'kernel')
    this.nodes = lab.hosts.map(
      (host, at) => new OverlayNode(host, at + 1, this.#planes[at] ?? 'kernel'),
    )
  }

  node(number: number): OverlayNode {
    const node = this.nodes[number - 1]
    assert(node !== undefined)
    return node
  }

  async start(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.start()))
    await this.sync()
  }

  addNetwork(name: string, subnet: string, options: Partial<OverlayNetwork> = {}): string {
    const block = parseCidr(subnet)
    assert(block !== undefined)
    const plan = block.prefix <= 16 ? 'blocks' : 'flat'
    // A flat subnet's first addresses are the nodes' gateways.
    const gateways =
      plan === 'blocks'
        ? {}
        : Object.fromEntries(
            this.nodes.map((node, at) => [node.nodeId, formatIpv4(block.first + 1 + at)]),
          )
    this.networks.set(name, {
      id: name,
      name,
      index: ++this.#networkCount,
      subnet,
      plan,
      gateways,
      internal: false,
      ingress: false,
      encrypted: false,
      mtu: 0,
      ...options,
    })
    return name
  }

  addService(name: string, options: ServiceOptions): string {
    const mode = options.mode ?? 'vip'
    const vips =
      mode === 'vip'
        ? options.networks.map((networkId) => ({ networkId, addr: this.#vipOn(networkId) }))
        : []
    const ports: PortConfig[] = (options.ports ?? []).map((port) => ({
      Protocol: port.protocol ?? 'tcp',
      TargetPort: port.target,
      PublishedPort: port.published,
      PublishMode: 'ingress',
      ...(port.proxyProtocol && { Swarmctl: { ProxyProtocol: port.proxyProtocol } }),
    }))
    const aliases = options.networks.map((networkId) => ({
      networkId,
      names: options.aliases ?? [],
    }))
    this.services.set(name, { id: name, name, mode, vips, aliases, ports })
    return name
  }

  vip(service: string, network: string): string {
    const vip = this.services.get(service)?.vips.find((one) => one.networkId === network)
    assert(vip !== undefined)
    return vip.addr
  }

  /** Makes a task's container and waits until it serves; it is in rotation after the next `sync`. */
  async startTask(
    service: string,
    node: OverlayNode,
    options: { networks: string[]; image?: string; env?: string[]; state?: EndpointState },
  ): Promise<TestTask> {
    const taskId = `${service}-${++this.#taskCount}`
    const addresses = new Map(
      options.networks.map((id) => [id, this.#addressOn(id, node)] as const),
    )
    const task = this.#task(taskId, service, node, addresses)
    const attachment = await node.attach(task)
    const [first, ...others] = attachment.networks
    assert(first !== undefined)
    const dns = attachment.dns.flatMap((one) => ['--dns', one])
    const image = `${TEST_IMAGE}:${options.image ?? '1'}`
    const env = (options.env ?? []).flatMap((one) => ['-e', one])
    const network = ['--network', first.dockerNetwork, '--ip', first.ipv4Address]
    const args = ['--name', taskId, '--hostname', taskId, ...network, ...dns, ...env, image]
    const { host } = node
    await host.docker(['create', '--init', ...args])
    for (const other of others) {
      await host.docker([
        'network',
        'connect',
        '--ip',
        other.ipv4Address,
        other.dockerNetwork,
        taskId,
      ])
    }
    await host.docker(['start', taskId])
    const pid = Number((await host.docker(['inspect', '-f', '{{.State.Pid}}', taskId])).stdout)
    await eventually(async () => (await host.docker(['logs', taskId])).stdout.includes('started'), {
      what: `${taskId} serves`,
    })
    this.endpoints.set(taskId, {
      taskId,
      serviceId: service,
      nodeId: node.nodeId,
      state: options.state ?? 'ready',
      hostname: taskId,
      addresses: [...addresses].map(([networkId, addr]) => ({ networkId, addr, aliases: [] })),
    })
    return { task, node, container: taskId, pid, addresses }
  }

  setState(taskId: string, state: EndpointState): void {
    const endpoint = this.endpoints.get(taskId)
    assert(endpoint !== undefined)
    this.endpoints.set(taskId, { ...endpoint, state })
  }

  /** Stops and removes the container and takes its endpoint out. */
  async removeTask(task: TestTask): Promise<void> {
    this.endpoints.delete(task.container)
    await this.sync()
    await task.node.host.docker(['rm', '-f', task.container])
  }

  /** Sends the whole view to all nodes (or some); resolves when their kernels hold it. */
  async sync(nodes = this.nodes): Promise<void> {
    const version = ++this.#version
    const change = {
      nodes: {
        put: this.nodes.map((node, at) => ({
          id: node.nodeId,
          index: node.index,
          dataPathAddr: node.host.ip,
          dataPlane: this.#planes[at] ?? 'kernel',
          addr: `${node.host.ip}:2377`,
          live: !this.dead.has(node.nodeId),
        })),
        remove: [],
      },
      networks: { put: [...this.networks.values()], remove: [] },
      services: { put: [...this.services.values()], remove: [] },
      endpoints: { put: [...this.endpoints.values()], remove: [] },
    }
    await Promise.all(
      nodes.map((node) => node.apply({ kind: 'overlay', complete: true, version, change })),
    )
  }

  /** Forgets networks, services and endpoints; the next `sync` takes them from the nodes. */
  clear(): void {
    for (const map of [this.networks, this.services, this.endpoints, this.#flatNext]) map.clear()
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop('kill')))
  }

  logs(): string {
    return this.nodes.map((node) => `--- ${node.nodeId}\n${node.log().slice(-4000)}`).join('\n')
  }

  #block(networkId: string) {
    const block = parseCidr(this.networks.get(networkId)?.subnet ?? '')
    assert(block !== undefined)
    return block
  }

  #isFlat(networkId: string): boolean {
    return this.networks.get(networkId)?.plan === 'flat'
  }

  #vipOn(networkId: string): string {
    const { first } = this.#block(networkId)
    return formatIpv4(
      first + (this.#isFlat(networkId) ? this.#flatOffset(networkId) : this.#nextVip++),
    )
  }

  #addressOn(networkId: string, node: OverlayNode): string {
    const { first } = this.#block(networkId)
    if (this.#isFlat(networkId)) return formatIpv4(first + this.#flatOffset(networkId))
    return formatIpv4(first + node.index * 256 + this.#nextHost++)
  }

  readonly #flatNext = new Map<string, number>()

  #flatOffset(networkId: string): number {
    const next = this.#flatNext.get(networkId) ?? this.nodes.length + 1
    this.#flatNext.set(networkId, next + 1)
    return next
  }

  #task(
    id: string,
    service: string,
    node: OverlayNode,
    addresses: ReadonlyMap<string, string>,
  ): Task {
    const attachments = [...addresses].map(([networkId, addr]) => {
      const network = this.networks.get(networkId)
      const prefix = this.#block(networkId).prefix
      return {
        Network: {
          ID: networkId,
          Spec: { DriverConfiguration: { Name: 'overlay', Options: {} } },
          Swarmctl: { Index: network?.index },
        } as unknown as Network,
        Addresses: [`${addr}/${prefix}`],
      }
    })
    return {
      ID: id,
      ServiceID: service,
      NodeID: node.nodeId,
      Spec: {},
      NetworksAttachments: attachments,
    } as unknown as Task
  }
}
