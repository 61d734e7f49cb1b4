// A crash at any write of the log, with what the write left of itself on the disk: what comes back is what was given, in its order.

import fc from 'fast-check'
import t from 'tap'
import { createEntry } from '../../src/raft/entry.ts'
import { FileWal } from '../../src/raft/wal.ts'
import type { WalFiles } from '../../src/raft/wal-files.ts'
import { systemClock } from '../support/raft/system-clock.ts'

const SECTOR = 512
const dataKey = new Uint8Array(32).fill(3)

/** A disk in memory that ends with a write: of that one only some sectors get there, and nothing after it. */
class CrashingFiles implements WalFiles {
  readonly files = new Map<string, Buffer>()
  readonly #writesMax: number
  readonly #torn: number
  #writes = 0
  onCrash: () => void = () => {}

  constructor(writesMax: number, torn: number, files: ReadonlyMap<string, Buffer> = new Map()) {
    this.#writesMax = writesMax
    this.#torn = torn
    for (const [name, bytes] of files) this.files.set(name, Buffer.from(bytes))
  }

  list = async () => [...this.files.keys()]
  read = async (name: string) => Buffer.from(this.#file(name))
  allocate = (name: string, bytes: number) =>
    this.#unlessCrashed(() => void this.files.set(name, Buffer.alloc(bytes)))
  remove = (name: string) => this.#unlessCrashed(() => void this.files.delete(name))
  rename = (from: string, to: string) =>
    this.#unlessCrashed(() => {
      this.files.set(to, this.#file(from))
      this.files.delete(from)
    })

  async open(name: string) {
    const file = this.#file(name)
    const write = async (bytes: Uint8Array, offset: number): Promise<void> => {
      this.#writes += 1
      if (this.#writes < this.#writesMax) file.set(bytes, offset)
      if (this.#writes === this.#writesMax) {
        const sectors = Math.floor((bytes.length / SECTOR) * this.#torn)
        file.set(bytes.subarray(0, sectors * SECTOR), offset)
        this.onCrash()
      }
      if (this.#writes >= this.#writesMax) await new Promise(() => {})
    }
    return { write, close: async () => {} }
  }

  #file(name: string): Buffer {
    const file = this.files.get(name)
    if (file === undefined) throw new Error(`no ${name}`)
    return file
  }

  #unlessCrashed(change: () => void): Promise<void> {
    if (this.#writes >= this.#writesMax) return new Promise(() => {})
    change()
    return Promise.resolve()
  }
}

const openOn = (files: WalFiles) => new FileWal({ files, clock: systemClock, dataKey })

/** What a follower's core may give the disk. */
interface Step {
  /** Entries that are not committed, of which so many are replaced, at most. */
  readonly replaced: number
  readonly added: number
  readonly large: boolean
  /** New entries that are committed, as the leader said in the same message. */
  readonly committed: number
  /** Whether what was given so far is awaited. */
  readonly waits: boolean
}

interface Given {
  /** The terms of the log after it, and where it began to write. */
  readonly log: readonly number[]
  readonly from: number
  readonly term: number
  readonly commit: number
}

function plan(steps: readonly Step[]): Given[] {
  const given: Given[] = [{ log: [], from: 0, term: 0, commit: 0 }]
  for (const { replaced, added, committed } of steps) {
    const { log, term, commit } = given.at(-1) as Given
    const from = Math.max(commit, log.length - replaced)
    const next = from < log.length ? term + 1 : Math.max(term, 1)
    const grown = [...log.slice(0, from), ...Array.from({ length: added }, () => next)]
    given.push({ log: grown, from, term: next, commit: Math.min(grown.length, commit + committed) })
  }
  return given
}

/** Gives all of it to a log, and says of each batch that it was acknowledged. */
async function give(
  wal: FileWal,
  steps: readonly Step[],
  given: readonly Given[],
  onAcknowledged: () => void,
): Promise<void> {
  let last = Promise.resolve()
  for (const [at, { large, waits }] of steps.entries()) {
    const { log, from, term, commit } = given[at + 1] as Given
    const data = new Uint8Array(large ? 400_000 : 10)
    const entries = log
      .slice(from)
      .map((of, index) => createEntry({ index: from + index + 1, term: of }, 'command', data))
    const hardState = { term, vote: null, commit }
    last = wal.append({ hardState, reset: null, entries }).then(onAcknowledged)
    if (waits) await last
  }
  await last
}

const step = fc.record({
  replaced: fc.integer({ min: 0, max: 3 }),
  added: fc.integer({ min: 1, max: 3 }),
  large: fc.boolean(),
  committed: fc.integer({ min: 0, max: 3 }),
  waits: fc.boolean(),
})

t.test('after a crash the log is one that was given, and what it calls committed was', async () => {
  const crash = {
    writes: fc.integer({ min: 3, max: 16 }),
    torn: fc.double({ min: 0, max: 0.99, noNaN: true }),
  }
  const property = fc.asyncProperty(
    fc.array(step, { minLength: 2, maxLength: 10 }),
    crash.writes,
    crash.torn,
    async (steps, writes, torn) => {
      const files = new CrashingFiles(writes, torn)
      const crashed = new Promise<void>((resolve) => {
        files.onCrash = resolve
      })
      const given = plan(steps)
      let acknowledged = 0
      const wal = openOn(files)
      await wal.open()
      const all = give(wal, steps, given, () => {
        acknowledged += 1
      })
      await Promise.race([crashed, all])
      const { entries, hardState } = await openOn(
        new CrashingFiles(Number.POSITIVE_INFINITY, 0, files.files),
      ).open()
      const terms = entries.map((entry) => entry.term)
      const isOf = ({ log, from }: Given, isWhole: boolean) =>
        terms.length >= (isWhole ? log.length : from) && terms.every((term, at) => term === log[at])
      const isGiven = given.some((one, at) => at >= acknowledged && isOf(one, at === acknowledged))
      const truth = (given.at(-1) as Given).log
      const commit = Math.min(hardState.commit, terms.length)
      return isGiven && terms.slice(0, commit).every((term, at) => term === truth[at])
    },
  )
  await fc.assert(property, { numRuns: 60 })
})
