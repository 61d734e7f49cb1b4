/** A difference that stays. `docs/compatibility.md` explains each under its id. */
export interface KnownDifference {
  readonly id: string
  /** Of `docker` ARGS. */
  readonly command: RegExp
  /** Every differing line has to match one of them, its sign included; `exit` stands for the exit code. */
  readonly lines: readonly RegExp[]
}

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = []
