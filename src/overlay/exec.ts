import { execFile, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { SwarmctlError } from '../api/errors.ts'

export interface ExecResult {
  /** Exit code; 127 when the program does not exist, 124 when it was ended at the time limit. */
  code: number
  stdout: string
  stderr: string
}

/** Runs programs of the host. The only way by which the overlay changes the kernel besides /proc/sys. */
export interface Exec {
  run(command: string, args: readonly string[], input?: string): Promise<ExecResult>
  /** Runs until stopped; each line of its output is passed on. `onEnd` is called once when it ends by itself. */
  watch(
    command: string,
    args: readonly string[],
    onLine: (line: string) => void,
    onEnd: () => void,
  ): { stop(): void }
}

/** A full table of 5000 services takes a quarter of a second (docs/design/overlay.md). */
const COMMAND_TIMEOUT_MS = 30_000
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024

/** The real one: child processes in the daemon's own network namespace. */
export class ProcessExec implements Exec {
  run(command: string, args: readonly string[], input?: string): Promise<ExecResult> {
    return new Promise((resolve) => {
      const child = execFile(
        command,
        [...args],
        { timeout: COMMAND_TIMEOUT_MS, maxBuffer: OUTPUT_BYTES_MAX },
        (error, stdout, stderr) => {
          const failure = error as (Error & { code?: unknown; killed?: boolean }) | null
          const code = typeof failure?.code === 'number' ? failure.code : 1
          if (failure === null) resolve({ code: 0, stdout, stderr })
          else if (failure.code === 'ENOENT')
            resolve({ code: 127, stdout, stderr: `${command}: not found` })
          else if (failure.killed)
            resolve({ code: 124, stdout, stderr: `no end after ${COMMAND_TIMEOUT_MS} ms` })
          else resolve({ code, stdout, stderr })
        },
      )
      // A program that does not read its input closes the pipe: its exit code tells.
      child.stdin?.on('error', () => {})
      child.stdin?.end(input ?? '')
    })
  }

  watch(
    command: string,
    args: readonly string[],
    onLine: (line: string) => void,
    onEnd: () => void,
  ): { stop(): void } {
    const child = spawn(command, [...args], { stdio: ['ignore', 'pipe', 'ignore'] })
    let isStopped = false
    const ended = () => {
      if (isStopped) return
      isStopped = true
      onEnd()
    }
    child.on('error', ended)
    child.on('exit', ended)
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (!isStopped) onLine(line)
    })
    return {
      stop: () => {
        isStopped = true
        child.kill()
      },
    }
  }
}

/** Runs a program that must succeed and returns what it printed. @throws SwarmctlError INTERNAL with its first line of complaint */
export const mustRun = async (
  exec: Exec,
  command: string,
  args: readonly string[],
  input?: string,
): Promise<string> => {
  const result = await exec.run(command, args, input)
  if (result.code === 0) return result.stdout
  const complaint = result.stderr.trim().split('\n').slice(0, 3).join('; ')
  throw new SwarmctlError(
    'INTERNAL',
    `${command} ${args.join(' ')}: exit code ${result.code}: ${complaint}`,
  )
}
