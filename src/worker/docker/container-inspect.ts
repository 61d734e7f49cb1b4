import { PORTS_MAX } from '../../api/defaults.ts'
import type { PortConfig } from '../../api/service-spec.ts'
import {
  type ContainerHealth,
  createdContainer,
  EXIT_CODE_UNKNOWN,
  type ObservedContainer,
} from '../executor.ts'
import { TASK_ID_LABEL } from './container-body.ts'
import type { FoundMount } from './volume-folders.ts'

/** What is read of `GET /containers/{id}/json`. */
export interface ContainerJson {
  Id: string
  State: {
    Status: string
    Pid: number
    ExitCode: number
    Error?: string
    Health?: { Status?: string } | null
  }
  Config: { Labels?: Record<string, string> | null; Tty?: boolean }
  HostConfig: { PortBindings?: Record<string, unknown> | null }
  Mounts?: FoundMount[]
  NetworkSettings: {
    Ports?: Record<string, { HostIp: string; HostPort: string }[] | null> | null
    Networks?: Record<string, object> | null
  }
}

/** What is read of an item of `GET /containers/json`. */
export interface ListedContainer {
  Id: string
  State: string
  /** For people: `Exited (3) 2 hours ago`, `Up 2 hours (healthy)`, `Up 3 seconds (health: starting)`. */
  Status?: string
  Labels?: Record<string, string> | null
}

const STATUS: Record<string, ObservedContainer['status']> = {
  created: 'created',
  running: 'running',
  paused: 'running',
  restarting: 'running',
}

/** A container as far as the Engine's list tells: all that there is to tell of one that never ran. */
export const listedContainer = ({
  Id,
  State,
  Status = '',
  Labels,
}: ListedContainer): ObservedContainer => {
  const status = STATUS[State] ?? 'exited'
  const [, exitCode = EXIT_CODE_UNKNOWN] = /^Exited \((\d+)\)/.exec(Status) ?? []
  const [, health = 'none'] = /\((?:health: )?(starting|healthy|unhealthy)\)$/.exec(Status) ?? []
  return {
    ...createdContainer(Id, Labels?.[TASK_ID_LABEL] ?? ''),
    status,
    exitCode: status === 'exited' ? Number(exitCode) : 0,
    health: health as ContainerHealth,
  }
}

/** The host-mode ports that the task asked for, with the numbers that the Engine bound: no more than managers take of a status. */
const boundPorts = ({ HostConfig, NetworkSettings }: ContainerJson): PortConfig[] => {
  const asked = Object.keys(HostConfig.PortBindings ?? {})
  const bound = asked.flatMap((key) => {
    const [port, protocol] = key.split('/')
    // The same port is listed for IPv4 and for IPv6.
    const numbers = new Set(
      (NetworkSettings.Ports?.[key] ?? []).map(({ HostPort }) => Number(HostPort)),
    )
    return [...numbers].map((published) => ({
      Protocol: (protocol ?? 'tcp') as PortConfig['Protocol'],
      TargetPort: Number(port),
      PublishedPort: published,
      PublishMode: 'host' as const,
    }))
  })
  return bound.slice(0, PORTS_MAX)
}

/** A container as the agent sees it. */
export const observedContainer = (json: ContainerJson): ObservedContainer => {
  const status = STATUS[json.State.Status] ?? 'exited'
  return {
    id: json.Id,
    taskId: json.Config.Labels?.[TASK_ID_LABEL] ?? '',
    status,
    pid: status === 'running' ? json.State.Pid : 0,
    exitCode: json.State.ExitCode,
    health: (json.State.Health?.Status ?? 'none') as ContainerHealth,
    ports: boundPorts(json),
  }
}
