import t from 'tap'
import {
  type ConstrainedNode,
  formatConstraint,
  matchesConstraint,
  parseConstraint,
  parseConstraints,
  unmetConstraint,
} from '../../src/api/constraint.ts'

const node: ConstrainedNode = {
  ID: 'node1abc',
  Spec: { Labels: { disk: 'ssd', Zone: 'A' }, Role: 'worker', Availability: 'active' },
  Description: {
    Hostname: 'h1',
    Platform: { Architecture: 'x86_64', OS: 'linux' },
    Resources: { NanoCPUs: 1, MemoryBytes: 1 },
    Engine: { EngineVersion: '', Labels: { storage: 'zfs' }, Plugins: [] },
    Swarmctl: {
      Version: '',
      DataPlane: 'kernel',
      DataPathAddr: '',
      EngineError: '',
      DataPlaneNote: '',
      HostSubnets: [],
    },
  },
  Status: { State: 'ready', Addr: '10.1.2.3' },
  Swarmctl: { Index: 1, ObservedRole: 'manager', Addr: '' },
}

t.test('match table', async (t) => {
  const cases: [expression: string, matches: boolean][] = [
    ['node.id==node1abc', true],
    ['node.id == NODE1ABC', true],
    ['node.id!=node1abc', false],
    ['node.hostname==h1', true],
    ['node.hostname!=h2', true],
    ['node.ip==10.1.2.3', true],
    ['node.ip==10.1.0.0/16', true],
    ['node.ip!=10.1.0.0/16', false],
    ['node.ip==10.2.0.0/16', false],
    ['node.ip==10.0.0.0/99', false],
    ['node.ip==256.0.0.1', false],
    ['node.ip==fe80::1', false],
    ['node.role==manager', true],
    ['node.role!=manager', false],
    ['node.platform.os==Linux', true],
    ['node.platform.arch==x86_64', true],
    ['node.platform.arch==amd64', true],
    ['node.platform.arch!=amd64', false],
    ['node.platform.arch==aarch64', false],
    ['node.labels.disk==ssd', true],
    ['node.labels.disk!=ssd', false],
    ['node.labels.missing!=ssd', true],
    ['node.labels.Zone==a', true],
    ['node.labels.zone==a', false],
    ['engine.labels.storage==zfs', true],
    ['engine.labels.storage!=zfs', false],
    // What every JavaScript object has is no label.
    ['node.labels.constructor==x', false],
    ['engine.labels.toString!=x', true],
  ]
  for (const [expression, matches] of cases) {
    t.equal(matchesConstraint(parseConstraint(expression), node), matches, expression)
  }
})

t.test('refused expressions', async (t) => {
  const cases: [expression: string, message: string][] = [
    ['node.id=x', 'constraint expected one operator from ==, !='],
    ['node.labels.a>3', 'constraint expected one operator from ==, !='],
    ['!node==x', "key '!node' is invalid"],
    ['node.color==red', "key 'node.color' is invalid"],
    ['node.labels.==red', "key 'node.labels.' is invalid"],
    ['node.id==', "value '' is invalid"],
    ['node.id==a>b', "value 'a>b' is invalid"],
  ]
  for (const [expression, message] of cases) {
    t.throws(() => parseConstraint(expression), { code: 'INVALID_ARGUMENT', message }, expression)
  }
})

t.test('the first unmet constraint is named', async (t) => {
  const constraints = parseConstraints(['node.role==manager', 'node.labels.disk == hdd'])
  const unmet = unmetConstraint(constraints, node)
  t.equal(unmet && formatConstraint(unmet), 'node.labels.disk==hdd')
  t.equal(unmetConstraint(parseConstraints(undefined), node), undefined)
})
