import type { LogMessage, LogsRequest } from '../../api/assignment.ts'
import { SwarmctlError, toSwarmctlError } from '../../api/errors.ts'
import type { Log } from '../../api/log.ts'
import type { Task } from '../../api/task.ts'
import { taskName } from '../../api/task-name.ts'
import { expandTemplate, templateContext } from '../../api/task-template.ts'
import type {
  ContainerEvent,
  ContainerPlan,
  EngineFacts,
  Executor,
  ObservedContainer,
  ProcessState,
} from '../executor.ts'
import { containerBody, endpointSettings, NODE_ID_LABEL, TASK_ID_LABEL } from './container-body.ts'
import { containerEvent, EVENT_FILTERS, jsonLines } from './container-events.ts'
import {
  type ContainerJson,
  type ListedContainer,
  listedContainer,
  observedContainer,
} from './container-inspect.ts'
import { logMessages } from './container-logs.ts'
import { ContainerProcesses } from './container-processes.ts'
import { type EngineClient, type EngineRequest, SLOW_TIMEOUT_MS } from './engine-client.ts'
import { engineError } from './engine-error.ts'
import { type EngineInfo, type EnginePlugin, engineFacts, requireNoSwarm } from './engine-facts.ts'
import { InspectEach } from './inspect-each.ts'
import { ofOneContainer, pingEngine } from './of-one-container.ts'
import { prepareFolders, wantFolders } from './volume-folders.ts'

/** More than a container's own grace period, for the Engine to kill it and to clean up. */
const STOP_MARGIN_MS = 30_000

/** Runs tasks as containers of the local Docker Engine. */
export class DockerExecutor implements Executor {
  readonly #engine: EngineClient
  readonly #processes: ContainerProcesses
  readonly #inspectEach: InspectEach

  constructor(deps: { engine: EngineClient; log: Log }) {
    this.#engine = deps.engine
    this.#inspectEach = new InspectEach(deps)
    this.#processes = new ContainerProcesses({ isLocal: deps.engine.isLocal })
  }

  facts(): Promise<EngineFacts> {
    return checkEngine(this.#engine)
  }

  ping(): Promise<void> {
    return pingEngine(this.#engine)
  }

  processState(container: { id: string; pid: number }): Promise<ProcessState> {
    return this.#processes.stateOf(container)
  }

  async list(nodeId: string): Promise<ObservedContainer[]> {
    const filters = JSON.stringify({ label: [`${NODE_ID_LABEL}=${nodeId}`] })
    const found = (await this.#engine.request({
      method: 'GET',
      path: '/containers/json',
      query: { all: '1', filters },
    })) as ListedContainer[]
    // One that never ran has nothing more to tell, and the Engine answers no question about it while it starts it, which may hang.
    const observed = await this.#inspectEach.run(
      found,
      async (one) => (one.State === 'created' ? listedContainer(one) : this.inspect(one.Id)),
      listedContainer,
    )
    const containers = observed.filter((container) => container !== undefined)
    await this.#processes.learn(containers.filter(({ pid }) => pid > 0))
    return containers
  }

  async pull(task: Task, signal: AbortSignal): Promise<void> {
    const image = task.Spec.ContainerSpec?.Image ?? ''
    const registryAuth = task.Spec.PullOptions?.RegistryAuth
    const stream = await this.#engine.stream({
      method: 'POST',
      path: '/images/create',
      // Without tag or digest the Engine would pull every tag.
      query: { fromImage: /[:@][^/]*$/.test(image) ? image : `${image}:latest` },
      ...(registryAuth ? { registryAuth } : {}),
      signal,
    })
    try {
      for await (const line of jsonLines(stream)) {
        // The answer begins before the outcome is known: a failure is its last line.
        const { error } = line as { error?: string }
        if (error !== undefined) throw new SwarmctlError('INTERNAL', error)
      }
    } catch (error) {
      throw engineError(error)
    }
  }

  async create(plan: ContainerPlan): Promise<string> {
    const { id, networks } = await this.#create(plan)
    try {
      await this.#connect(id, plan, networks)
      await this.#prepareFolders(id, plan)
      return id
    } catch (thrown) {
      // Its task is rejected and knows of no container: nobody else would remove it.
      if (toSwarmctlError(thrown).code !== 'ENGINE_UNAVAILABLE')
        await this.remove(id).catch(() => {})
      throw thrown
    }
  }

  /** Before API 1.44 a create request takes one network; the others are connected before the start. */
  async #connect(id: string, plan: ContainerPlan, connected: readonly string[]): Promise<void> {
    for (const network of plan.wiring?.networks.slice(1) ?? []) {
      if (connected.includes(network.dockerNetwork)) continue
      await this.#engine.request({
        method: 'POST',
        path: `/networks/${encodeURIComponent(network.dockerNetwork)}/connect`,
        body: { Container: id, EndpointConfig: endpointSettings(network) },
        timeoutMs: SLOW_TIMEOUT_MS,
      })
    }
  }

  async #prepareFolders(id: string, { task, node }: ContainerPlan): Promise<void> {
    const wanted = task.Spec.ContainerSpec?.Mounts ?? []
    if (!wantFolders(wanted)) return
    const context = templateContext(task, node)
    const mounts = wanted.map((mount) => ({
      ...mount,
      Target: expandTemplate(mount.Target ?? '', context),
    }))
    const { Mounts = [] } = await this.#json(id)
    await prepareFolders(mounts, Mounts, this.#engine.isLocal)
  }

  async start(containerId: string): Promise<ObservedContainer> {
    await ofOneContainer(this.#engine, {
      method: 'POST',
      path: `/containers/${containerId}/start`,
      timeoutMs: SLOW_TIMEOUT_MS,
    })
    const observed = await this.inspect(containerId)
    if (observed === undefined) throw new SwarmctlError('NOT_FOUND', 'the container was removed')
    return observed
  }

  async inspect(containerId: string): Promise<ObservedContainer | undefined> {
    try {
      return observedContainer(await this.#json(containerId))
    } catch (thrown) {
      if (toSwarmctlError(thrown).code === 'NOT_FOUND') return undefined
      throw thrown
    }
  }

  async stop(containerId: string, graceMs: number): Promise<void> {
    await this.#tolerate(['NOT_FOUND'], {
      method: 'POST',
      path: `/containers/${containerId}/stop`,
      query: { t: String(Math.ceil(graceMs / 1000)) },
      timeoutMs: graceMs + STOP_MARGIN_MS,
    })
  }

  async remove(containerId: string): Promise<void> {
    await this.#tolerate(['NOT_FOUND', 'ALREADY_EXISTS'], {
      method: 'DELETE',
      path: `/containers/${containerId}`,
      query: { force: '1', v: '1' },
      timeoutMs: SLOW_TIMEOUT_MS,
    })
  }

  async watch(
    nodeId: string,
    on: { open: () => void; event: (event: ContainerEvent) => void },
    signal: AbortSignal,
  ): Promise<void> {
    const filters = JSON.stringify(EVENT_FILTERS)
    const stream = await this.#engine.stream({
      method: 'GET',
      path: '/events',
      query: { filters },
      signal,
    })
    on.open()
    try {
      for await (const line of jsonLines(stream)) {
        const event = containerEvent(line as object, nodeId)
        if (event !== undefined) on.event(event)
      }
    } catch (error) {
      throw engineError(error)
    }
    throw new SwarmctlError('ENGINE_UNAVAILABLE', 'the Docker Engine ended its event stream')
  }

  async *logs(
    containerId: string,
    request: LogsRequest,
    signal: AbortSignal,
  ): AsyncGenerator<LogMessage> {
    const { Config } = await this.#json(containerId)
    const stream = await this.#engine.stream({
      method: 'GET',
      path: `/containers/${containerId}/logs`,
      query: {
        stdout: request.stdout ? '1' : '0',
        stderr: request.stderr ? '1' : '0',
        follow: request.follow ? '1' : '0',
        timestamps: '1',
        ...(request.details === true && { details: '1' }),
        ...(request.since === '' ? {} : { since: request.since }),
        ...(request.tail === '' ? {} : { tail: request.tail }),
      },
      signal,
    })
    try {
      yield* logMessages(stream, Config.Tty === true, request.details === true)
    } catch (error) {
      if (!signal.aborted) throw engineError(error)
    } finally {
      stream.destroy()
    }
  }

  /** Also one that an earlier attempt made, with the networks that it got. */
  async #create(plan: ContainerPlan): Promise<{ id: string; networks: string[] }> {
    const name = taskName(plan.task)
    try {
      const { Id } = (await this.#engine.request({
        method: 'POST',
        path: '/containers/create',
        query: { name },
        body: containerBody(plan),
        timeoutMs: SLOW_TIMEOUT_MS,
      })) as { Id: string }
      return { id: Id, networks: [] }
    } catch (thrown) {
      const error = toSwarmctlError(thrown)
      if (error.code === 'NOT_FOUND' && !error.message.startsWith('No such image'))
        throw new SwarmctlError('FAILED_PRECONDITION', error.message, { cause: error })
      if (error.code !== 'ALREADY_EXISTS') throw error
      // An earlier attempt came through although its answer was lost.
      const json = await this.#json(name)
      if (json.Config.Labels?.[TASK_ID_LABEL] !== plan.task.ID) throw error
      return { id: json.Id, networks: Object.keys(json.NetworkSettings.Networks ?? {}) }
    }
  }

  async #json(containerId: string): Promise<ContainerJson> {
    const path = `/containers/${containerId}/json`
    return (await ofOneContainer(this.#engine, { method: 'GET', path })) as ContainerJson
  }

  async #tolerate(codes: readonly string[], request: EngineRequest): Promise<void> {
    try {
      await ofOneContainer(this.#engine, request)
    } catch (thrown) {
      if (!codes.includes(toSwarmctlError(thrown).code)) throw thrown
    }
  }
}

/**
 * Whether this Engine can carry a node, before one is made of it.
 * @throws SwarmctlError ENGINE_UNAVAILABLE; FAILED_PRECONDITION when it is in Docker's own swarm
 */
export const checkEngine = async (engine: EngineClient): Promise<EngineFacts> => {
  const [info, plugins] = await Promise.all([
    engine.request({ method: 'GET', path: '/info' }) as Promise<EngineInfo>,
    // Not all that speaks the Engine's API has plugins.
    engine.request({ method: 'GET', path: '/plugins' }).catch(() => []) as Promise<EnginePlugin[]>,
  ])
  requireNoSwarm(info)
  return engineFacts(info, Array.isArray(plugins) ? plugins : [])
}
