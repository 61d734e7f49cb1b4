import { createColors } from 'picocolors'
import type { DemoNode } from './site.ts'

const COMMAND_TIMEOUT_MS = 120_000

/** How a command is shown and run. */
interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  /** The command line as it is shown, where the real one would distract (a token). */
  readonly shown?: string
  /** `false`: its output is not shown. */
  readonly output?: boolean
}

/** Tells the story: chapters, the commands as a reader would type them, what they print. */
export class Narrator {
  readonly #write: (text: string) => void
  readonly #colors: ReturnType<typeof createColors>
  readonly #startMs = performance.now()
  #chapters = 0

  constructor(write: (text: string) => void, options: { readonly hasColors: boolean }) {
    this.#write = write
    this.#colors = createColors(options.hasColors)
  }

  /** Seconds since the story began. */
  get seconds(): number {
    return (performance.now() - this.#startMs) / 1000
  }

  chapter(title: string): void {
    this.#chapters += 1
    const time = this.#colors.dim(`(${this.seconds.toFixed(0)} s)`)
    this.#write(`\n${this.#colors.bold(`${this.#chapters}. ${title}`)} ${time}\n`)
  }

  say(text: string): void {
    for (const line of text.trimEnd().split('\n')) this.#write(`${`   ${line}`.trimEnd()}\n`)
  }

  /** What went as it should. */
  good(text: string): void {
    this.say(this.#colors.green(text))
  }

  bad(text: string): void {
    this.say(this.#colors.red(text))
  }

  /** Shows `h1$ swarmctl …`, runs it and shows what it printed. Throws when it fails. */
  async swarmctl(node: DemoNode, args: readonly string[], options: RunOptions = {}): Promise<void> {
    this.#command(node, options.shown ?? `swarmctl ${args.join(' ')}`)
    const { stdout } = await node.swarmctl(args, {
      timeoutMs: COMMAND_TIMEOUT_MS,
      // A host's own working directory is not this one, and `-c examples/…` is meant from here.
      cwd: process.cwd(),
      env: options.env ?? {},
    })
    if (options.output !== false && stdout.trim() !== '') this.say(stdout)
  }

  /** The same with the docker CLI on the node's own Engine. */
  async docker(node: DemoNode, args: readonly string[], options: RunOptions = {}): Promise<void> {
    this.#command(node, options.shown ?? `docker ${args.join(' ')}`)
    const { stdout } = await node.docker(args, { timeoutMs: COMMAND_TIMEOUT_MS })
    if (options.output !== false && stdout.trim() !== '') this.say(stdout)
  }

  #command(node: DemoNode, line: string): void {
    this.say(`${this.#colors.dim(`${node.name}$`)} ${this.#colors.cyan(line)}`)
  }
}
