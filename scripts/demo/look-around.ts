import type { Narrator } from './narrator.ts'
import type { DemoSite } from './site.ts'

/** Says what to try with the swarm that is left running, and how to end it: by these arguments of the demo. */
export const lookFrom = (site: DemoSite, narrator: Narrator, downArgs: readonly string[]): void => {
  const [first] = site.nodes
  if (first === undefined) return
  const socket = `unix://${first.swarmctlSocket}`
  narrator.chapter('It is yours: the swarm stays up')
  narrator.say(`export SWARMCTL_HOST=${socket}
dist/swarmctl node ls
dist/swarmctl service ps demo_web
dist/swarmctl service logs --follow demo_web
dist/swarmctl service update --env-add COLOUR=blue demo_web
dist/swarmctl service rollback demo_web
docker -H ${socket} service ls        (the unmodified docker CLI)`)
  for (const node of site.nodes) narrator.say(`curl http://${node.ip}:${site.port}/`)
  narrator.say(`\nTo remove every trace of it:  npm run demo -- ${downArgs.join(' ')}`)
}
