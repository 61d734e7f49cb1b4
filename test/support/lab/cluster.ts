import type { LabHost } from './host.ts'
import type { Lab } from './lab.ts'

/** How a lab's hosts are to form a cluster. */
export interface ClusterShape {
  /** The first hosts of the lab, in order. */
  managers: number
  /** The hosts after them; default: all others. */
  workers?: number
  /** Further flags for every daemon. */
  daemonArgs?: string[]
  /** Further flags for `init`. */
  initArgs?: string[]
}

/** Most time that one command of the setup may take on a busy machine, milliseconds. */
const COMMAND_TIMEOUT_MS = 60_000

/** Starts a daemon on each host and joins them by the CLI, as a person would. Managers join one after the other, workers at once. */
export const formCluster = async (lab: Lab, shape: ClusterShape): Promise<LabHost[]> => {
  const count = shape.managers + (shape.workers ?? lab.hosts.length - shape.managers)
  const hosts = lab.hosts.slice(0, count)
  await Promise.all(hosts.map((host) => host.spawnDaemon(shape.daemonArgs ?? [])))
  const [first, ...others] = hosts as [LabHost, ...LabHost[]]
  const options = { timeoutMs: COMMAND_TIMEOUT_MS }
  await first.swarmctl(['init', '--advertise-addr', first.ip, ...(shape.initArgs ?? [])], options)
  const tokenOf = async (role: string): Promise<string> =>
    (await first.swarmctl(['join-token', '-q', role], options)).stdout.trim()
  const manager = await tokenOf('manager')
  const worker = await tokenOf('worker')
  for (const host of others.slice(0, shape.managers - 1)) await joinHost(host, first, manager)
  await Promise.all(others.slice(shape.managers - 1).map((host) => joinHost(host, first, worker)))
  return hosts
}

/** Joins one host whose daemon runs. */
export const joinHost = (host: LabHost, at: LabHost, token: string) =>
  host.swarmctl(['join', '--token', token, `${at.ip}:2377`], { timeoutMs: COMMAND_TIMEOUT_MS })
