import { Argument, type Command } from 'commander'
import type { Cluster } from '../../api/swarm.ts'
import type { Runner } from '../context.ts'
import { postSwarmUpdate } from './post-update.ts'

/** `swarmctl join-token worker|manager`: shows or rotates a token. */
export const joinTokenVerb = (parent: Command, run: Runner): void => {
  parent
    .command('join-token')
    .description('Show the token that a machine joins with')
    .addArgument(new Argument('<role>').choices(['worker', 'manager']))
    .option('--rotate', 'Make a new token; the old one is refused from then on')
    .option('-q, --quiet', 'Only print the token')
    .addHelpText('after', '\nExample:\n  swarmctl join-token -q worker\n')
    .action(
      run(
        async (
          { client, output },
          role: string,
          options: { rotate?: boolean; quiet?: boolean },
        ) => {
          const name = role === 'manager' ? 'Manager' : 'Worker'
          if (options.rotate) {
            const before = await client.call<Cluster>({ path: '/swarm' })
            await postSwarmUpdate(client, before, before.Spec, { [`rotate${name}Token`]: true })
            if (!options.quiet) output.write(`Successfully rotated ${role} join token.\n\n`)
          }
          const swarm = await client.call<Cluster>({ path: '/swarm' })
          const token = swarm.JoinTokens[name]
          if (options.quiet) return output.write(`${token}\n`)
          const info = await client.call<{
            Swarm: { NodeAddr: string; RemoteManagers: { Addr: string }[] | null }
          }>({
            path: '/info',
          })
          const addr = info.Swarm.RemoteManagers?.[0]?.Addr ?? `${info.Swarm.NodeAddr}:2377`
          output.write(
            `To add a ${role} to this swarm, run the following command:\n\n    swarmctl join --token ${token} ${addr}\n`,
          )
        },
      ),
    )
}
