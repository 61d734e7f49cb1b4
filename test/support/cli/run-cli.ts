/** Runs one `swarmctl` command line in this process and keeps what it printed. */
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import type { CliDeps } from '../../../src/cli/main.ts'
import { main } from '../../../src/cli/main.ts'

export interface Ran {
  code: number
  out: string
  err: string
}

export interface RunOptions {
  env?: NodeJS.ProcessEnv
  stdin?: string
  columns?: number
  signal?: AbortSignal
  nowMs?: () => number
  sleep?: (ms: number) => Promise<void>
  launcher?: CliDeps['launcher']
  runDaemon?: CliDeps['runDaemon']
  isTerminal?: boolean
  /** What `exec` and `cp` write to standard output. */
  onBytes?: (chunk: Uint8Array) => void
  /** Whether the terminal was made raw, and back. */
  onRaw?: (isRaw: boolean) => void
  /** Gets what tells the command that the terminal's size changed. */
  onResize?: (tell: () => void) => void
}

const later = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

export const runCli = async (args: readonly string[], options: RunOptions = {}): Promise<Ran> => {
  const ran: Ran = { code: 0, out: '', err: '' }
  ran.code = await main(args, {
    env: options.env ?? {},
    signal: options.signal ?? new AbortController().signal,
    nowMs: options.nowMs ?? Date.now,
    sleep: options.sleep ?? later,
    terminal: {
      input: () => Readable.from([Buffer.from(options.stdin ?? '')]),
      inputIsTerminal: options.isTerminal === true,
      outputIsTerminal: options.isTerminal === true,
      setRaw: (isRaw) => options.onRaw?.(isRaw),
      size: () => (options.isTerminal ? [24, 80] : undefined),
      onResize(tell) {
        options.onResize?.(tell)
        return () => {}
      },
      async write(stream, chunk) {
        if (stream === 'stdout') options.onBytes?.(chunk)
        ran[stream === 'stdout' ? 'out' : 'err'] += Buffer.from(chunk).toString('utf8')
      },
    },
    readStdin: async () => Buffer.from(options.stdin ?? ''),
    readSecret: async () => ((options.stdin ?? '').split('\n', 1)[0] as string).trim(),
    randomBytes,
    version: '1.2.3',
    launcher: options.launcher ?? {
      start: () => Promise.reject(new Error('this test starts no daemon')),
    },
    runDaemon: options.runDaemon ?? (() => Promise.resolve()),
    output: {
      write(text) {
        ran.out += text
      },
      writeError(text) {
        ran.err += text
      },
      columns: options.columns,
      isTerminal: false,
    },
  })
  return ran
}
