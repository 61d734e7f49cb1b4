/** What `swarm update` makes of the CA, and how the loop of the leader brings it about. */
import { X509Certificate } from 'node:crypto'
import t, { type Test } from 'tap'
import { newId } from '../../../src/api/id.ts'
import type { Cluster, SwarmSpec } from '../../../src/api/swarm.ts'
import { createCluster } from '../../../src/manager/ca/create-cluster.ts'
import { RootRotation } from '../../../src/manager/ca/root-rotation.ts'
import { Control } from '../../../src/manager/control/control.ts'
import { MemoryProposer } from '../../../src/manager/store/memory-proposer.ts'
import { StoreState } from '../../../src/manager/store/state.ts'
import { Store } from '../../../src/manager/store/store.ts'
import { newJoinToken, rootDigest } from '../../../src/pki/join-token.ts'
import { createRootCA, issuerInfoOf } from '../../../src/pki/root-ca.ts'
import { sampleNode } from '../../support/objects.ts'
import { settle, VirtualClock } from '../../support/orchestration/virtual-clock.ts'
import { noLog, realClock } from '../../support/rpc/cluster-fixture.ts'

const setUp = async (t: Test) => {
  const { cluster } = await createCluster(
    { clock: realClock, newId },
    { spec: { Name: 'default', Labels: {} }, addr: '10.0.0.1:2377' },
  )
  const state = new StoreState()
  const clock = new VirtualClock()
  const store = new Store({ state, proposer: new MemoryProposer(state), clock })
  const nodes = new Map([1, 2, 3].map((i) => [`n${i}`, sampleNode(`n${i}`, i)]))
  await store.update((tx) => {
    tx.put('cluster', cluster)
    for (const node of nodes.values()) tx.put('node', node)
  })
  const agents = {
    connectedNodes: [...nodes.keys()],
    asked: [] as string[],
    askToRenew: (nodeIds: readonly string[]) => agents.asked.push(...nodeIds),
  }
  const tokens = (rootCACert: string) => newJoinToken(rootCACert)
  /** What a leader starts. */
  const lead = (): RootRotation => {
    const loop = new RootRotation({ store, clock, log: noLog, agents, newJoinToken: tokens })
    t.teardown(() => loop.stop())
    loop.start()
    return loop
  }
  const control = new Control({ store, clock: realClock, newId, newJoinToken: tokens })
  const now = (): Cluster => store.view().cluster()!
  const update = (CAConfig: SwarmSpec['CAConfig'], version = now().Version.Index) =>
    control.updateCluster(version, {
      ...now().Spec,
      CAConfig: { ...now().Spec.CAConfig, ...CAConfig },
    })
  /** The node has done what it was asked. */
  const certify = (id: string) =>
    store.update((tx) => {
      const node = tx.get('node', id)!
      const { TLSInfo } = now()
      tx.put('node', { ...node, Description: { ...node.Description, TLSInfo } })
    })
  return { store, lead, clock, agents, control, now, update, certify }
}

t.test('a rotation: two roots, then one, and tokens of it', async (t) => {
  const { lead, agents, now, update, certify, control, clock } = await setUp(t)
  const before = now()
  for (const id of agents.connectedNodes) await certify(id)
  lead()
  await settle()
  t.strictSame(agents.asked, [], 'nothing to do')

  await update({ ForceRotate: 1 })
  const { RootRotation: rotation } = now().Swarmctl
  t.ok(now().RootRotationInProgress)
  t.equal(now().Spec.CAConfig?.ForceRotate, 1)
  t.equal(now().TLSInfo.TrustRoot, before.Swarmctl.RootCACert + rotation!.CACert)
  t.match(now().TLSInfo, issuerInfoOf(rotation!.CACert))
  t.strictSame(
    now().JoinTokens,
    before.JoinTokens,
    'nodes join by the old root as long as it is there',
  )
  const old = new X509Certificate(before.Swarmctl.RootCACert)
  t.ok(new X509Certificate(rotation!.CrossSignedCACert).verify(old.publicKey))
  const shown = await control.getCluster()
  t.notMatch(JSON.stringify(shown), /PRIVATE KEY/)

  await settle()
  t.strictSame(agents.asked.splice(0), ['n1', 'n2', 'n3'])
  await certify('n1')
  await certify('n2')
  await clock.advance(60_000)
  t.ok(now().RootRotationInProgress, 'it waits for the third')
  t.ok(agents.asked.length > 1 && agents.asked.every((id) => id === 'n3'), 'which is asked again')
  await certify('n3')
  await settle()

  const after = now()
  t.notOk(after.RootRotationInProgress)
  t.equal(after.Swarmctl.RootRotation, undefined)
  t.equal(after.Swarmctl.RootCACert, rotation!.CACert)
  t.equal(after.Swarmctl.RootCAKey, rotation!.CAKey)
  t.strictSame(after.TLSInfo, { TrustRoot: rotation!.CACert, ...issuerInfoOf(rotation!.CACert) })
  for (const role of ['Worker', 'Manager'] as const) {
    t.match(after.JoinTokens[role], rootDigest(rotation!.CACert))
    t.not(after.JoinTokens[role].slice(-25), before.JoinTokens[role].slice(-25), 'another secret')
  }
})

t.test('a node that is away is waited for until it is removed', async (t) => {
  const { lead, agents, now, update, certify, store } = await setUp(t)
  for (const id of agents.connectedNodes) await certify(id)
  lead()
  agents.connectedNodes = ['n1', 'n2']
  await update({ ForceRotate: 1 })
  await settle()
  t.strictSame(agents.asked, ['n1', 'n2'])
  await certify('n1')
  await certify('n2')
  await settle()
  t.ok(now().RootRotationInProgress)
  await store.update((tx) => tx.remove('node', 'n3'))
  await settle()
  t.notOk(now().RootRotationInProgress)
})

t.test('the next leader goes on where the last one ended', async (t) => {
  const { lead, agents, now, update, certify } = await setUp(t)
  for (const id of agents.connectedNodes) await certify(id)
  const loop = lead()
  await update({ ForceRotate: 1 })
  await settle()
  await certify('n1')
  loop.stop()
  agents.asked.length = 0
  lead()
  await settle()
  t.strictSame(agents.asked, ['n2', 'n3'])
  await certify('n2')
  await certify('n3')
  await settle()
  t.notOk(now().RootRotationInProgress)
})

t.test('a second rotation during the first takes its place', async (t) => {
  const { lead, agents, now, update, certify } = await setUp(t)
  const [old, first] = [now().Swarmctl.RootCACert, {} as { CACert?: string }]
  lead()
  await update({ ForceRotate: 1 })
  await settle()
  await certify('n1')
  Object.assign(first, now().Swarmctl.RootRotation)
  agents.asked.length = 0
  await update({ ForceRotate: 2 })
  const second = now().Swarmctl.RootRotation!
  t.not(second.CACert, first.CACert)
  t.equal(
    now().TLSInfo.TrustRoot,
    old + second.CACert,
    'the one that was given up is trusted no more',
  )
  const root = new X509Certificate(old)
  t.ok(new X509Certificate(second.CrossSignedCACert).verify(root.publicKey), 'the old one vouches')
  await settle()
  t.strictSame(agents.asked, ['n1', 'n2', 'n3'], 'all of them again, at once')
  for (const id of agents.connectedNodes) await certify(id)
  await settle()
  t.equal(now().Swarmctl.RootCACert, second.CACert)
})

t.test("a swarm that begins with a CA of one's own", async (t) => {
  const mine = await createRootCA(realClock)
  const create = (CAConfig: SwarmSpec['CAConfig']) =>
    createCluster(
      { clock: realClock, newId },
      { spec: { Name: 'default', Labels: {}, CAConfig }, addr: '10.0.0.1:2377' },
    )
  const both = { SigningCACert: mine.certPem, SigningCAKey: mine.keyPem }
  const { cluster, credentials } = await create({ ...both, NodeCertExpiry: 7_200_000_000_000 })
  t.equal(cluster.Swarmctl.RootCACert, mine.certPem)
  t.equal(credentials.rootCAPem, mine.certPem)
  t.strictSame(cluster.Spec.CAConfig, { NodeCertExpiry: 7_200_000_000_000 })
  await t.rejects(create({ SigningCACert: mine.certPem }), { message: /whose key is here/ })
  await t.rejects(create({ SigningCAKey: mine.keyPem }), { message: /cert must also be provided/ })
})

t.test("a CA of one's own", async (t) => {
  const { now, update, control } = await setUp(t)
  const { RootCACert, RootCAKey } = now().Swarmctl
  const mine = await createRootCA(realClock)
  const [SigningCACert, SigningCAKey] = [mine.certPem, mine.keyPem]
  await update({ SigningCACert, SigningCAKey })
  t.match(now().Swarmctl.RootRotation, { CACert: mine.certPem, CAKey: mine.keyPem })
  t.notMatch(
    JSON.stringify(now().Spec),
    /BEGIN/,
    'it is no setting: the next update repeats nothing',
  )
  const { CrossSignedCACert } = now().Swarmctl.RootRotation!
  await update({ SigningCACert, SigningCAKey })
  t.equal(
    now().Swarmctl.RootRotation?.CrossSignedCACert,
    CrossSignedCACert,
    'said twice is said once',
  )
  await update({})
  t.ok(now().RootRotationInProgress, 'other settings leave it alone')

  await update({ SigningCACert: RootCACert, SigningCAKey: RootCAKey })
  t.notOk(now().RootRotationInProgress, 'the present one again: the rotation is given up')
  t.equal(now().Swarmctl.RootCAKey.trim(), RootCAKey.trim())
  t.equal(now().TLSInfo.TrustRoot, RootCACert)

  const refusals: [SwarmSpec['CAConfig'], RegExp][] = [
    [{ SigningCAKey }, /the signing CA cert must also be provided/],
    [{ SigningCACert: 'x', SigningCAKey }, /could not parse the desired CA certificate/],
    [{ SigningCACert, SigningCAKey: RootCAKey }, /key mismatch/],
  ]
  for (const [config, message] of refusals) {
    await t.rejects(update(config), { code: 'INVALID_ARGUMENT', message })
  }
  const stale = control.updateCluster(1, { ...now().Spec, CAConfig: { ForceRotate: 9 } })
  await t.rejects(stale, { code: 'OUT_OF_SEQUENCE' })
  t.notOk(now().RootRotationInProgress)
})
