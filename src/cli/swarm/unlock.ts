import type { Command } from 'commander'
import type { Runner } from '../context.ts'

/** `swarmctl unlock`: gives a restarted manager the key that its data is locked with. */
export const unlockVerb = (parent: Command, run: Runner): void => {
  parent
    .command('unlock')
    .description('Unlock this manager after a restart; the key is read from standard input')
    .addHelpText('after', '\nExample:\n  swarmctl unlock < key.txt\n')
    .action(
      run(async ({ client, readStdin }) => {
        const key = (await readStdin()).toString('utf8').trim()
        await client.call({ method: 'POST', path: '/swarm/unlock', body: { UnlockKey: key } })
      }),
    )
}

interface SwarmBody {
  Version: { Index: number }
  Spec: object
}

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
          const swarm = await client.call<SwarmBody>({ path: '/swarm' })
          await client.call({
            method: 'POST',
            path: '/swarm/update',
            query: { version: swarm.Version.Index, rotateManagerUnlockKey: true },
            body: swarm.Spec,
          })
          if (!options.quiet) output.write('Successfully rotated manager unlock key.\n\n')
        }
        const { UnlockKey } = await client.call<{ UnlockKey: string }>({ path: '/swarm/unlockkey' })
        if (options.quiet) return output.write(`${UnlockKey}\n`)
        output.write(
          UnlockKey === ''
            ? 'No unlock key is set: managers start without one.\n'
            : `To unlock a swarm manager after it restarts, run "swarmctl unlock" and give it this key:\n\n    ${UnlockKey}\n\nKeep it in a safe place: without it a restarted manager can't be used.\n`,
        )
      }),
    )
}
