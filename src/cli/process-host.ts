import { randomBytes } from 'node:crypto'
import { addAbortSignal } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { askSecret } from './ask-secret.ts'
import type { CliHost } from './context.ts'
import { processTerminal } from './terminal.ts'

/** The CLI's host in a real process: its streams, its environment, Ctrl-C. */
export const createHost = (): CliHost => {
  const controller = new AbortController()
  process.once('SIGINT', () => {
    controller.abort()
    // A second Ctrl-C ends at once what does not listen.
    process.once('SIGINT', () => process.exit(130))
  })
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // `swarmctl … | head` ends the reader first.
    if (error.code === 'EPIPE') process.exit(0)
    process.stderr.write(`swarmctl: standard output can't be written: ${error.message}\n`)
    process.exit(1)
  })
  // Nobody is left to be told.
  process.stderr.on('error', () => process.exit(1))
  return {
    env: process.env,
    signal: controller.signal,
    nowMs: () => performance.timeOrigin + performance.now(),
    sleep: (ms) => delay(ms, undefined, { signal: controller.signal }),
    output: {
      write: (text) => void process.stdout.write(text),
      writeError: (text) => void process.stderr.write(text),
      // A terminal without a size (0 columns) can't be drawn on.
      columns: process.stdout.columns || undefined,
      isTerminal: process.stdout.isTTY === true && process.stdout.columns > 0,
    },
    terminal: processTerminal(),
    readStdin: () => readStdin(controller.signal),
    randomBytes,
    async readSecret(prompt) {
      if (process.stdin.isTTY) {
        return askSecret(process.stdin, process.stderr, prompt, controller.signal)
      }
      return (
        (await readStdin(controller.signal)).toString('utf8').split('\n', 1)[0] as string
      ).trim()
    },
  }
}

/** Rejects when the signal aborts. */
const readStdin = async (signal: AbortSignal): Promise<Buffer> => {
  const chunks: Buffer[] = []
  for await (const chunk of addAbortSignal(signal, process.stdin)) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
