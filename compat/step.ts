/** One command of the comparison, run on both clusters. */
export interface Step {
  /**
   * What follows `docker`, as one would type it. `{manager}`, `{worker}`: host names; `{managerIp}`, `{workerIp}`; `{dir}`: the folder of the
   * run's files on that side; `{token:worker}`, `{token:manager}`; `{name:…}`: see `remember`.
   */
  readonly run: string
  /** On which host; default the manager. */
  readonly on?: 'worker'
  readonly input?: string
  /** Services to be whole, on both sides, before the command: `web` or `web:2` for that many running tasks. */
  readonly when?: readonly string[]
  /** Text that `docker ARGS` prints on each side, for later steps: `[name, args]`, asked before the command. */
  readonly remember?: readonly [name: string, args: string]
  /** Prints lines whose order is chance. */
  readonly anyOrder?: true
  /** Its output goes on for ever: it is ended after this time, which is no failure. */
  readonly endAfterMs?: number
  /** Only the exit code is compared: what it prints is chance. */
  readonly codeOnly?: true
  /** Repeated on both sides until both end alike with this exit code: for what takes effect in its own time. */
  readonly until?: number
  /** Repeated until it prints exactly this. */
  readonly untilPrints?: string
}

/** A sequence of steps about one noun; it leaves both clusters as it found them. */
export interface Chapter {
  readonly name: string
  readonly steps: readonly Step[]
  /** Which node a task is on is chance. */
  readonly anyNode?: true
  /** Files in `{dir}`. */
  readonly files?: Readonly<Record<string, string>>
}
