import type { ReadStream } from 'node:tty'

const CTRL_C = '\u0003'
const CTRL_D = '\u0004'
const BACKSPACE = '\u007f'

/** Asks for one line on a terminal and shows nothing of it. Ctrl-C is the signal that it would be otherwise; rejects when `signal` aborts. */
export const askSecret = (
  input: ReadStream,
  output: { write(text: string): unknown },
  prompt: string,
  signal: AbortSignal,
): Promise<string> => {
  // 'abort' is told once: a Ctrl-C of before would be missed.
  if (signal.aborted) return Promise.reject(signal.reason)
  output.write(prompt)
  input.setRawMode(true)
  input.setEncoding('utf8')
  input.resume()
  return new Promise((resolve, reject) => {
    let line = ''
    const finish = () => {
      input.off('data', onData)
      signal.removeEventListener('abort', onAbort)
      input.setRawMode(false)
      input.pause()
      output.write('\n')
    }
    const onAbort = () => {
      finish()
      reject(signal.reason)
    }
    const onData = (text: string) => {
      for (const character of text) {
        if (character === '\r' || character === '\n' || character === CTRL_D) {
          finish()
          resolve(line.trim())
          return
        }
        if (character === CTRL_C) {
          process.kill(process.pid, 'SIGINT')
          return
        }
        line = character === BACKSPACE ? line.slice(0, -1) : line + character
      }
    }
    input.on('data', onData)
    signal.addEventListener('abort', onAbort)
  })
}
