// What can go wrong in a run of whole managers, and how often; drawn from the seed, so that runs differ in kind.

import { TICK_MS } from '../raft/raft-faults.ts'

export interface ManagerFaults {
  readonly managers: number
  readonly clients: number
  readonly names: number
  readonly thinkMs: number
  /** How long things fail. */
  readonly faultyMs: number
  /** Each fault ends by itself within this, so that there is always something to lose. */
  readonly faultMs: number
  /** Something is tried about this often. Probabilities are for each attempt. */
  readonly actMs: number
  readonly electionTicks: number
  readonly keepEntriesMax: number
  readonly segmentBytes: number
  readonly appendBytesMax: number
  readonly diskMs: number
  readonly delayMs: number
  readonly loss: number
  readonly duplication: number
  readonly ordered: boolean
  readonly reset: number
  readonly partition: number
  /** One direction only, of the partitions. */
  readonly asymmetric: number
  readonly crash: number
  /** All at once. */
  readonly blackout: number
  /** At each call to a disk or the network. */
  readonly killAtCall: number
  /** When the members have just changed: the one that knows it first, or all. */
  readonly killAtChange: number
  readonly pause: number
  readonly ioError: number
  readonly diskFull: number
  readonly rot: number
  /** A disk is lost: the manager is replaced by another. */
  readonly lostDisk: number
  readonly restart: number
  readonly demote: number
  readonly promote: number
  readonly leave: number
  /** Clocks run up to this much faster or slower. */
  readonly skew: number
  /** Clocks are set to another time. */
  readonly clockJump: number
  /** Services beside the objects that are checked: work for the leader's loops. */
  readonly services: boolean
  /** Large objects, so that a snapshot takes several chunks: the bytes of one, or 0. */
  readonly bulkBytes: number
}

/** Draws what one run does. */
export function drawManagerFaults(random: () => number): ManagerFaults {
  const sometimes = (most: number, chance = 0.5) => (random() < chance ? random() * most : 0)
  const pick = <T>(...items: [T, ...T[]]): T =>
    items[Math.floor(random() * items.length)] ?? items[0]
  const electionTicks = pick(5, 8, 20)
  const ordered = random() < 0.4
  const bulkBytes = random() < 0.15 ? 60_000 : 0
  // One frame has to fit a segment, and may hold several objects.
  const segmentKiB = bulkBytes > 0 ? 2_048 : pick(32, 64, 512)
  return {
    ...{ electionTicks, ordered },
    managers: pick(1, 2, 3, 3, 3, 3, 4, 5, 5),
    clients: pick(2, 4, 6),
    names: pick(1, 2, 4),
    thinkMs: pick(5, 50, 200),
    faultyMs: 6_000 + random() * 8_000,
    faultMs: pick(400, 1_000, 2_500),
    actMs: pick(40, 100),
    keepEntriesMax: pick(4, 20, 1_000),
    segmentBytes: segmentKiB * 1024,
    appendBytesMax: pick(1, 4) * 1024,
    // An election needs syncs on several disks: slower than this there would never be a leader.
    diskMs: random() * electionTicks * TICK_MS * 0.1,
    delayMs: 0.5 + random() * pick(2, 10, 30),
    loss: ordered ? 0 : sometimes(0.25),
    duplication: ordered ? 0 : sometimes(0.4),
    reset: sometimes(0.1),
    partition: sometimes(0.06),
    asymmetric: pick(0, 0.5, 1),
    crash: sometimes(0.08),
    blackout: sometimes(0.02),
    killAtCall: sometimes(0.002),
    killAtChange: sometimes(0.3, 0.4),
    pause: sometimes(0.06),
    ioError: sometimes(0.003, 0.3),
    diskFull: sometimes(0.05, 0.4),
    rot: sometimes(0.05, 0.4),
    lostDisk: sometimes(0.02, 0.3),
    restart: sometimes(0.04),
    demote: sometimes(0.05),
    promote: sometimes(0.08),
    leave: sometimes(0.03),
    skew: pick(0, 0.02, 0.2),
    clockJump: sometimes(0.03, 0.3),
    services: random() < 0.4,
    bulkBytes,
  }
}
