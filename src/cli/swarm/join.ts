import { isIP } from 'node:net'
import type { Command } from 'commander'
import type { Runner } from '../context.ts'
import { daemonFlags } from '../daemon/flags.ts'
import type { DaemonLauncher } from '../daemon/launcher.ts'
import { carriedThrough } from './carried-through.ts'
import { ensureDaemon } from './ensure-daemon.ts'
import { availabilityFlag, type NodeAddresses, withNodeAddresses } from './node-flags.ts'

interface JoinOptions extends NodeAddresses {
  token: string
  availability: string
}

/** The cluster port when an address names none. */
const DEFAULT_PORT = 2377

const withPort = (addr: string): string => {
  if (isIP(addr) === 6) return `[${addr}]:${DEFAULT_PORT}`
  return /:\d+$/.test(addr) ? addr : `${addr.replace(/:$/, '')}:${DEFAULT_PORT}`
}

/** `swarmctl join`: makes this machine a worker or a manager, as its token says. */
export const joinVerb = (parent: Command, run: Runner, launcher: DaemonLauncher): void => {
  const command = parent
    .command('join')
    .description('Join a swarm as a worker or manager, as the token says')
    .argument('<addr>', `A manager: HOST[:PORT], port ${DEFAULT_PORT} by default`)
    .requiredOption('--token <token>', 'Token from "swarmctl join-token worker" or "… manager"')
  withNodeAddresses(command)
    .addOption(availabilityFlag())
    .addHelpText('after', '\nExample:\n  swarmctl join --token SWMTKN-1-… 192.168.1.10:2377\n')
    .action(
      run(async (context, addr: string, options: JoinOptions & Record<string, unknown>) => {
        const client = await ensureDaemon(context, launcher, options)
        const { Swarm } = await carriedThrough(context, async (signal) => {
          await client.call({
            method: 'POST',
            path: '/swarm/join',
            body: {
              ListenAddr: options.listenAddr,
              AdvertiseAddr: options.advertiseAddr ?? '',
              DataPathAddr: options.dataPathAddr ?? '',
              RemoteAddrs: [withPort(addr)],
              JoinToken: options.token,
              Availability: options.availability,
            },
            signal,
          })
          return client.call<{ Swarm: { ControlAvailable: boolean } }>({ path: '/info', signal })
        })
        const role = Swarm.ControlAvailable ? 'manager' : 'worker'
        context.output.write(`This node joined a swarm as a ${role}.\n`)
      }),
    )
  for (const flag of daemonFlags()) command.addOption(flag)
}
