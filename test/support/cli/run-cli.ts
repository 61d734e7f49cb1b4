/** Runs one `swarmctl` command line in this process and keeps what it printed. */
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
}

const later = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

export const runCli = async (args: readonly string[], options: RunOptions = {}): Promise<Ran> => {
  const ran: Ran = { code: 0, out: '', err: '' }
  ran.code = await main(args, {
    env: options.env ?? {},
    signal: options.signal ?? new AbortController().signal,
    nowMs: options.nowMs ?? Date.now,
    sleep: options.sleep ?? later,
    readStdin: async () => Buffer.from(options.stdin ?? ''),
    readSecret: async () => ((options.stdin ?? '').split('\n', 1)[0] as string).trim(),
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
