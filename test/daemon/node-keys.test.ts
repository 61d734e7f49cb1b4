import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { newId } from '../../src/api/id.ts'
import { NodeKeys } from '../../src/daemon/node-keys.ts'
import { createCluster } from '../../src/manager/ca/create-cluster.ts'
import { readCredentials } from '../../src/pki/credentials.ts'
import { createKeyAndCsr } from '../../src/pki/csr.ts'
import { newUnlockKey, storeDataKey } from '../../src/pki/data-key.ts'
import { signNodeCertificate } from '../../src/pki/root-ca.ts'

const clock = { nowMs: () => Date.now(), schedule: () => () => {} }
const created = await createCluster(
  { clock, newId },
  { spec: { Name: 'default', Labels: {} }, addr: '10.0.0.1:2377' },
)

const directory = async (t: Test): Promise<string> => {
  const path = await mkdtemp(join(tmpdir(), 'node-keys-'))
  t.teardown(() => rm(path, { recursive: true }))
  return path
}

/** Everything that is on the disk. */
const onDisk = async (path: string): Promise<string> =>
  (
    await Promise.all(
      ['data-key.json', 'credentials.json'].map((f) => readFile(join(path, f), 'utf8')),
    )
  ).join('')

const worker = async () => {
  const { keyPem, csrPem } = await createKeyAndCsr()
  const { RootCAKey, RootCACert } = created.cluster.Swarmctl
  const request = {
    csrPem,
    nodeId: 'w',
    role: 'worker' as const,
    clusterId: 'c',
    lifetimeMs: 3_600_000,
  }
  const certPem = await signNodeCertificate(
    { keyPem: RootCAKey, certPem: RootCACert },
    request,
    clock,
  )
  return readCredentials({ keyPem, certPem, rootCAPem: RootCACert })
}

t.test('a lock, another one, and none', async (t) => {
  const path = await directory(t)
  t.equal(await NodeKeys.open(path), undefined, 'in no cluster')
  const keys = await NodeKeys.create(path)
  await keys.storeCredentials(created.credentials)
  t.match(await NodeKeys.open(path), { kind: 'open', credentials: created.credentials })

  const [first, second] = [newUnlockKey(), newUnlockKey()]
  await keys.lockWith(first)
  const sealed = await onDisk(path)
  t.notMatch(sealed, /PRIVATE KEY/)
  t.notOk(sealed.includes(Buffer.from(keys.dataKey).toString('base64')))
  t.match(await NodeKeys.open(path), {
    kind: 'locked',
    credentials: { nodeId: created.node.ID, role: 'manager' },
  })
  await t.rejects(NodeKeys.open(path, second), { code: 'UNAUTHENTICATED' })
  const opened = await NodeKeys.open(path, first)
  if (opened?.kind !== 'open') throw new Error('the key opens it')
  t.same(opened.credentials, created.credentials)
  t.same(opened.keys.dataKey, keys.dataKey)

  await opened.keys.lockWith(second)
  await t.rejects(NodeKeys.open(path, first), { code: 'UNAUTHENTICATED' }, 'rotated')
  t.match(await NodeKeys.open(path, second), { kind: 'open' })
  await opened.keys.lockWith(undefined)
  t.match(await NodeKeys.open(path), { kind: 'open', credentials: created.credentials })
  t.match(await onDisk(path), /PRIVATE KEY/)
})

t.test('a lock that a crash cut short is whole after the next unlock', async (t) => {
  const path = await directory(t)
  const keys = await NodeKeys.create(path)
  await keys.storeCredentials(created.credentials)
  const key = newUnlockKey()
  await storeDataKey(path, keys.dataKey, key)
  t.equal((await NodeKeys.open(path))?.kind, 'locked')
  t.match(await NodeKeys.open(path, key), { kind: 'open', credentials: created.credentials })
  t.notMatch(await onDisk(path), /PRIVATE KEY/)
})

t.test('a crash while a lock is taken off leaves nothing that wants its key', async (t) => {
  const path = await directory(t)
  const key = newUnlockKey()
  const keys = await NodeKeys.create(path, key)
  await keys.storeCredentials(created.credentials)
  // The first of the two writes; the second finds no room.
  await mkdir(join(path, 'credentials.json.new'))
  await t.rejects(keys.lockWith(undefined))
  t.match(await NodeKeys.open(path), { kind: 'open', credentials: created.credentials })
})

t.test('a demoted manager gets a new data key, and no lock', async (t) => {
  const path = await directory(t)
  const keys = await NodeKeys.create(path, newUnlockKey())
  const old = keys.dataKey
  const credentials = await worker()
  await keys.storeCredentials(credentials)
  const crashed = await NodeKeys.open(path)
  t.equal(crashed?.kind, 'locked', 'the worker key is still sealed')
  await keys.renew()
  t.notSame(keys.dataKey, old)
  t.match(await NodeKeys.open(path), { kind: 'open', credentials })
})
