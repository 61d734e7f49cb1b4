// What can go wrong in a run of the raft simulation, and how often.

/** Half the node's default: elections of runs differ, and each seed stays what it was. */
export const TICK_MS = 25
/** Each fault ends by itself within this, so that there is always something to lose. */
export const FAULT_MS = 800

/** How likely each action is when one is chosen; most are 0 in a run, so that runs differ in kind. */
export interface ActionOdds {
  readonly crash: number
  /** Several crash at once, the leader among them, with a quick return: what is not synced is lost. */
  readonly storm: number
  readonly partition: number
  /** The leader is left with at most one peer, and commands: what it appends is overwritten later. */
  readonly lonely: number
  /** The leader isn't told that there is another one. */
  readonly deposed: number
  /** A process ends and begins again and again. */
  readonly flicker: number
  /** Everything sent over some links comes much later. */
  readonly clog: number
  readonly pause: number
  readonly fullDisk: number
  readonly failedSync: number
  readonly slowDisk: number
  readonly membership: number
  readonly transfer: number
}

/** What one run does; drawn from the seed. */
export interface Faults {
  readonly loss: number
  readonly duplication: number
  /** Of the repeated messages, how many come so late that the receiver may live another life. */
  readonly lateness: number
  readonly delayMs: number
  readonly syncMs: number
  /** One member's disk is slower than elections, all the time. */
  readonly slowMember: boolean
  readonly flushDelayMs: number
  /** Reading and writing the stored state. */
  readonly accessMs: number
  readonly viewBytesMax: number
  readonly actMs: number
  readonly clientMs: number
  readonly readShare: number
  readonly odds: ActionOdds
  /** How far a member's clock may be off, as a factor. */
  readonly skew: number
  readonly initialVoters: number
  readonly keepEntriesMax: number
  readonly electionTicks: number
  readonly appendBytesMax: number
  readonly inflightMessagesMax: number
  readonly applyBytesMax: number
}

/** All of the core's ticks that depend on the length of an election. */
export function ticksOf(electionTicks: number) {
  const heartbeatTicks = electionTicks < 10 ? 2 : 4
  return { electionTicks, heartbeatTicks, closedLeaderTicksMax: Math.min(8, electionTicks) }
}

/** Draws what one run does. */
export function drawFaults(random: () => number): Faults {
  const sometimes = (most: number, share = 0.4) => (random() < share ? random() * most : 0)
  const one = <T>(items: readonly [T, ...T[]]): T =>
    items[Math.floor(random() * items.length)] ?? items[0]
  const electionTicks = one([5, 5, 8, 20])
  // An election needs a sync of several nodes: slower than this there would never be a leader.
  const syncMsMax = electionTicks * TICK_MS * 0.4
  // Many leaders in a row, each with entries that few have.
  const churn = random() < 0.4
  return {
    electionTicks,
    ...{ loss: sometimes(0.2), duplication: sometimes(0.5), lateness: sometimes(0.3) },
    delayMs: 1 + random() * (random() < 0.6 ? 5 : 30),
    syncMs: random() * (random() < 0.5 ? 5 : syncMsMax),
    slowMember: random() < (churn ? 0.5 : 0.15),
    flushDelayMs: one([0, 75, 75, 400]),
    accessMs: one([0, 5, 60]),
    viewBytesMax: one([200, 5_000]),
    actMs: churn ? 60 : 25,
    clientMs: one([6, 12, 30]),
    readShare: one([0.1, 0.3, 0.7]),
    odds: {
      crash: sometimes(0.1),
      storm: sometimes(0.05),
      partition: sometimes(0.1),
      lonely: churn ? 0.15 + random() * 0.4 : 0,
      deposed: sometimes(0.2, 0.3),
      flicker: sometimes(0.1, 0.25),
      clog: sometimes(0.1),
      pause: sometimes(0.05),
      fullDisk: sometimes(0.03, 0.2),
      failedSync: sometimes(0.03, 0.2),
      slowDisk: sometimes(0.05),
      membership: sometimes(0.3, 0.5),
      transfer: sometimes(0.08),
    },
    skew: sometimes(0.4),
    initialVoters: one([1, 2, 3, 3, 3, 3, 3, 4, 5, 5]),
    keepEntriesMax: one([1, 5, 200]),
    appendBytesMax: one([1, 100, 1024 * 1024]),
    inflightMessagesMax: one([1, 2, 4, 4]),
    applyBytesMax: one([1, 1024 * 1024]),
  }
}
