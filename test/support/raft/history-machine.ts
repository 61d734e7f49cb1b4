import type { Applied, StateMachine, StateRestore } from '../../../src/raft/node-ports.ts'
import type { StateEntry } from '../../../src/raft/state-port.ts'
import type { RaftChecker } from './raft-checker.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Keeps every command, and a hash over all of them as part of its state. */
export class HistoryMachine implements StateMachine {
  readonly commands = new Map<string, number>()
  readonly #id: string
  readonly #checker: RaftChecker
  #hash = '0'
  /** Of the last command; what else is in the log changes nothing here. */
  lastIndex = 0

  constructor(id: string, checker: RaftChecker) {
    this.#id = id
    this.#checker = checker
  }

  check(): void {}

  apply(index: number, data: Uint8Array): Applied {
    const command = decoder.decode(data)
    if (index <= this.lastIndex) throw new Error(`${this.#id} applied ${index} twice`)
    this.lastIndex = index
    const before = this.commands.get(command)
    if (before !== undefined) throw new Error(`${this.#id} applied ${command} twice`)
    this.commands.set(command, index)
    this.#hash = mix(this.#hash, `${index} ${command}`)
    this.#checker.onApplied(this.#id, index, command, this.#hash)
    const writes = [
      { key: `command/${command}`, value: encoder.encode(String(index)) },
      { key: 'hash', value: encoder.encode(this.#hash) },
    ]
    return { result: command, writes }
  }

  beginRestore(appliedIndex: number): StateRestore {
    const added: StateEntry[] = []
    return {
      add: (entries) => added.push(...entries),
      commit: async () => this.#restore(appliedIndex, added),
    }
  }

  #restore(appliedIndex: number, entries: readonly StateEntry[]): void {
    this.commands.clear()
    this.#hash = '0'
    this.lastIndex = 0
    for (const [key, value] of entries) {
      if (key === 'hash') this.#hash = decoder.decode(value)
      else this.commands.set(key.slice('command/'.length), Number(decoder.decode(value)))
    }
    for (const index of this.commands.values()) this.lastIndex = Math.max(this.lastIndex, index)
    this.#checker.onRestored(this.#id, appliedIndex, this.#hash, this.commands)
  }
}

function mix(hash: string, text: string): string {
  let value = Number.parseInt(hash, 36)
  for (let at = 0; at < text.length; at += 1) {
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193) >>> 0
  }
  return value.toString(36)
}
