import type { Cluster, SwarmSpec } from '../../api/swarm.ts'
import type { Call, Client } from '../client.ts'

/** Sends the swarm's settings as they are to be; refused when others have changed them since `swarm` was read. `more` asks for new tokens and keys. */
export const postSwarmUpdate = (
  client: Client,
  { Version }: Pick<Cluster, 'Version'>,
  spec: SwarmSpec,
  more: Call['query'] = {},
): Promise<unknown> =>
  client.call({
    method: 'POST',
    path: '/swarm/update',
    query: { version: Version.Index, ...more },
    body: spec,
  })
