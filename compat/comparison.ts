import { setTimeout as sleep } from 'node:timers/promises'
import { commandOf, flagsOf, wordsOf } from './command-line.ts'
import type { KnownDifference } from './known-differences.ts'
import { differenceOf, shapeOf } from './shape.ts'
import type { Outcome, Side } from './side.ts'
import type { Chapter, Step } from './step.ts'

/** Most time until both sides end as a step's `until` says, and between attempts. */
const UNTIL_TIMEOUT_MS = 60_000
const UNTIL_EVERY_MS = 500

/** A step on which the sides differ. */
export interface Difference {
  readonly chapter: string
  readonly step: Step
  /** Lines of one side only: `-` Swarm's, `+` swarmctl's. */
  readonly lines: readonly string[]
  /** `unexplained`; `open`: known and still to be mended; `allowed`: docs/compatibility.md says why. */
  readonly verdict: 'unexplained' | 'open' | 'allowed'
}

/** What a comparison found. */
export interface Report {
  readonly steps: number
  readonly differences: readonly Difference[]
  /** `service create --x`: flags of the CLI that no step used. */
  readonly unused: readonly string[]
}

/** What the CLI under test has: commands with their flags. */
export type CliFlags = ReadonlyMap<string, readonly string[]>

const linesOf = (chapter: Chapter, step: Step, side: Side, outcome: Outcome): string[] => {
  if (step.codeOnly) return [`exit ${outcome.code}`]
  const replacements = side.replacements(chapter.anyNode === true)
  const shape = [
    `exit ${outcome.code}`,
    ...shapeOf(outcome.stdout, replacements).map((line) => `out ${line}`),
    ...shapeOf(outcome.stderr, replacements).map((line) => `err ${line}`),
  ]
  return step.anyOrder ? [...new Set(shape)].sort() : shape
}

const isDone = (step: Step, { code, stdout }: Outcome): boolean =>
  (step.until === undefined || code === step.until) &&
  (step.untilPrints === undefined || stdout.trim() === step.untilPrints)

const runUntil = async (side: Side, step: Step): Promise<Outcome> => {
  const deadlineMs = performance.now() + UNTIL_TIMEOUT_MS
  for (;;) {
    const outcome = await side.run(step)
    if (isDone(step, outcome)) return outcome
    if (performance.now() > deadlineMs) return outcome
    await sleep(UNTIL_EVERY_MS)
  }
}

/** An error of ours may go on after Docker's words, to say what to do. */
const withoutLonger = (lines: readonly string[]): string[] => {
  const longer = lines.filter((line) => line.startsWith('+ err '))
  const shorter = lines.filter((line) => line.startsWith('- err '))
  const pairs = shorter.flatMap((line) => {
    const own = longer.find((one) => one.slice(2).startsWith(line.slice(2)))
    return own === undefined ? [] : [line, own]
  })
  return lines.filter((line) => !pairs.includes(line))
}

/** What explains every line; several may do it together. */
const explained = (
  known: readonly KnownDifference[],
  run: string,
  lines: readonly string[],
): KnownDifference[] | undefined => {
  const candidates = known.filter(({ command }) => command.test(run))
  const used = new Set<KnownDifference>()
  for (const line of lines) {
    const one = candidates.find((candidate) => candidate.lines.some((re) => re.test(line)))
    if (one === undefined) return undefined
    used.add(one)
  }
  return [...used]
}

/** Runs chapters on both sides and says where they differ. A step with a flag that the CLI does not have is left out. */
export class Comparison {
  readonly #swarm: Side
  readonly #ours: Side
  readonly #flags: CliFlags
  readonly #known: readonly KnownDifference[]
  readonly #say: (line: string) => void
  readonly #used = new Set<string>()
  readonly #differences: Difference[] = []
  #steps = 0

  constructor(
    sides: { swarm: Side; ours: Side },
    flags: CliFlags,
    known: readonly KnownDifference[],
    say: (line: string) => void,
  ) {
    this.#swarm = sides.swarm
    this.#ours = sides.ours
    this.#flags = flags
    this.#known = known
    this.#say = say
  }

  async chapter(chapter: Chapter): Promise<void> {
    this.#say(`== ${chapter.name}`)
    for (const side of [this.#swarm, this.#ours]) side.write(chapter.files ?? {})
    for (const step of chapter.steps) {
      const words = wordsOf(step.run)
      const has = this.#flags.get(commandOf(words))
      const flags = flagsOf(words)
      if (has !== undefined && !flags.every((flag) => has.includes(flag))) continue
      for (const flag of flags) this.#used.add(`${commandOf(words)} ${flag}`)
      this.#used.add(commandOf(words))
      await this.#step(chapter, step)
    }
  }

  report(): Report {
    const all = [...this.#flags].flatMap(([command, flags]) => [
      command,
      ...flags.map((flag) => `${command} ${flag}`),
    ])
    const unused = all.filter((one) => !this.#used.has(one) && !one.endsWith(' --help'))
    return { steps: this.#steps, differences: this.#differences, unused }
  }

  async #step(chapter: Chapter, step: Step): Promise<void> {
    this.#steps += 1
    const [swarm, ours] = await Promise.all([
      runUntil(this.#swarm, step),
      runUntil(this.#ours, step),
    ])
    const lines = differenceOf(
      linesOf(chapter, step, this.#swarm, swarm),
      linesOf(chapter, step, this.#ours, ours),
    )
    if (lines.length === 0) return
    const unexplained = withoutLonger(lines)
    if (unexplained.length === 0) return
    const known = explained(this.#known, step.run, unexplained)
    const isOpen = known?.some(({ kind }) => kind === 'open')
    const verdict = known === undefined ? 'unexplained' : isOpen ? 'open' : 'allowed'
    this.#differences.push({ chapter: chapter.name, step, lines: unexplained, verdict })
    const ids =
      known === undefined ? '' : ` (${[...new Set(known.map(({ id }) => id))].join(', ')})`
    this.#say(`${verdict}${ids}: docker ${step.run}${step.on ? `  (on the ${step.on})` : ''}`)
    if (verdict !== 'unexplained') return
    for (const line of unexplained) this.#say(`    ${line}`)
  }
}
