import { resolve } from 'node:path'
import { SwarmctlError } from '../../api/errors.ts'
import { Client, parseHost } from '../client.ts'
import type { CliContext } from '../context.ts'
import { daemonArguments } from '../daemon/flags.ts'
import type { DaemonLauncher } from '../daemon/launcher.ts'

/** How long a started daemon gets until its socket answers, and how often that is asked. */
const START_LIMIT_MS = 30_000
const START_POLL_MS = 100

/** Where the daemon is: `--socket` says it of the one to start, the host of whichever there is, else it is the run directory's. */
const daemonHost = ({ namedHost }: CliContext, options: Record<string, unknown>): string => {
  const { socket, runDir } = options
  if (socket === undefined && namedHost !== undefined) return namedHost
  const path = String(socket ?? `${runDir}/docker.sock`).replace(/^unix:\/\//, '')
  return `unix://${resolve(path)}`
}

/** The path at which a daemon is started so that it answers at `host`. */
const socketToServe = (host: string): string => {
  const target = parseHost(host)
  if ('socketPath' in target) return target.socketPath
  throw new SwarmctlError(
    'UNAVAILABLE',
    `no swarmctl daemon answers at ${host}, and none can be started there from here: run "swarmctl daemon" on that machine, or leave out --host and SWARMCTL_HOST to mean this one`,
  )
}

/** An empty name stays one, for the daemon to refuse. */
const absolute = (path: unknown): string => (path === '' ? '' : resolve(String(path)))

/** The client of the daemon at the host that is meant, which is started when none answers at a socket of this machine. */
export const ensureDaemon = async (
  context: CliContext,
  launcher: DaemonLauncher,
  options: Record<string, unknown>,
): Promise<Client> => {
  const client = new Client(daemonHost(context, options))
  // What is no host at all shall not pass for one that does not answer.
  parseHost(client.host)
  if (await client.isAlive(context.signal)) return client
  const socket = socketToServe(client.host)
  // Absolute: systemd starts it elsewhere.
  const [dataDir, runDir] = [absolute(options.dataDir), absolute(options.runDir)]
  const args = daemonArguments({ ...options, dataDir, runDir, socket })
  const launched = await launcher.start(args, runDir)
  const { description } = launched
  context.output.writeError(`Started the swarmctl daemon (${description})\n`)
  for (let waitedMs = 0; waitedMs < START_LIMIT_MS; waitedMs += START_POLL_MS) {
    if (await client.isAlive(context.signal)) return client
    if (await launched.hasEnded()) {
      throw new SwarmctlError(
        'UNAVAILABLE',
        `the daemon ended right after its start: see ${description}`,
      )
    }
    await context.sleep(START_POLL_MS)
  }
  throw new SwarmctlError(
    'UNAVAILABLE',
    `the daemon was started but does not answer at ${client.host} after ${START_LIMIT_MS / 1000} s: see ${description}`,
  )
}
