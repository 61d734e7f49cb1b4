import { eventually } from '../../test/support/lab/eventually.ts'
import type { LabHost } from '../../test/support/lab/host.ts'
import type { UnixRequestOptions, UnixResponse } from '../../test/support/lab/unix-request.ts'

export const MANAGERS = 3
/** Generous: the machine may be busy with 12 processes that start at once. */
const SETTLE_TIMEOUT_MS = 180_000

/**
 * One orchestrator on the lab's hosts. Both speak the Engine API, so that everything is asked of both by the same requests; they differ
 * only in what this interface names.
 */
export interface Subject {
  readonly name: 'swarm' | 'swarmctl'
  /** Makes the hosts one cluster: the first three manage, all run tasks. */
  form(): Promise<void>
  /** Takes the cluster apart and everything with it. */
  disband(): Promise<void>
  /** One request to the API socket of this host's orchestrator. */
  api(host: LabHost, path: string, options?: UnixRequestOptions): Promise<UnixResponse>
  /** SIGKILL to the process that manages. */
  killManager(host: LabHost): Promise<void>
  /** Starts again what {@link killManager} killed. */
  startManager(host: LabHost): Promise<void>
  /** The host is powered on after its death, and everything on it starts as it would at boot. */
  reboot(host: LabHost): Promise<void>
}

interface NodeAnswer {
  readonly ID: string
  readonly Description: { readonly Hostname: string }
  readonly Status: { readonly State: string }
  readonly ManagerStatus?: { readonly Leader?: boolean; readonly Reachability: string }
}

/** Asks and fails on an error answer. */
export const demand = async (
  subject: Subject,
  host: LabHost,
  path: string,
  options?: UnixRequestOptions,
): Promise<UnixResponse> => {
  const answer = await subject.api(host, path, options)
  if (answer.status >= 400) throw new Error(`${path}: ${answer.status} ${answer.text.trim()}`)
  return answer
}

/** The host that leads, by the word of a manager. */
export const leaderOf = async (
  subject: Subject,
  hosts: readonly LabHost[],
  at: LabHost,
): Promise<LabHost> => {
  const nodes = (await demand(subject, at, '/nodes')).json<NodeAnswer[]>()
  const name = nodes.find((node) => node.ManagerStatus?.Leader)?.Description.Hostname
  const leader = hosts.find((host) => host.name === name)
  if (leader === undefined) throw new Error('nobody leads')
  return leader
}

/** Waits until every host is ready, every manager reachable and one of them leads, by the word of all managers. */
export const untilWhole = async (subject: Subject, hosts: readonly LabHost[]): Promise<void> => {
  for (const manager of hosts.slice(0, MANAGERS)) {
    await eventually(
      async () => {
        const nodes = (await demand(subject, manager, '/nodes')).json<NodeAnswer[]>()
        const managers = nodes.filter((node) => node.ManagerStatus !== undefined)
        return (
          nodes.length === hosts.length &&
          nodes.every((node) => node.Status.State === 'ready') &&
          managers.length === MANAGERS &&
          managers.every((node) => node.ManagerStatus?.Reachability === 'reachable') &&
          managers.filter((node) => node.ManagerStatus?.Leader).length === 1
        )
      },
      { what: `${subject.name} is whole, says ${manager.name}`, timeoutMs: SETTLE_TIMEOUT_MS },
    )
  }
}
