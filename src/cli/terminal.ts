import { spawnSync } from 'node:child_process'
import type { Readable } from 'node:stream'

/** The streams of the process for commands that carry bytes through: `exec` and `cp`. */
export interface Terminal {
  /** Standard input; taken up only by who reads it. */
  input(): Readable
  inputIsTerminal: boolean
  outputIsTerminal: boolean
  /** Every key goes to the reader as it is, Ctrl-C too. */
  setRaw(isRaw: boolean): void
  /** Lines and columns; undefined when output is no terminal. */
  size(): [height: number, width: number] | undefined
  /** Calls `run` when the size changes, until the returned function is called. */
  onResize(run: () => void): () => void
  /** Resolves when more may be written. */
  write(stream: 'stdout' | 'stderr', chunk: Uint8Array): Promise<void>
}

/** Changes the terminal that is standard input; where there is no `stty` nothing is changed. */
const stty = (setting: string): void => {
  spawnSync('stty', [setting], { stdio: ['inherit', 'ignore', 'ignore'] })
}

/**
 * Node's raw mode still makes `\r\n` of each `\n` that is written, which moves the cursor of a program that draws by itself. At the
 * process's end Node gives the terminal back as it was.
 */
const setTerminalRaw = (isRaw: boolean): void => {
  if (!process.stdin.isTTY) return
  process.stdin.setRawMode(isRaw)
  stty(isRaw ? '-opost' : 'opost')
}

/** The process's own. */
export const processTerminal = (): Terminal => ({
  input: () => process.stdin,
  inputIsTerminal: process.stdin.isTTY === true,
  outputIsTerminal: process.stdout.isTTY === true,
  setRaw: setTerminalRaw,
  size() {
    const { rows, columns, isTTY } = process.stdout
    return isTTY && rows > 0 && columns > 0 ? [rows, columns] : undefined
  },
  onResize(run) {
    process.stdout.on('resize', run)
    return () => void process.stdout.off('resize', run)
  },
  write(stream, chunk) {
    const target = process[stream]
    if (target.write(chunk)) return Promise.resolve()
    return new Promise((resolve) => target.once('drain', resolve))
  },
})
