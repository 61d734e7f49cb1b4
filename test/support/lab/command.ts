/** Runs one command to its end and keeps what it printed; the lab's only way to start short programs. */
import { spawn } from 'node:child_process'

/** How a command is run. */
export interface CommandOptions {
  /** Written to standard input, which is then closed. */
  readonly input?: string | Buffer
  /** The command is killed after this time and counts as failed. Default 60 s. */
  readonly timeoutMs?: number
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>
  /** `false`: a non-zero exit is a result, not an error. */
  readonly check?: boolean
  readonly cwd?: string
}

/** What a command left behind. */
export interface CommandResult {
  /** Exit code; 128 + signal number is reported as 128 when a signal ended it. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Thrown when a command exits non-zero (unless `check: false`), cannot be started or takes too long. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly result: CommandResult

  constructor(commandLine: string, reason: string, result: CommandResult) {
    const output = `${result.stdout}${result.stderr}`.trim()
    super(`${commandLine}: ${reason}${output === '' ? '' : `\n${output}`}`)
    this.result = result
  }
}

const TIMEOUT_MS = 60_000
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024
const SIGNALLED_CODE = 128

/** Runs `file` with `args`; throws {@link CommandError} as its options say. */
export async function runCommand(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const commandLine = [file, ...args].join(' ')
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS
  const child = spawn(file, args, {
    env: { ...process.env, ...options.env },
    cwd: options.cwd,
    stdio: 'pipe',
  })
  const stdout = collect(child.stdout)
  const stderr = collect(child.stderr)
  // A command may end without reading its input; the broken pipe is then not our concern.
  child.stdin.on('error', () => {})
  child.stdin.end(options.input ?? '')
  let timedOut = false
  const timer = setTimeout(() => {
    timedOut = true
    child.kill('SIGKILL')
    // A grandchild may hold the pipes open after the child is gone: stop reading.
    child.stdout.destroy()
    child.stderr.destroy()
  }, timeoutMs)
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exitCode) => resolve(exitCode ?? SIGNALLED_CODE))
  }).finally(() => clearTimeout(timer))
  const result = { code, stdout: stdout(), stderr: stderr() }
  if (timedOut) throw new CommandError(commandLine, `no end after ${timeoutMs} ms`, result)
  if (code !== 0 && options.check !== false) {
    throw new CommandError(commandLine, `exit code ${code}`, result)
  }
  return result
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = []
  let bytes = 0
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes <= OUTPUT_BYTES_MAX) chunks.push(chunk)
  })
  return () => Buffer.concat(chunks).toString('utf8')
}
