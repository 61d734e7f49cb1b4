import type { Command } from 'commander'
import type { Cluster } from '../../api/swarm.ts'
import type { Runner } from '../context.ts'
import { postSwarmUpdate } from './post-update.ts'
import { type SwarmSettings, withSettings, withSwarmSettings } from './settings-flags.ts'
import { fetchUnlockKey, unlockHint } from './unlock.ts'

/** `swarmctl swarm update`: changes the swarm's settings. */
export const updateVerb = (parent: Command, run: Runner): void => {
  const command = withSwarmSettings(parent.command('update'))
    .description("Change the swarm's settings")
    .addHelpText(
      'after',
      '\nExample:\n  swarmctl swarm update --task-history-limit 3 --cert-expiry 720h\n',
    )
  command.action(
    run(async (context, options: SwarmSettings) => {
      if (Object.keys(options).length === 0) return command.outputHelp()
      const { client, output } = context
      const swarm = await client.call<Cluster>({ path: '/swarm' })
      const wasLocking = swarm.Spec.EncryptionConfig?.AutoLockManagers === true
      const spec = await withSettings(context, swarm.Spec, options, swarm.TLSInfo.TrustRoot)
      await postSwarmUpdate(client, swarm, spec)
      output.write('Swarm updated.\n')
      if (!options.autolock || wasLocking) return
      output.write(`\n${unlockHint(await fetchUnlockKey(client))}`)
    }),
  )
}
