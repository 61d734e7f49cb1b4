/** Reads /proc: which processes exist, who their parents are and in which network namespace they run. */
import { readdirSync, readFileSync, statSync } from 'node:fs'

/** One process; `startTicks` tells a process from a later one with the same pid. */
export interface ProcessIdentity {
  readonly pid: number
  readonly startTicks: string
}

const PPID_FIELD = 1
const START_TICKS_FIELD = 19

/** Identity of a living process; undefined when there is none, or when it is a zombie. */
export function identify(pid: number): ProcessIdentity | undefined {
  const fields = statFields(pid)
  const startTicks = fields?.[START_TICKS_FIELD]
  if (fields === undefined || startTicks === undefined || fields[0] === 'Z') return undefined
  return { pid, startTicks }
}

/** Whether exactly this process still runs. */
export function isAlive(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.startTicks === identity.startTicks
}

/** Direct children of `parent`, in no order. (`/proc/…/children` is not in every kernel.) */
export function childrenOf(parent: number): number[] {
  return allPids().filter((pid) => Number(statFields(pid)?.[PPID_FIELD]) === parent)
}

/** Every process in the network namespace that `netnsPath` is a handle of. */
export function processesInNetns(netnsPath: string): number[] {
  const inode = inodeOf(netnsPath)
  if (inode === undefined) return []
  return allPids().filter((pid) => inodeOf(`/proc/${pid}/ns/net`) === inode)
}

function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

/** The fields of /proc/<pid>/stat after the command name, so that index 0 is the state. */
function statFields(pid: number): string[] | undefined {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return line.slice(line.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}

function inodeOf(path: string): number | undefined {
  try {
    return statSync(path).ino
  } catch {
    return undefined
  }
}
