import type { Command } from 'commander'
import { formatCidr, requireCidr } from '../../api/ipv4.ts'
import { collectListed } from '../arguments.ts'
import type { Client } from '../client.ts'
import type { CliContext, Runner } from '../context.ts'
import { daemonFlags } from '../daemon/flags.ts'
import type { DaemonLauncher } from '../daemon/launcher.ts'
import { count, parsed } from '../service/flag-values.ts'
import { carriedThrough } from './carried-through.ts'
import { ensureDaemon } from './ensure-daemon.ts'
import { availabilityFlag, type NodeAddresses, withNodeAddresses } from './node-flags.ts'
import { type SwarmSettings, withSettings, withSwarmSettings } from './settings-flags.ts'
import { fetchUnlockKey, unlockHint } from './unlock.ts'

interface InitOptions extends NodeAddresses, SwarmSettings {
  dataPathPort: string
  availability: string
  defaultAddrPool?: string[]
  defaultAddrPoolMaskLength?: string
  forceNewCluster?: boolean
}

/** The pools' networks, without bits that belong to addresses in them. */
const addressPools = (texts: readonly string[] = []): string[] =>
  texts.map((text) => formatCidr(parsed('--default-addr-pool', text.trim(), requireCidr)))

const initBody = async (context: CliContext, options: InitOptions) => ({
  ListenAddr: options.listenAddr,
  AdvertiseAddr: options.advertiseAddr ?? '',
  DataPathAddr: options.dataPathAddr ?? '',
  DataPathPort: count('--data-path-port', options.dataPathPort),
  Availability: options.availability,
  DefaultAddrPool: addressPools(options.defaultAddrPool),
  SubnetSize: count('--default-addr-pool-mask-length', options.defaultAddrPoolMaskLength ?? '0'),
  ForceNewCluster: options.forceNewCluster === true,
  AutoLockManagers: options.autolock === true,
  Spec: await withSettings(context, { Name: 'default', Labels: {} }, options, ''),
})

const explain = async (
  client: Client,
  { output, signal }: CliContext,
  nodeId: string,
): Promise<void> => {
  const swarm = await client.call<{ JoinTokens: { Worker: string } }>({ path: '/swarm', signal })
  const info = await client.call<{ Swarm: { RemoteManagers: { Addr: string }[] | null } }>({
    path: '/info',
    signal,
  })
  const addr = info.Swarm.RemoteManagers?.[0]?.Addr ?? 'HOST:2377'
  output.write(
    `Swarm initialized: current node (${nodeId}) is now a manager.\n\n` +
      'To add a worker to this swarm, run the following command:\n\n' +
      `    swarmctl join --token ${swarm.JoinTokens.Worker} ${addr}\n\n` +
      'To add a manager to this swarm, run "swarmctl join-token manager" and follow the instructions.\n',
  )
}

/** `swarmctl init`: makes this machine the first manager of a new swarm. */
export const initVerb = (parent: Command, run: Runner, launcher: DaemonLauncher): void => {
  const command = withSwarmSettings(withNodeAddresses(parent.command('init')))
    .description('Initialize a swarm with this machine as its first manager')
    .addOption(availabilityFlag())
    .option(
      '--default-addr-pool <cidr>',
      'Pool for overlay networks (several times, or with commas)',
      collectListed,
    )
    .option(
      '--default-addr-pool-mask-length <bits>',
      'Size of each overlay network (default 16, with pools of your own 24)',
    )
    .option(
      '--force-new-cluster',
      'Make a cluster of this manager alone from the state that it has',
    )
    .addHelpText('after', '\nExample:\n  swarmctl init --advertise-addr 192.168.1.10\n')
    .action(
      run(async (context, options: InitOptions & Record<string, unknown>) => {
        const body = await initBody(context, options)
        const client = await ensureDaemon(context, launcher, options)
        await carriedThrough(context, async (signal) => {
          const nodeId = await client.call<string>({
            method: 'POST',
            path: '/swarm/init',
            body,
            signal,
          })
          await explain(client, context, nodeId)
        })
        if (options.autolock) {
          context.output.write(`\n${unlockHint(await fetchUnlockKey(client))}`)
        }
      }),
    )
  for (const flag of daemonFlags()) command.addOption(flag)
}
