import type { CliContext } from '../context.ts'

/** `self` is the node that the command talks to, as in Docker. */
export const nodePath = async ({ client }: CliContext, ref: string): Promise<string> => {
  if (ref !== 'self') return `/nodes/${encodeURIComponent(ref)}`
  const { Swarm } = await client.call<{ Swarm: { NodeID: string } }>({ path: '/info' })
  return `/nodes/${Swarm.NodeID}`
}
