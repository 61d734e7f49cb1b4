import type { Node } from '../../../src/api/node.ts'
import type { Service } from '../../../src/api/service.ts'
import type { Task } from '../../../src/api/task.ts'
import { eventually } from './eventually.ts'
import type { LabHost } from './host.ts'

const get = async <T>(host: LabHost, path: string): Promise<T> => {
  const answer = await host.apiRequest(path)
  if (answer.status >= 400) throw new Error(`${path}: ${answer.status} ${answer.text}`)
  return answer.json() as T
}

/** The nodes as a manager's socket lists them, by host name. */
export const nodesByName = async (host: LabHost): Promise<Map<string, Node>> =>
  new Map((await get<Node[]>(host, '/nodes')).map((node) => [node.Description.Hostname, node]))

/** A service by name or id. */
export const serviceOf = (host: LabHost, ref: string): Promise<Service> =>
  get<Service>(host, `/services/${ref}`)

/** All tasks of a service, history included. */
export const tasksOf = (host: LabHost, service: string): Promise<Task[]> =>
  get<Task[]>(
    host,
    `/tasks?filters=${encodeURIComponent(JSON.stringify({ service: { [service]: true } }))}`,
  )

/** Those that run and are to run. */
export const runningTasksOf = async (host: LabHost, service: string): Promise<Task[]> =>
  (await tasksOf(host, service)).filter(
    (task) => task.Status.State === 'running' && task.DesiredState === 'running',
  )

/** Waits until exactly `count` tasks of a service run, optionally only on the named hosts; returns them. */
export const untilRunning = (
  host: LabHost,
  service: string,
  count: number,
  options: { on?: readonly string[]; timeoutMs?: number } = {},
): Promise<Task[]> =>
  eventually(
    async () => {
      const running = await runningTasksOf(host, service)
      if (running.length !== count) return undefined
      if (!options.on) return running
      const nodes = await nodesByName(host)
      const allowed = new Set(options.on.map((name) => nodes.get(name)?.ID))
      return running.every((task) => allowed.has(task.NodeID)) ? running : undefined
    },
    {
      what: `${count} running tasks of ${service}${options.on ? ` on ${options.on.join(', ')}` : ''}`,
      timeoutMs: options.timeoutMs ?? 60_000,
    },
  )

/** A container as the host's own Engine sees it. */
export interface InspectedContainer {
  Id: string
  Name: string
  Config: Record<string, unknown> & { Labels: Record<string, string>; Env: string[] }
  HostConfig: Record<string, unknown>
  State: { Pid: number; Running: boolean; StartedAt: string; Health?: { Status: string } }
  Mounts: Record<string, unknown>[]
  NetworkSettings: Record<string, unknown>
}

/** The container of a task, read from the Engine of the host that runs it. */
export const inspectTask = async (
  hosts: readonly LabHost[],
  task: Task,
): Promise<{ host: LabHost; container: InspectedContainer }> => {
  const id = task.Status.ContainerStatus?.ContainerID
  const nodes = await nodesByName(hosts[0] as LabHost)
  const host = hosts.find((one) => nodes.get(one.name)?.ID === task.NodeID)
  if (!id || !host) throw new Error(`task ${task.ID} has no container`)
  const answer = await host.engineRequest(`/containers/${id}/json`)
  return { host, container: answer.json() as InspectedContainer }
}

/** Runs a command in a task's container. */
export const execInTask = async (
  hosts: readonly LabHost[],
  task: Task,
  command: string[],
  options: { check?: boolean; timeoutMs?: number } = {},
) => {
  const { host, container } = await inspectTask(hosts, task)
  return host.docker(['exec', container.Id, ...command], options)
}
