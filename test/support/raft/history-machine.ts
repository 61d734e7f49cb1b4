import type { MemoryWalDisk } from '../../../src/raft/memory-wal.ts'
import type { Applied, StateMachine } from '../../../src/raft/node-ports.ts'
import type { StateEntry } from '../../../src/raft/state-port.ts'
import type { RaftChecker } from './raft-checker.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Keeps every command, and a hash over all of them as part of its state. */
export class HistoryMachine implements StateMachine {
  readonly commands = new Set<string>()
  readonly #id: string
  readonly #checker: RaftChecker
  readonly #disk: MemoryWalDisk
  #hash = '0'
  appliedIndex = 0
  /** The term of the node that this belongs to. */
  nodeTerm = () => 0

  constructor(id: string, checker: RaftChecker, disk: MemoryWalDisk) {
    this.#disk = disk
    this.#id = id
    this.#checker = checker
  }

  apply(index: number, data: Uint8Array): Applied {
    const command = decoder.decode(data)
    if (index <= this.appliedIndex) throw new Error(`${this.#id} applied ${index} twice`)
    this.appliedIndex = index
    this.commands.add(command)
    this.#hash = mix(this.#hash, `${index} ${command}`)
    this.#checker.onApplied(this.#id, this.#disk, index, {
      ...{ command, hash: this.#hash, nodeTerm: this.nodeTerm() },
    })
    const writes = [
      { key: `command/${command}`, value: encoder.encode(String(index)) },
      { key: 'hash', value: encoder.encode(this.#hash) },
    ]
    return { result: command, writes }
  }

  restore(appliedIndex: number, entries: Iterable<StateEntry>): void {
    this.commands.clear()
    this.#hash = '0'
    this.appliedIndex = appliedIndex
    for (const [key, value] of entries) {
      if (key === 'hash') this.#hash = decoder.decode(value)
      else this.commands.add(key.slice('command/'.length))
    }
  }
}

function mix(hash: string, text: string): string {
  let value = Number.parseInt(hash, 36)
  for (let at = 0; at < text.length; at += 1) {
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193) >>> 0
  }
  return value.toString(36)
}
