import { SwarmctlError } from '../../api/errors.ts'
import { Client } from '../client.ts'
import type { CliContext } from '../context.ts'
import { daemonArguments } from '../daemon/flags.ts'
import type { DaemonLauncher } from '../daemon/launcher.ts'

/** How long a started daemon gets until its socket answers, and how often that is asked. */
const START_LIMIT_MS = 30_000
const START_POLL_MS = 100

/** The client of the daemon on this machine, which is started when none answers. */
export const ensureDaemon = async (
  context: CliContext,
  launcher: DaemonLauncher,
  options: Record<string, unknown>,
): Promise<Client> => {
  const runDir = String(options.runDir)
  const socket = options.socket === undefined ? undefined : `unix://${options.socket}`
  const client = socket ? new Client(socket) : context.client
  if (await client.isAlive()) return client
  const { description } = await launcher.start(daemonArguments(options), runDir)
  context.output.writeError(`Started the swarmctl daemon (${description})\n`)
  for (let waitedMs = 0; waitedMs < START_LIMIT_MS; waitedMs += START_POLL_MS) {
    if (await client.isAlive()) return client
    await context.sleep(START_POLL_MS)
  }
  throw new SwarmctlError(
    'UNAVAILABLE',
    `the daemon was started but does not answer at ${client.host} after ${START_LIMIT_MS / 1000} s: see ${description}`,
  )
}
