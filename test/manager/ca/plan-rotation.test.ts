import t from 'tap'
import type { Node } from '../../../src/api/node.ts'
import type { Cluster } from '../../../src/api/swarm.ts'
import {
  planRotation,
  RENEWAL_WAIT_MS,
  RENEWALS_MAX,
} from '../../../src/manager/ca/plan-rotation.ts'
import { sampleCluster, sampleNode } from '../../support/objects.ts'

const info = (issuer: string, TrustRoot = 'old new') => ({
  ...{ TrustRoot, CertIssuerSubject: 'swarm-ca', CertIssuerPublicKey: issuer },
})

/** While `new` follows `old`. */
const rotating: Cluster = {
  ...sampleCluster(),
  TLSInfo: info('new-key'),
  RootRotationInProgress: true,
  Swarmctl: {
    ...sampleCluster().Swarmctl,
    RootRotation: { CACert: 'new', CAKey: '', CrossSignedCACert: '' },
  },
}

const node = (id: string, TLSInfo: Node['Description']['TLSInfo']): Node => {
  const sample = sampleNode(id, 1)
  return { ...sample, Description: { ...sample.Description, ...(TLSInfo && { TLSInfo }) } }
}

const NOW_MS = 1_000_000
const plan = (
  nodes: readonly Node[],
  connected: readonly string[],
  asked: Record<string, number> = {},
  cluster = rotating,
) => planRotation(cluster, nodes, new Set(connected), new Map(Object.entries(asked)), NOW_MS)

const [behind, certified] = [info('old-key'), info('new-key')]

t.test('who is behind and connected is asked', async (t) => {
  const nodes = [node('a', behind), node('b', certified), node('c', behind), node('d', undefined)]
  t.strictSame(plan(nodes, ['a', 'b', 'd']), { ask: ['a', 'd'], isDone: false })
})

t.test('the end waits for every node, also for one that is away', async (t) => {
  t.strictSame(plan([node('a', certified), node('b', behind)], ['a']), { ask: [], isDone: false })
  t.strictSame(
    plan([node('a', certified)], ['a']),
    { ask: [], isDone: true },
    'until it is removed',
  )
  t.notOk(plan([node('a', certified), node('b', undefined)], ['a']).isDone, 'or has just joined')
})

t.test('a node has to trust the new root too', async (t) => {
  const half = node('a', info('new-key', 'old'))
  t.strictSame(plan([half], ['a']), { ask: ['a'], isDone: false })
  t.strictSame(plan([node('a', { ...certified, CertIssuerSubject: 'other' })], ['a']).ask, ['a'])
})

t.test('a few at a time', async (t) => {
  const nodes = Array.from({ length: RENEWALS_MAX + 3 }, (_, i) => node(`n${i}`, behind))
  const ids = nodes.map(({ ID }) => ID)
  const first = plan(nodes, ids).ask
  t.strictSame(first, ids.slice(0, RENEWALS_MAX))
  const askedAt = (ms: number) => Object.fromEntries(first.map((id) => [id, ms]))
  t.strictSame(plan(nodes, ids, askedAt(NOW_MS)).ask, [], 'they are on it')
  const oneDone = [node('n0', certified), ...nodes.slice(1)]
  t.strictSame(plan(oneDone, ids, askedAt(NOW_MS)).ask, [ids[RENEWALS_MAX]])
  const stuck = askedAt(NOW_MS - RENEWAL_WAIT_MS)
  t.strictSame(plan(nodes, ids, stuck).ask, first, 'who does not do it holds up nobody')
  t.strictSame(plan(nodes, ids, askedAt(NOW_MS + 1)).ask, first, 'the clock was set back')
})

t.test('without a rotation too every node is brought to the CA that signs', async (t) => {
  const { RootRotation: _, ...Swarmctl } = rotating.Swarmctl
  const given: Cluster = { ...rotating, RootRotationInProgress: false, Swarmctl }
  const nodes = [node('a', info('new-key', 'x')), node('b', behind)]
  t.strictSame(plan(nodes, ['a', 'b'], {}, given).ask, ['b'], 'after a rotation that was given up')
})
