// What can go wrong in a run of the raft simulation, and how often.

/** The node's default. */
const TICK_MS = 25
/** Each fault ends by itself within this, so that there is always something to lose. */
export const FAULT_MS = 800

/** What one run does; drawn from the seed, so that runs differ in kind and not only in detail. */
export interface Faults {
  readonly loss: number
  readonly duplication: number
  readonly delayMs: number
  readonly syncMs: number
  readonly crash: number
  readonly partition: number
  readonly pause: number
  readonly diskFull: number
  readonly membership: number
  readonly transfer: number
  /** Crashes of several at once, the leader among them, with a quick return: what is not synced is lost. */
  readonly storm: number
  readonly keepEntriesMax: number
  readonly electionTicks: number
}

/** Draws what one run does. */
export function drawFaults(random: () => number): Faults {
  const sometimes = (most: number) => (random() < 0.5 ? 0 : random() * most)
  const electionTicks = [5, 8, 20][Math.floor(random() * 3)] ?? 20
  // An election needs a sync of several nodes: slower than this there would never be a leader.
  const syncMsMax = electionTicks * TICK_MS * 0.4
  return {
    electionTicks,
    syncMs: random() * syncMsMax,
    delayMs: 1 + random() * (random() < 0.5 ? 5 : 30),
    loss: sometimes(0.2),
    duplication: sometimes(0.5),
    crash: sometimes(0.1),
    storm: sometimes(0.05),
    partition: sometimes(0.1),
    pause: sometimes(0.05),
    diskFull: sometimes(0.05),
    membership: sometimes(0.1),
    transfer: sometimes(0.05),
    keepEntriesMax: random() < 0.5 ? 5 : 200,
  }
}
