/**
 * Removes whatever a lab has on the machine: processes, namespaces, links, cgroups, folders. It works from
 * what it finds, not from what the creator remembers, so one function serves a lab's normal end, its
 * creator's exit and the sweep of a dead creator. Synchronous, since an exiting process cannot wait.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { bridgeName, isLinkOf, labDir, type Slot } from './names.ts'
import { identify, isAlive, type ProcessIdentity, processesInNetns } from './process-table.ts'

const NETNS_ROOT = '/run/netns'
const CGROUP_ROOT = '/sys/fs/cgroup'
const KILL_ROUNDS_MAX = 200
const KILL_PAUSE_MS = 20
const REMOVE_RETRIES_MAX = 20

/** Removes everything of the lab in `slot`; what is already gone is no error. Throws if something stays. */
export function removeRemains(slot: Slot): void {
  const namespaces = namespacesOf(slot)
  // All at once first: their ends overlap, while one after the other takes a second each.
  for (const name of namespaces) for (const pid of processesInNetns(handle(name))) kill(pid)
  for (const name of namespaces) removeNamespace(name)
  for (const name of [...linksOf(slot), bridgeName(slot)]) removeLink(name)
  acceptForwarding(slot, false)
  removeCgroups((name) => isLinkOf(slot, name))
  rmSync(labDir(slot), { recursive: true, force: true, maxRetries: REMOVE_RETRIES_MAX })
}

/** Ends every process of one namespace and deletes it, with its links, rules and devices. */
export function removeNamespace(name: string): void {
  killAll(handle(name))
  attempt('ip', ['netns', 'delete', name])
  // The namespace's end of the link goes with it, a moment later; taking the other end is immediate.
  removeLink(name)
}

/** Deletes the empty cgroups whose top folder `isOurs`; Engines leave their parent folders. */
export function removeCgroups(isOurs: (name: string) => boolean): void {
  const roots = [CGROUP_ROOT, ...foldersIn(CGROUP_ROOT).map((name) => join(CGROUP_ROOT, name))]
  for (const root of roots) {
    for (const name of foldersIn(root).filter(isOurs)) removeCgroup(join(root, name))
  }
}

/**
 * Lets frames between the bridge's own ports pass (or takes that back) where the machine filters bridged
 * traffic with a FORWARD policy of DROP, which an Engine on the machine sets.
 */
export function acceptForwarding(slot: Slot, isAccepted: boolean): void {
  const bridge = bridgeName(slot)
  const rule = ['FORWARD', '-i', bridge, '-o', bridge, '-j', 'ACCEPT']
  if (isAccepted) {
    if (/^-P FORWARD DROP/m.test(attempt('iptables', ['-S', 'FORWARD']) ?? '')) {
      attempt('iptables', ['-w', '-I', ...rule])
    }
    return
  }
  if ((attempt('iptables', ['-S', 'FORWARD']) ?? '').includes(`-i ${bridge} -o ${bridge} `)) {
    attempt('iptables', ['-w', '-D', ...rule])
  }
}

function handle(namespace: string): string {
  return join(NETNS_ROOT, namespace)
}

function killAll(netnsPath: string): void {
  // Kept by identity: an ending process leaves its namespaces before it is gone.
  const seen = new Map<number, ProcessIdentity>()
  for (let round = 0; round < KILL_ROUNDS_MAX; round += 1) {
    for (const pid of processesInNetns(netnsPath)) {
      const identity = identify(pid)
      if (identity !== undefined) seen.set(pid, identity)
    }
    const living = [...seen.values()].filter(isAlive)
    if (living.length === 0) return
    // The host's first process is among them; the kernel ends its whole pid namespace, containers too.
    for (const { pid } of living) kill(pid)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, KILL_PAUSE_MS)
  }
  const left = processesInNetns(netnsPath).map((pid) => `${pid} ${commandOf(pid)}`)
  throw new Error(`processes in ${netnsPath} survive SIGKILL: ${left.join(', ')}`)
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // Gone already.
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return ''
  }
}

function namespacesOf(slot: Slot): string[] {
  if (!existsSync(NETNS_ROOT)) return []
  return readdirSync(NETNS_ROOT).filter((name) => isLinkOf(slot, name))
}

function linksOf(slot: Slot): string[] {
  return readdirSync('/sys/class/net').filter((name) => isLinkOf(slot, name))
}

function removeLink(name: string): void {
  if (existsSync(`/sys/class/net/${name}`)) attempt('ip', ['link', 'delete', name])
}

function removeCgroup(path: string): void {
  for (const name of foldersIn(path)) removeCgroup(join(path, name))
  try {
    rmdirSync(path)
  } catch {
    // Its last process is still being reaped; an empty cgroup costs nothing and the next sweep takes it.
  }
}

function foldersIn(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
  } catch {
    return []
  }
}

/** Standard output, or undefined when the command failed: removing what is gone is no error. */
function attempt(file: string, args: readonly string[]): string | undefined {
  try {
    return execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  } catch {
    return undefined
  }
}
