import { type Command, Option } from 'commander'
import type { Runner } from '../context.ts'
import { daemonFlags } from '../daemon/flags.ts'
import type { DaemonLauncher } from '../daemon/launcher.ts'
import { ensureDaemon } from './ensure-daemon.ts'

interface JoinOptions {
  token: string
  listenAddr: string
  advertiseAddr?: string
  dataPathAddr?: string
  availability: string
}

/** The cluster port when an address names none. */
const DEFAULT_PORT = 2377

const withPort = (addr: string): string => (/:\d+$/.test(addr) ? addr : `${addr}:${DEFAULT_PORT}`)

/** `swarmctl join`: makes this machine a worker or a manager, as its token says. */
export const joinVerb = (parent: Command, run: Runner, launcher: DaemonLauncher): void => {
  const command = parent
    .command('join')
    .description('Join a swarm as a worker or manager, as the token says')
    .argument('<addr>', 'A manager: HOST:PORT')
    .requiredOption('--token <token>', 'Token from "swarmctl join-token worker" or "… manager"')
    .option('--advertise-addr <addr>', 'Address that the other nodes reach this one at')
    .option('--listen-addr <addr>', 'Address of the cluster port', '0.0.0.0:2377')
    .option('--data-path-addr <addr>', 'Address for traffic between containers')
    .addOption(
      new Option('--availability <kind>', 'Availability of this node')
        .choices(['active', 'pause', 'drain'])
        .default('active'),
    )
    .addHelpText('after', '\nExample:\n  swarmctl join --token SWMTKN-1-… 192.168.1.10:2377\n')
    .action(
      run(async (context, addr: string, options: JoinOptions & Record<string, unknown>) => {
        const client = await ensureDaemon(context, launcher, options)
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
        })
        const { Swarm } = await client.call<{ Swarm: { ControlAvailable: boolean } }>({
          path: '/info',
        })
        const role = Swarm.ControlAvailable ? 'manager' : 'worker'
        context.output.write(`This node joined a swarm as a ${role}.\n`)
      }),
    )
  for (const flag of daemonFlags()) command.addOption(flag)
}
