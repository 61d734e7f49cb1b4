import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { newId } from '../../src/api/id.ts'
import { SwarmSpec } from '../../src/api/swarm.ts'
import { beginMembership } from '../../src/daemon/beginning.ts'
import { loadNodeRecord } from '../../src/daemon/node-file.ts'
import { systemClock } from '../../src/daemon/system-clock.ts'
import { createCluster } from '../../src/manager/ca/create-cluster.ts'
import { loadCredentials } from '../../src/pki/credentials-file.ts'

const { credentials, ...origin } = await createCluster(
  { clock: systemClock, newId },
  { spec: SwarmSpec.parse({}), addr: '127.0.0.1:2377' },
)
const { nodeId, clusterId } = credentials
const addr = '127.0.0.1:2377'
const record = {
  ...{ nodeId, clusterId, listenAddr: addr, advertiseAddr: addr, dataPathAddr: '127.0.0.1' },
  managers: [],
}

t.test('a node that joins can resume before it takes part: it may get a vote', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'beginning-'))
  t.teardown(() => rm(dataDir, { recursive: true }))
  const found: unknown[] = []
  const run = async () => {
    found.push(await loadNodeRecord(dataDir), (await loadCredentials(dataDir))?.nodeId)
    await readFile(join(dataDir, 'data-key.json'))
  }
  const deps = { dataDir, clock: systemClock, run, untilLeading: async () => {} }
  await beginMembership({ record, credentials }, { ...deps, member: () => undefined })
  t.strictSame(found.splice(0), [record, nodeId])
  await beginMembership({ record, credentials, origin }, { ...deps, member: () => undefined })
  t.strictSame(found, [undefined, undefined], 'a new cluster is not there before its first entries')
})
