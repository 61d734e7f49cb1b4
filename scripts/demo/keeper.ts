/**
 * Plays the story and, where the nodes are hosts in network namespaces, keeps them alive afterwards: they end with this process.
 * Its parent shows what it tells; once the story is over the parent leaves and this process stays.
 */

import type { KeeperMessage, KeeperOptions } from './keeper-port.ts'
import { openLabSite } from './lab-site.ts'
import { lookFrom } from './look-around.ts'
import { openMachineSite } from './machine-site.ts'
import { Narrator } from './narrator.ts'
import { tellStory } from './story.ts'

const tell = (message: KeeperMessage): Promise<void> =>
  new Promise((resolve) => {
    if (process.send === undefined) resolve()
    else process.send(message, undefined, undefined, () => resolve())
  })

const options = JSON.parse(process.argv[2] ?? '') as KeeperOptions
const narrator = new Narrator((text) => void tell({ kind: 'text', text }), options)
// Without its parent an unfinished story has no listener; the lab goes with this process.
const abandon = (): never => process.exit(1)
process.once('disconnect', abandon)
try {
  const site =
    options.nodes === 1
      ? await openMachineSite(narrator, options)
      : await openLabSite(narrator, options)
  const isClean = await tellStory(site, narrator)
  lookFrom(site, narrator, options.downArgs)
  process.off('disconnect', abandon)
  await tell({ kind: 'end', isClean })
  process.disconnect?.()
  // A machine's own daemon and Engine need no keeper.
  if (options.nodes === 1) process.exit(0)
  setInterval(() => {}, 2 ** 30)
} catch (error) {
  await tell({ kind: 'failed', message: (error as Error).message })
  process.exit(1)
}
