import t from 'tap'
import { sealBackup } from '../../src/backup/sealed-file.ts'
import { createBackup } from '../../src/daemon/backup.ts'
import type { ManagerRuntime } from '../../src/daemon/manager-runtime.ts'
import {
  readBackup,
  restoredAnswer,
  restoredCredentials,
  restoredRecord,
  seedManager,
} from '../../src/daemon/restore.ts'
import { EMPTY_MEMBERSHIP } from '../../src/raft/membership.ts'
import { RpcHandlers } from '../../src/rpc/handlers.ts'
import { ManagerOnDisk, tellLaterTerm, untilLeading } from '../support/daemon/manager-on-disk.ts'
import { sampleNode, sampleSecret } from '../support/objects.ts'
import { realClock } from '../support/rpc/cluster-fixture.ts'

const PASSPHRASE = 'correct horse'

const collect = async (bytes: AsyncIterable<Uint8Array>): Promise<Buffer> => {
  const parts: Uint8Array[] = []
  for await (const part of bytes) parts.push(part)
  return Buffer.concat(parts)
}

async function* piecesOf(file: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < file.length; at += 1000) yield file.subarray(at, at + 1000)
}

t.test('a backup of a running manager is the same swarm on another machine', async (t) => {
  const first = await ManagerOnDisk.create(t)
  const role = await first.bootstrap()
  const store = role.runtime?.store
  if (!store) throw new Error('it leads')
  const other = { ...sampleNode('othermanager'.padEnd(25, '0'), 7) }
  await store.update((tx) => {
    tx.put('secret', sampleSecret('s'.padEnd(25, '0'), 'password'))
    tx.put('node', { ...other, Spec: { ...other.Spec, Role: 'manager' } })
    tx.put('node', sampleNode('worker'.padEnd(25, '0'), 8))
  })
  const nowMs = Date.UTC(2026, 0, 2)
  const made = await createBackup(role.runtime, {
    ...first.record,
    ...{ passphrase: PASSPHRASE, nowMs },
  })
  // It is taken at one index: what comes now is not in it.
  await store.update((tx) => tx.put('secret', sampleSecret('l'.padEnd(25, '0'), 'later')))
  const file = await collect(made.bytes)
  const cluster = store.view().cluster()
  await role.stop()
  t.notOk(file.includes('password'))

  await t.rejects(readBackup(piecesOf(file), 'wrong'), { code: 'UNAUTHENTICATED' })
  await t.rejects(readBackup(piecesOf(file.subarray(0, -1)), PASSPHRASE), /cut off/)
  const backup = await readBackup(piecesOf(file), PASSPHRASE)
  t.match(restoredAnswer(backup), {
    NodeID: first.record.nodeId,
    ClusterID: cluster?.ID,
    CreatedAt: '2026-01-02T00:00:00.000Z',
    Index: made.index,
    RemovedManagers: [other.Description.Hostname],
  })
  const credentials = await restoredCredentials(backup, realClock)
  t.match(credentials, { nodeId: first.record.nodeId, clusterId: cluster?.ID, role: 'manager' })
  t.equal(credentials.rootCAPem, cluster?.Swarmctl.RootCACert, 'the same CA')

  const { listenAddr, dataPathAddr } = first.record
  const advertiseAddr = '10.9.9.9:2377'
  const record = restoredRecord(backup, { listenAddr, advertiseAddr, dataPathAddr })
  t.match(record, {
    managers: [{ nodeId: first.record.nodeId, addr: advertiseAddr }],
    dataPathPort: cluster?.DataPathPort,
  })
  const second = await ManagerOnDisk.create(t, record)
  const { dataKey } = second.keys
  await seedManager(second.dataDir, backup, { clock: realClock, dataKey })
  const handlers = new RpcHandlers()
  const restored = second.role(handlers)
  await restored.start(undefined)
  await untilLeading(restored)
  const view = restored.runtime?.store.view()
  t.strictSame(view?.cluster()?.JoinTokens, cluster?.JoinTokens)
  t.equal(view?.cluster()?.Swarmctl.RootCAKey, cluster?.Swarmctl.RootCAKey)
  t.strictSame(
    view?.list('secret').map(({ Spec }) => Spec.Name),
    ['password'],
  )
  t.strictSame(
    view
      ?.list('node')
      .map(({ ID }) => ID)
      .sort(),
    [...[first.record.nodeId, 'worker'.padEnd(25, '0')].sort()],
  )
  t.strictSame(view?.cluster()?.Swarmctl.RemovedNodes, [other.ID])
  t.equal(view?.get('node', first.record.nodeId)?.Swarmctl.Addr, '10.9.9.9:2377')
  const status = restored.runtime?.raftStatus()
  t.strictSame(status?.voters, [first.record.nodeId])
  t.equal(second.record.forcesNewCluster, undefined, 'it is a cluster as any')
  await restored.runtime?.store.update((tx) =>
    tx.put('secret', sampleSecret('n'.padEnd(25, '0'), 'new')),
  )

  const later = sampleNode('latermanager'.padEnd(25, '0'), 9)
  await restored.runtime?.store.update((tx) =>
    tx.put('node', { ...later, Spec: { ...later.Spec, Role: 'manager' } }),
  )
  tellLaterTerm(restored, handlers, later.ID)
  while (restored.runtime?.isLeader) await new Promise(setImmediate)
  await untilLeading(restored)
  t.ok(restored.runtime?.store.view().get('node', later.ID), 'who came later is not forgotten')
  await restored.stop()

  const again = second.role()
  await again.start(undefined)
  await untilLeading(again)
  t.equal(again.runtime?.store.view().list('secret').length, 2, 'it resumes')
  await again.stop()
  t.strictSame([...first.fatal, ...second.fatal], [])
})

t.test('a backup whose content makes no sense is refused', async (t) => {
  async function* nonsense() {
    yield Buffer.from('{"no":"head"}')
  }
  const file = await collect(sealBackup(nonsense(), PASSPHRASE, 4))
  await t.rejects(readBackup(piecesOf(file), PASSPHRASE), /can not be read/)
})

t.test('a view of the state is closed when the reader goes away early', async (t) => {
  const meta = { index: 1, term: 1, membership: EMPTY_MEMBERSHIP }
  let isClosed = false
  const close = async () => {
    isClosed = true
  }
  const view = { meta, next: async () => null, close }
  const runtime = { openStateView: async () => view } as unknown as ManagerRuntime
  const options = { nodeId: 'n', clusterId: 'c', passphrase: PASSPHRASE, nowMs: 0 }
  const { bytes } = await createBackup(runtime, options)
  for await (const header of bytes) {
    t.ok(header.length > 0)
    break
  }
  t.ok(isClosed)
})
