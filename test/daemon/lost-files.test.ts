/** A node whose files in the data directory were lost or damaged, or copied by half. */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { newId } from '../../src/api/id.ts'
import { SwarmSpec } from '../../src/api/swarm.ts'
import { Daemon } from '../../src/daemon/daemon.ts'
import { NodeFile } from '../../src/daemon/node-file.ts'
import { systemClock } from '../../src/daemon/system-clock.ts'
import { createCluster } from '../../src/manager/ca/create-cluster.ts'
import { storeCredentials } from '../../src/pki/credentials-file.ts'
import { noLog } from '../support/rpc/cluster-fixture.ts'

/** A manager's data directory, as `spoil` leaves it, and a daemon that starts on it. */
const startOn = async (t: Test, spoil: (dir: string) => Promise<void>) => {
  const dir = await mkdtemp(join(tmpdir(), 'swarmctl-lost-'))
  const { credentials } = await createCluster(
    { clock: systemClock, newId },
    { spec: SwarmSpec.parse({}), addr: '127.0.0.1:2377' },
  )
  const { nodeId, clusterId } = credentials
  const addresses = {
    ...{ listenAddr: '127.0.0.1:0', advertiseAddr: '127.0.0.1:2377' },
    dataPathAddr: '127.0.0.1',
  }
  await new NodeFile(dir).store({ nodeId, clusterId, ...addresses, managers: [], hasLog: true })
  await storeCredentials(dir, credentials)
  await mkdir(join(dir, 'raft/wal'), { recursive: true })
  await writeFile(join(dir, 'raft/wal/0000000000000001.wal'), 'the last copy')
  await spoil(dir)
  const daemon = new Daemon(
    { clock: systemClock, log: noLog, random: Math.random, onFatal: () => {} },
    {
      ...{ dataDir: dir, runDir: dir, socket: join(dir, 'docker.sock') },
      dockerHost: `unix://${dir}/no-engine.sock`,
      ...{ dataPlane: 'proxy', dataPathPort: 4789, logLevel: 'error' },
    },
  )
  t.teardown(async () => {
    await daemon.stop()
    await rm(dir, { recursive: true })
  })
  await daemon.start()
  return { daemon, dir, nodeId }
}

const CASES: [what: string, spoil: (dir: string) => Promise<void>, error: RegExp][] = [
  [
    'its credentials are gone',
    (dir) => rm(join(dir, 'credentials.json')),
    /^the credentials of this node are gone from .*: put credentials\.json back .* "swarmctl leave --force"/,
  ],
  [
    'its record is cut off',
    (dir) => writeFile(join(dir, 'node.json'), '{"format":1,"nodeI'),
    /node\.json is damaged: put it back .* "swarmctl leave --force"/,
  ],
  ['its record is empty', (dir) => writeFile(join(dir, 'node.json'), ''), /node\.json is damaged/],
  [
    'its record is no record',
    (dir) => writeFile(join(dir, 'node.json'), 'null'),
    /node\.json is damaged/,
  ],
  [
    'its record is a newer version’s',
    (dir) => writeFile(join(dir, 'node.json'), '{"format":9}'),
    /node\.json has format 9/,
  ],
]

for (const [what, spoil, error] of CASES) {
  t.test(`a manager stays one and says what is wrong when ${what}`, async (t) => {
    const { daemon, dir } = await startOn(t, spoil)
    t.match(daemon.status(), { localNodeState: 'error', error })
    const addresses = { ListenAddr: '', AdvertiseAddr: '', DataPathAddr: '' }
    const request = { ...addresses, RemoteAddrs: [], JoinToken: '', Availability: '' }
    await t.rejects(daemon.join(request), /already part/)
    await t.rejects(daemon.leave(false), /--force/)
    t.ok(existsSync(join(dir, 'raft/wal')), 'what may be the last copy is still there')
    await daemon.leave(true)
    t.equal(daemon.status().localNodeState, 'inactive')
    t.notOk(existsSync(join(dir, 'raft')))
  })
}

t.test('its containers are remembered all the same when it leaves by force', async (t) => {
  const { daemon, dir, nodeId } = await startOn(t, (path) => rm(join(path, 'credentials.json')))
  await daemon.leave(true)
  const left = JSON.parse(await readFile(join(dir, 'leftovers.json'), 'utf8'))
  t.strictSame(left.nodeIds, [nodeId], 'for when the Engine answers')
})
