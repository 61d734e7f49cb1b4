import t from 'tap'
import { convert } from '../support/kubernetes/convert.ts'

const deployment = (name: string, pod = '', namespace = 'default') => `---
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}, namespace: ${namespace}}
spec: {selector: {matchLabels: {app: ${name}}}, template: {metadata: {labels: {app: ${name}}}, spec: {${pod} containers: [{image: web}]}}}
`
const service = (name: string, app: string, spec: string, namespace = 'default') => `---
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: ${namespace}}
spec: {selector: {app: ${app}}, ${spec}}
`

t.test('Services give names and ports', async (t) => {
  const NAMES = ['front', 'front.default', 'front.default.svc', 'front.default.svc.cluster.local']
  const cases: [spec: string, endpoint: object][] = [
    ['ports: [{port: 80}]', { Mode: 'vip', Ports: [] }],
    ['clusterIP: None', { Mode: 'dnsrr', Ports: [] }],
    [
      'type: LoadBalancer, ports: [{port: 80, targetPort: http}]',
      {
        Mode: 'vip',
        Ports: [{ Protocol: 'tcp', TargetPort: 8080, PublishedPort: 80, PublishMode: 'ingress' }],
      },
    ],
    [
      'type: NodePort, ports: [{port: 53, protocol: UDP, nodePort: 30053}, {port: 54}]',
      {
        Mode: 'vip',
        Ports: [
          { Protocol: 'udp', TargetPort: 53, PublishedPort: 30053, PublishMode: 'ingress' },
          { Protocol: 'tcp', TargetPort: 54, PublishMode: 'ingress' },
        ],
      },
    ],
  ]
  for (const [spec, endpoint] of cases) {
    const container = '{image: web, ports: [{name: http, containerPort: 8080}]}'
    const text = deployment('web').replace('{image: web}', container)
    const made = convert(text, service('front', 'web', spec))[0]?.services[0]
    t.strictSame(made?.EndpointSpec, endpoint, spec)
    t.strictSame(made?.TaskTemplate.Networks, [{ Target: 'default_pods', Aliases: NAMES }])
  }
})

t.test('a port of the nodes belongs to one service', async (t) => {
  const both = (spec: string, other = spec) =>
    convert(
      deployment('a'),
      deployment('b', '', 'ops'),
      service('one', 'a', spec),
      service('two', 'b', other, 'ops'),
    )
  t.throws(() => both('type: LoadBalancer, ports: [{port: 80}]'), {
    message:
      'app.yml:20: Service two: spec.ports would take port 80 of the nodes, which Service one has',
  })
  t.doesNotThrow(() => both('type: LoadBalancer, ports: [{port: 80}]', 'ports: [{port: 80}]'))
  t.doesNotThrow(() => both('type: NodePort, ports: [{port: 80, nodePort: 0}]'))
  t.doesNotThrow(() =>
    both(
      'type: LoadBalancer, ports: [{port: 80}]',
      'type: LoadBalancer, ports: [{port: 80, protocol: UDP}]',
    ),
  )
  const bound = 'hostNetwork: false, terminationGracePeriodSeconds: 3,'
  const onHost = (name: string) =>
    deployment(name, bound).replace(
      '{image: web}',
      '{image: web, ports: [{containerPort: 80, hostPort: 80}]}',
    )
  t.doesNotThrow(() => convert(onHost('a'), onHost('b')), 'tasks of different nodes')
  t.throws(
    () =>
      convert(
        onHost('a'),
        deployment('b'),
        service('s', 'b', 'type: LoadBalancer, ports: [{port: 80}]'),
      ),
    {
      message: /Service s: spec\.ports would take port 80 of the nodes, which Deployment a has$/,
    },
  )
})

t.test('a load balancer with a node port listens at both', async (t) => {
  const [made] = convert(
    deployment('a'),
    service(
      's',
      'a',
      'type: LoadBalancer, allocateLoadBalancerNodePorts: true, ports: [{port: 80, targetPort: 0, nodePort: 30080}]',
    ),
  )
  t.match(made?.services[0]?.EndpointSpec?.Ports, [
    { TargetPort: 80, PublishedPort: 80 },
    { TargetPort: 80, PublishedPort: 30080 },
  ])
})

t.test('headless Services', async (t) => {
  const headless = 'clusterIP: None, ports: [{port: 80, targetPort: 8080}]'
  const [made] = convert(deployment('a'), service('s', 'a', headless))
  t.strictSame(
    made?.services[0]?.EndpointSpec,
    { Mode: 'dnsrr', Ports: [] },
    'who resolves it asks the tasks themselves',
  )
  for (const [first, second] of [
    [headless, 'ports: [{port: 80}]'],
    ['ports: [{port: 80}]', headless],
  ] as const) {
    t.throws(() => convert(deployment('a'), service('s', 'a', first), service('s2', 'a', second)), {
      message: /Service s2: spec\.clusterIP must be None for all Services of a or for none/,
    })
  }
})

t.test('what a Service cannot be in front of, or be called', async (t) => {
  t.throws(
    () => convert(deployment('a', 'hostNetwork: true,'), service('s', 'a', 'ports: [{port: 80}]')),
    {
      message: /Service s: spec\.selector selects a, which is on its nodes' own network/,
    },
  )
  const crossed = (namespace: string) => [
    deployment('a', '', namespace),
    deployment('b', '', namespace),
    service('b', 'a', 'ports: [{port: 80}]', namespace),
  ]
  t.throws(() => convert(...crossed('default')), {
    message: /Service b: metadata\.name is also that of Deployment b, which it does not select/,
  })
  t.doesNotThrow(() => convert(...crossed('ops')), 'its service is called ops_b')
  const refused: [spec: string, message: RegExp][] = [
    ['ipFamilies: [IPv6]', /spec\.ipFamilies\.0 must be "IPv4"$/],
    [
      'ipFamilyPolicy: RequireDualStack',
      /spec\.ipFamilyPolicy must be "SingleStack" or "PreferDualStack"$/,
    ],
    ['sessionAffinity: ClientIP', /spec\.sessionAffinity must be "None"$/],
    ['type: NodePort, ports: [{port: 80, nodePort: 70000}]', /nodePort must be at most 65535$/],
  ]
  for (const [spec, message] of refused) {
    t.throws(() => convert(deployment('a'), service('s', 'a', spec)), { message })
  }
  t.throws(() => convert(deployment('a'), service('s', 'a', '').replace('{app: a}', '{}')), {
    message: /Service s: spec\.selector must not be empty$/,
  })
})

t.test('an address of its own is not taken, and that is said', async (t) => {
  const [made] = convert(
    deployment('a'),
    service('s', 'a', 'clusterIP: 10.0.0.7, ports: [{port: 80}]'),
  )
  t.strictSame(made?.notes, ['Service s: clusterIP is not taken: the cluster chooses the address'])
})
