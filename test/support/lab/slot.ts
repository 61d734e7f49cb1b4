/** Takes, frees and sweeps the numbers that keep labs apart on one machine. */
import assert from 'node:assert'
import { linkSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { LABS_ROOT, ownerFile, SLOTS_MAX, type Slot } from './names.ts'
import { identify, isAlive, type ProcessIdentity } from './process-table.ts'
import { removeRemains } from './remains.ts'

/** Takes the first free slot, after removing what dead labs left. Throws when all are taken. */
export function takeSlot(): Slot {
  sweepSlots()
  const identity = identify(process.pid)
  assert(identity !== undefined, 'this process is alive')
  const draft = `${LABS_ROOT}/swl-draft-${process.pid}`
  writeFileSync(draft, JSON.stringify(identity))
  try {
    for (let slot = 1; slot <= SLOTS_MAX; slot += 1) {
      // A link appears whole or not at all, so nobody ever reads a half-written owner.
      if (succeeds(() => linkSync(draft, ownerFile(slot)))) {
        removeRemains(slot)
        return slot
      }
    }
  } finally {
    rmSync(draft, { force: true })
  }
  throw new Error(`all ${SLOTS_MAX} lab slots are taken: see ${LABS_ROOT}/swl-*.owner`)
}

/** Gives a slot back once nothing of its lab is left. */
export function freeSlot(slot: Slot): void {
  rmSync(ownerFile(slot), { force: true })
}

/** Removes everything of the labs whose creator no longer runs; returns their slots. */
export function sweepSlots(): Slot[] {
  const swept: Slot[] = []
  for (const name of readdirSync(LABS_ROOT)) {
    const slot = /^swl-(\d+)\.owner$/.exec(name)?.[1]
    if (slot !== undefined && sweepSlot(Number(slot))) swept.push(Number(slot))
  }
  return swept
}

function sweepSlot(slot: Slot): boolean {
  const path = ownerFile(slot)
  if (ownerIsAlive(path)) return false
  const claimed = `${path}.sweep-${process.pid}`
  // Of several sweepers only one gets the file.
  if (!succeeds(() => renameSync(path, claimed))) return false
  if (ownerIsAlive(claimed)) {
    // Another sweeper was quicker and a new lab has the slot: give it back what was just taken.
    succeeds(() => linkSync(claimed, path))
    rmSync(claimed, { force: true })
    return false
  }
  removeRemains(slot)
  rmSync(claimed, { force: true })
  return true
}

function ownerIsAlive(path: string): boolean {
  try {
    return isAlive(JSON.parse(readFileSync(path, 'utf8')) as ProcessIdentity)
  } catch (error) {
    // Gone meanwhile: somebody else deals with it.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true
    process.stderr.write(`${basename(path)} is not readable as an owner: sweeping its lab\n`)
    return false
  }
}

function succeeds(action: () => void): boolean {
  try {
    action()
    return true
  } catch {
    return false
  }
}
