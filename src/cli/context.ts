import type { Command } from 'commander'
import { Client, DEFAULT_HOST } from './client.ts'
import type { Output } from './output.ts'
import type { Terminal } from './terminal.ts'

/** What the process gives to the CLI. */
export interface CliHost {
  output: Output
  /** For commands that carry bytes through. */
  terminal: Terminal
  env: NodeJS.ProcessEnv
  /** Aborted by Ctrl-C: a watching command detaches. */
  signal: AbortSignal
  /** Milliseconds since the epoch; never goes back. */
  nowMs(): number
  /** Rejects when the signal aborts. */
  sleep(ms: number): Promise<void>
  readStdin(): Promise<Buffer>
  /** One line that must not be seen: asked for on a terminal without echo, else the first line of standard input. */
  readSecret(prompt: string): Promise<string>
  /** Cryptographically random. */
  randomBytes(length: number): Uint8Array
}

/** What a command gets besides its own flags. */
export interface CliContext extends CliHost {
  client: Client
  /** What `--host` or SWARMCTL_HOST says, where one does. */
  namedHost: string | undefined
}

/** The context of a command, from the host and the global flags. */
export const contextOf = (host: CliHost, command: Command): CliContext => {
  let root = command
  while (root.parent) root = root.parent
  // The root's own flag: `service create --host` is another one.
  const { host: flag } = root.opts<{ host?: string }>()
  const namedHost = flag ?? host.env.SWARMCTL_HOST
  return { ...host, namedHost, client: new Client(namedHost ?? DEFAULT_HOST) }
}

/** Wraps a verb's action so that it gets its context. `Args` are commander's: arguments first, then options. */
export type Runner = <Args extends unknown[]>(
  action: (context: CliContext, ...args: Args) => Promise<void>,
) => (...args: Args) => Promise<void>
