import type { Command } from 'commander'
import { SwarmctlError, toSwarmctlError } from '../api/errors.ts'
import type { CliContext, Runner } from './context.ts'
import { ExitStatus } from './exit-status.ts'
import { compileFormat } from './format/compile-format.ts'

/** What `/version` answers, as far as it is shown. */
interface ServerVersion {
  Version: string
  ApiVersion: string
  MinAPIVersion?: string
  Os?: string
  Arch?: string
  Components?: { Name: string; Version?: string }[] | null
}

const clientVersion = (version: string) => ({
  Version: version,
  NodeVersion: process.version,
  Os: process.platform,
  Arch: process.arch,
})

const serverLines = (server: ServerVersion): string[] => [
  '',
  'Daemon:',
  ` API version:   ${server.ApiVersion}${server.MinAPIVersion ? ` (minimum version ${server.MinAPIVersion})` : ''}`,
  ...(server.Components ?? []).map(({ Name, Version = '' }) =>
    ` ${`${Name}:`.padEnd(14)} ${Version}`.trimEnd(),
  ),
]

const show = async (
  { client, output }: CliContext,
  version: string,
  { format }: { format?: string },
): Promise<void> => {
  const own = clientVersion(version)
  const server = await client.call<ServerVersion>({ path: '/version' }).catch(toSwarmctlError)
  const isThere = !(server instanceof SwarmctlError)
  const found = { Client: own, Server: isThere ? server : null }
  if (format === 'json') output.write(`${JSON.stringify(found)}\n`)
  else if (format !== undefined) output.write(`${compileFormat(format)(found)}\n`)
  else {
    const lines = [
      'swarmctl:',
      ` Version:       ${own.Version}`,
      ` Node.js:       ${own.NodeVersion}`,
      ` OS/Arch:       ${own.Os}/${own.Arch}`,
      ...(isThere ? serverLines(server) : []),
    ]
    output.write(`${lines.join('\n')}\n`)
  }
  if (isThere) return
  output.writeError(`swarmctl: ${server.message}\n`)
  throw new ExitStatus(1)
}

/** `swarmctl version`: of this executable, and of the daemon and Engine that it talks to. */
export const versionVerb = (program: Command, run: Runner, version: string): void => {
  program
    .command('version')
    .description('Show the version of swarmctl, of the daemon and of its Engine')
    .option('-f, --format <format>', 'json, or a template')
    .addHelpText('after', "\nExample:\n  swarmctl version --format '{{.Client.Version}}'\n")
    .action(run((context, options: { format?: string }) => show(context, version, options)))
}
