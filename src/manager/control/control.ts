import type { Config } from '../../api/config.ts'
import type { Filters } from '../../api/filters.ts'
import type { ServiceForecast } from '../../api/forecast.ts'
import type { Network } from '../../api/network.ts'
import type { Node } from '../../api/node.ts'
import type { PlacementTable } from '../../api/placement.ts'
import type { Secret } from '../../api/secret.ts'
import type { Service } from '../../api/service.ts'
import type { Cluster } from '../../api/swarm.ts'
import type { Task } from '../../api/task.ts'
import { attach } from './attachments.ts'
import { ClusterVerbs, type UpdateClusterOptions } from './cluster.ts'
import type { ControlDeps, ReadOptions } from './context.ts'
import { CONFIG_VERBS, Files, SECRET_VERBS } from './files.ts'
import { forecast } from './forecast.ts'
import type { NetworkUse } from './network-use.ts'
import { Networks } from './networks.ts'
import { Nodes } from './nodes.ts'
import { placement } from './placement.ts'
import { type CreateServiceOptions, Services, type UpdateServiceOptions } from './services.ts'
import { Tasks } from './tasks.ts'
import { Turns } from './turns.ts'

/**
 * The Engine API's swarm verbs on the leader's store, with Docker's rules, texts and statuses. Bodies are what the request carried;
 * references are ids, names or id prefixes. Reads are linearizable unless `stale`. Every method throws SwarmctlError.
 */
export class Control {
  readonly #services: Services
  readonly #tasks: Tasks
  readonly #nodes: Nodes
  readonly #networks: Networks
  readonly #secrets: Files<'secret'>
  readonly #configs: Files<'config'>
  readonly #cluster: ClusterVerbs
  readonly #attaching = new Turns()
  readonly #deps: ControlDeps

  constructor(deps: ControlDeps) {
    this.#deps = deps
    this.#services = new Services(deps)
    this.#tasks = new Tasks(deps)
    this.#nodes = new Nodes(deps)
    this.#networks = new Networks(deps)
    this.#secrets = new Files(deps, SECRET_VERBS)
    this.#configs = new Files(deps, CONFIG_VERBS)
    this.#cluster = new ClusterVerbs(deps)
  }

  createService(spec: unknown, options: CreateServiceOptions = {}) {
    return this.#services.create(spec, options)
  }

  /** `version` is the `Version.Index` that the client saw. */
  updateService(ref: string, version: number, spec: unknown, options: UpdateServiceOptions = {}) {
    return this.#services.update(ref, version, spec, options)
  }

  removeService(ref: string): Promise<void> {
    return this.#services.remove(ref)
  }

  getService(
    ref: string,
    options: ReadOptions & { insertDefaults?: boolean } = {},
  ): Promise<Service> {
    return this.#services.get(ref, options)
  }

  listServices(
    filters: Filters = {},
    options: ReadOptions & { status?: boolean } = {},
  ): Promise<Service[]> {
    return this.#services.list(filters, options)
  }

  /** Which nodes would take a further task of the service, and why the others would not. */
  placement(ref: string, options: ReadOptions = {}): Promise<PlacementTable> {
    return placement(this.#deps, ref, options)
  }

  /** Where the services of a `ForecastRequest` would be placed. */
  forecast(body: unknown, options: ReadOptions = {}): Promise<ServiceForecast[]> {
    return forecast(this.#deps, body, options)
  }

  getTask(ref: string, options: ReadOptions = {}): Promise<Task> {
    return this.#tasks.get(ref, options)
  }

  listTasks(filters: Filters = {}, options: ReadOptions = {}): Promise<Task[]> {
    return this.#tasks.list(filters, options)
  }

  getNode(ref: string, options: ReadOptions = {}): Promise<Node> {
    return this.#nodes.get(ref, options)
  }

  listNodes(filters: Filters = {}, options: ReadOptions = {}): Promise<Node[]> {
    return this.#nodes.list(filters, options)
  }

  updateNode(ref: string, version: number, spec: unknown): Promise<void> {
    return this.#nodes.update(ref, version, spec)
  }

  removeNode(ref: string, force = false): Promise<void> {
    return this.#nodes.remove(ref, force)
  }

  createNetwork(body: unknown) {
    return this.#networks.create(body)
  }

  /** With `predefined` also `host`, `bridge` and `none`: for `GET /networks/{id}?scope=swarm`. */
  getNetwork(ref: string, options: ReadOptions & { predefined?: boolean } = {}): Promise<Network> {
    return this.#networks.get(ref, options)
  }

  listNetworks(filters: Filters = {}, options: ReadOptions = {}): Promise<Network[]> {
    return this.#networks.list(filters, options)
  }

  /** Who uses a network, from this manager's own state. */
  networkUse(network: Network): NetworkUse {
    return this.#networks.use(network)
  }

  /** Removes what nobody uses; returns the names. */
  pruneNetworks(filters: Filters): Promise<string[]> {
    return this.#networks.prune(filters)
  }

  removeNetwork(ref: string): Promise<void> {
    return this.#networks.remove(ref)
  }

  /** The place on a network of a container that a node runs by hand: an `AttachRequest`'s answer. */
  attachContainer(nodeId: string, request: unknown): Promise<Task> {
    return attach({ ...this.#deps, turns: this.#attaching }, nodeId, request)
  }

  createSecret(spec: unknown) {
    return this.#secrets.create(spec)
  }

  /** Without the data. */
  getSecret(ref: string, options: ReadOptions = {}): Promise<Secret> {
    return this.#secrets.get(ref, options)
  }

  listSecrets(filters: Filters = {}, options: ReadOptions = {}): Promise<Secret[]> {
    return this.#secrets.list(filters, options)
  }

  updateSecret(ref: string, version: number, spec: unknown): Promise<void> {
    return this.#secrets.update(ref, version, spec)
  }

  removeSecret(ref: string): Promise<void> {
    return this.#secrets.remove(ref)
  }

  createConfig(spec: unknown) {
    return this.#configs.create(spec)
  }

  getConfig(ref: string, options: ReadOptions = {}): Promise<Config> {
    return this.#configs.get(ref, options)
  }

  listConfigs(filters: Filters = {}, options: ReadOptions = {}): Promise<Config[]> {
    return this.#configs.list(filters, options)
  }

  updateConfig(ref: string, version: number, spec: unknown): Promise<void> {
    return this.#configs.update(ref, version, spec)
  }

  removeConfig(ref: string): Promise<void> {
    return this.#configs.remove(ref)
  }

  /** Without the CA's key. */
  getCluster(options: ReadOptions = {}): Promise<Cluster> {
    return this.#cluster.get(options)
  }

  updateCluster(version: number, spec: unknown, options: UpdateClusterOptions = {}): Promise<void> {
    return this.#cluster.update(version, spec, options)
  }

  /** Empty when managers don't lock. */
  unlockKey(): Promise<string> {
    return this.#cluster.unlockKey()
  }
}
