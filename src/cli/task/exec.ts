import type { IncomingMessage } from 'node:http'
import type { Readable, Writable } from 'node:stream'
import type { Command } from 'commander'
import type { ExecConfig } from '../../api/container-call.ts'
import { SwarmctlError } from '../../api/errors.ts'
import { collect } from '../arguments.ts'
import type { CliContext, Runner } from '../context.ts'
import { ExitStatus } from '../exit-status.ts'
import { environmentFiles, withEnvironment } from '../service/environment.ts'
import { logFrames } from '../service/log-reader.ts'
import { runningTask } from '../task-target.ts'

interface ExecOptions {
  detach?: boolean
  detachKeys?: string
  env?: string[]
  envFile?: string[]
  interactive?: boolean
  privileged?: boolean
  tty?: boolean
  user?: string
  workdir?: string
}

const execConfig = async (
  context: CliContext,
  words: string[],
  options: ExecOptions,
): Promise<ExecConfig> => {
  const size = options.tty ? context.terminal.size() : undefined
  const env = [
    ...(await environmentFiles(context, options.envFile ?? [])),
    ...withEnvironment(options.env ?? [], context.env),
  ]
  return {
    Cmd: words,
    Tty: options.tty === true,
    AttachStdin: options.interactive === true && !options.detach,
    AttachStdout: !options.detach,
    AttachStderr: !options.detach,
    ...(env.length > 0 && { Env: env }),
    ...(options.user !== undefined && { User: options.user }),
    ...(options.workdir !== undefined && { WorkingDir: options.workdir }),
    ...(options.privileged && { Privileged: true }),
    ...(options.detachKeys !== undefined && { DetachKeys: options.detachKeys }),
    ...(size && { ConsoleSize: size }),
  }
}

/** Standard input goes to the command until it ends. With a terminal that end is not told: the Engine would let go of the command. */
const feed = (input: Readable, target: Writable, isTty: boolean): void => {
  input.on('error', () => target.end())
  input.pipe(target, { end: !isTty })
}

/** The node, its Engine or the way there went away; the command may go on. */
const lost = (cause: unknown): SwarmctlError =>
  new SwarmctlError('UNAVAILABLE', 'the connection to the task was lost', { cause })

const print = async (
  { terminal }: CliContext,
  answer: IncomingMessage,
  isTerminal: boolean,
): Promise<void> => {
  if (isTerminal) {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      await terminal.write('stdout', chunk)
    }
    return
  }
  for await (const { stream, line } of logFrames(answer)) {
    await terminal.write(stream === 'stderr' ? 'stderr' : 'stdout', line)
  }
}

/** Keeps the command's terminal as large as ours; what can't be told now is told with the next change. */
const followSize = ({ client, terminal }: CliContext, path: string): (() => void) => {
  const tell = () => {
    const size = terminal.size()
    if (!size) return
    client
      .call({ method: 'POST', path: `${path}/resize`, query: { h: size[0], w: size[1] } })
      .catch(() => {})
  }
  tell()
  return terminal.onResize(tell)
}

/** Runs what was created until it ends, with our streams as its own. */
const attach = async (context: CliContext, path: string, options: ExecOptions): Promise<void> => {
  const { client, terminal, signal } = context
  const isTty = options.tty === true
  const size = isTty ? terminal.size() : undefined
  const call = {
    method: 'POST',
    path: `${path}/start`,
    query: { tty: isTty, ...(size && { h: size[0], w: size[1] }) },
    signal,
  } as const
  const { input, answer } = options.interactive
    ? await client.exchange(call)
    : { input: undefined, answer: await client.open(call) }
  const isRaw = isTty && options.interactive === true
  if (isRaw) terminal.setRaw(true)
  const stopSize = isTty ? followSize(context, path) : () => {}
  const source = input && terminal.input()
  if (source) feed(source, input, isTty)
  try {
    await print(context, answer, isTty).catch((error) => {
      throw signal.aborted ? error : lost(error)
    })
  } finally {
    stopSize()
    if (isRaw) terminal.setRaw(false)
    // What is still typed is for nobody, and an open input would keep this process.
    source?.destroy()
    input?.destroy()
  }
}

const exec = async (
  context: CliContext,
  ref: string,
  words: string[],
  options: ExecOptions,
): Promise<void> => {
  if (options.tty && options.interactive && !context.terminal.inputIsTerminal) {
    throw new SwarmctlError(
      'INVALID_ARGUMENT',
      'the input device is not a TTY: leave -t out to send a file or a pipe',
    )
  }
  const task = await runningTask(context, ref)
  const base = `/tasks/${task.ID}/exec`
  const { Id } = await context.client.call<{ Id: string }>({
    method: 'POST',
    path: base,
    body: await execConfig(context, words, options),
    signal: context.signal,
  })
  const path = `${base}/${Id}`
  if (options.detach) {
    await context.client.call({ method: 'POST', path: `${path}/start`, query: { detach: true } })
    return
  }
  await attach(context, path, options)
  const { ExitCode } = await context.client.call<{ ExitCode: number | null }>({
    path: `${path}/json`,
  })
  // The detach keys, or an Engine that let go of it.
  if (ExitCode === null) context.output.writeError(`Detached: the command goes on in ${ref}\n`)
  if (ExitCode) throw new ExitStatus(ExitCode)
}

/** `swarmctl exec`: a command in a task's container, on whichever node that is. */
export const execVerb = (program: Command, run: Runner): void => {
  program
    .command('exec')
    .description(
      'Run a command in a running task, on any node; exits with the exit code of the command',
    )
    .argument(
      '<service|task>',
      'A service (its first running task), a task such as web.2, or an id',
    )
    .argument('<command...>', 'The command and its arguments')
    .option('-d, --detach', 'Run it in the background')
    .option('--detach-keys <keys>', 'Keys that leave it running (default: ctrl-p,ctrl-q)')
    .option('-e, --env <key=value>', 'Environment variable (several times)', collect)
    .option('--env-file <file>', 'File of environment variables (several times)', collect)
    .option('-i, --interactive', 'Send standard input to it')
    .option('--privileged', 'With all privileges')
    .option('-t, --tty', 'Give it a terminal')
    .option('-u, --user <user>', 'User, or user:group')
    .option('-w, --workdir <path>', 'Working directory')
    .passThroughOptions()
    .addHelpText('after', '\nExample:\n  swarmctl exec -it web.2 sh\n')
    .action(
      run((context, ref: string, words: string[], options: ExecOptions) =>
        exec(context, ref, words, options),
      ),
    )
}
