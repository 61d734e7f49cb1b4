import type { Command } from 'commander'
import { precondition, unavailable } from '../../api/errors.ts'
import type { Cluster } from '../../api/swarm.ts'
import type { Client } from '../client.ts'
import type { Runner } from '../context.ts'
import { carriedThrough } from './carried-through.ts'
import { postSwarmUpdate } from './post-update.ts'

/** `swarmctl unlock`: gives a restarted manager the key that its data is locked with. */
export const unlockVerb = (parent: Command, run: Runner): void => {
  parent
    .command('unlock')
    .description(
      'Unlock this manager after a restart; asks for the key, or reads it from standard input',
    )
    .addHelpText('after', '\nExample:\n  swarmctl unlock < key.txt\n')
    .action(
      run(async (context) => {
        const { client, readSecret, signal } = context
        const { Swarm } = await client.call<{ Swarm: { LocalNodeState: string } }>({
          path: '/info',
          signal,
        })
        if (Swarm.LocalNodeState === 'inactive') {
          throw unavailable('this node is not part of a swarm')
        }
        if (Swarm.LocalNodeState !== 'locked') throw precondition('swarm is not locked')
        const key = await readSecret('Enter unlock key: ')
        const body = { UnlockKey: key }
        await carriedThrough(context, (signal) =>
          client.call({ method: 'POST', path: '/swarm/unlock', body, signal }),
        )
      }),
    )
}

/** What a user has to do with the key: Docker's words. */
export const unlockHint = (key: string): string =>
  `To unlock a swarm manager after it restarts, run the "swarmctl unlock"\ncommand and provide the following key:\n\n    ${key}\n\nRemember to store this key in a password manager, since without it you\nwill not be able to restart the manager.\n`

/** The cluster's unlock key; empty when managers don't lock. */
export const fetchUnlockKey = async (client: Client): Promise<string> =>
  (await client.call<{ UnlockKey: string }>({ path: '/swarm/unlockkey' })).UnlockKey

/** `swarmctl unlock-key`: shows or rotates the key that managers are unlocked with. */
export const unlockKeyVerb = (parent: Command, run: Runner): void => {
  parent
    .command('unlock-key')
    .description('Show the key that managers are unlocked with')
    .option('--rotate', 'Make a new key')
    .option('-q, --quiet', 'Only print the key')
    .addHelpText('after', '\nExample:\n  swarmctl unlock-key -q\n')
    .action(
      run(async ({ client, output }, options: { rotate?: boolean; quiet?: boolean }) => {
        if (options.rotate) {
          const swarm = await client.call<Cluster>({ path: '/swarm' })
          if (swarm.Spec.EncryptionConfig?.AutoLockManagers !== true) {
            throw precondition('cannot rotate because autolock is not turned on')
          }
          await postSwarmUpdate(client, swarm, swarm.Spec, { rotateManagerUnlockKey: true })
          if (!options.quiet) output.write('Successfully rotated manager unlock key.\n\n')
        }
        const key = await fetchUnlockKey(client)
        if (key === '') throw precondition('no unlock key is set')
        output.write(options.quiet ? `${key}\n` : unlockHint(key))
      }),
    )
}
