/** What a demo leaves on the machine, so that `--down` finds all of it, also when nobody else remembers. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ProcessIdentity } from '../../test/support/lab/process-table.ts'

/** Hosts in network namespaces; they live as long as their keeper. */
export interface LabState {
  readonly kind: 'lab'
  readonly keeper: ProcessIdentity
}

/** A daemon beside the machine's own Engine. */
export interface MachineState {
  readonly kind: 'machine'
  readonly daemon: ProcessIdentity
  /** The arguments to start the daemon with again, should it have died. */
  readonly daemonArgs: readonly string[]
  readonly socket: string
  readonly dockerHost: string
  /** The Engine, when the demo started it. */
  readonly engine: ProcessIdentity | undefined
  /** Images that were not there before. */
  readonly images: readonly string[]
}

export type DemoState = LabState | MachineState

const stateFile = (dir: string): string => join(dir, 'demo.json')

/** What runs, by the notes in `dir`; undefined when no demo was started there. */
export const loadState = (dir: string): DemoState | undefined => {
  try {
    return JSON.parse(readFileSync(stateFile(dir), 'utf8')) as DemoState
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Writes the notes whole or not at all. */
export const storeState = (dir: string, state: DemoState): void => {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const draft = `${stateFile(dir)}.draft`
  writeFileSync(draft, JSON.stringify(state))
  renameSync(draft, stateFile(dir))
}

/** Removes the demo's own folder. */
export const removeState = (dir: string): void => rmSync(dir, { recursive: true, force: true })
