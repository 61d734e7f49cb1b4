import t from 'tap'
import { convert, deploymentOf } from '../support/kubernetes/convert.ts'

const deployment = (container = '', pod = '', spec = '', metadata = 'name: web') => `
apiVersion: apps/v1
kind: Deployment
metadata: {${metadata}}
spec: {${spec} selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web, tier: "front{{"}, annotations: {team: red}},
  spec: {${pod} containers: [{image: "nginx:1.27", ${container}}]}}}
`
const containerOf = (text: string) => convert(text)[0]?.services[0]?.TaskTemplate.ContainerSpec

t.test('texts that YAML 1.1 has dates and clock times for', async (t) => {
  const container = containerOf(
    deployment('env: [{name: DAY, value: 2020-01-31}, {name: AT, value: 12:30:45}]'),
  )
  t.strictSame(container?.Env, ['DAY=2020-01-31', 'AT=12:30:45'])
})

t.test(
  'lines of flow collections and quoted texts begin at any column, as for kubectl',
  async (t) => {
    const pod = `containers:
      - image: "nginx:1.27"
        args: [
"-c",
# a comment
"a
b"
]
        env: [{name: MODE, value: "x"}]`
    const text = `${deploymentOf(pod)}---
apiVersion: v1
kind: Widget
metadata: {name: here}
`
    t.throws(() => convert(text), { message: /^app\.yml:21: .*Widget is not supported/ })
    const args = containerOf(text.slice(0, text.indexOf('---')))?.Args
    t.strictSame(args, ['-c', 'a b'])
    t.strictSame(containerOf(text.slice(0, text.indexOf('---')).replaceAll('\n', '\r'))?.Args, args)
  },
)

t.test('one anchor may be used often, and numbers are as Go reads them', async (t) => {
  const names = Array.from({ length: 150 }, (_, at) => `{name: V${at}, value: *v}`).join(', ')
  const container = containerOf(deployment(`env: [{name: V, value: &v "1"}, ${names}]`))
  t.equal(container?.Env?.length, 151)
  const [made] = convert(
    deployment(
      'volumeMounts: [{name: v, mountPath: /v}]',
      'volumes: [{name: v, configMap: {name: conf, defaultMode: 0o400}}],',
    ),
    '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\ndata: {a: b}\n',
  )
  t.equal(made?.services[0]?.TaskTemplate.ContainerSpec?.Configs?.[0]?.File?.Mode, 0o400)
})

t.test('values of JSON one after the other, and lists of one kind', async (t) => {
  const map = (name: string) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name },
    data: { a: '}{ "' },
  })
  const text = `${JSON.stringify(map('a'), null, 2)}\n${JSON.stringify(map('b'))}${JSON.stringify({ ...map('c'), kind: 'Widget' })}\n`
  t.throws(() => convert(text), { message: /^app\.yml:11: .*Widget is not supported/ })
  const [made] = convert(text.replace('"Widget"', '"ConfigMap"'))
  t.match(made?.notes, [/^ConfigMap a:/, /^ConfigMap b:/, /^ConfigMap c:/])
  const { apiVersion: _, kind: __, ...item } = map('d')
  const list = { apiVersion: 'v1', kind: 'ConfigMapList', items: [item] }
  t.match(convert(JSON.stringify(list))[0]?.notes, [/^ConfigMap d:/])
  t.throws(() => convert(`${JSON.stringify(map('a'))}\n{"b": }`), { message: /not valid YAML/ })
})

t.test('files that no object can be read from', async (t) => {
  const cases: [text: string, message: RegExp][] = [
    ['kind: *nothing', /^app\.yml:1: not valid YAML: Unresolved alias/],
    [
      `a0: &a0 [x]\n${Array.from({ length: 7 }, (_, at) => `a${at + 1}: &a${at + 1} [${`*a${at},`.repeat(10)}]\n`).join('')}`,
      /^app\.yml:1: not valid YAML: aliases unfold to more than 1000000 nodes$/,
    ],
    ['&a\nkind: List\nitems: [*a]', /not valid YAML: an anchor contains its own alias$/],
    [
      'kind: List\nitems: [{kind: List, items: [{kind: List, items: []}]}]',
      /more than 2 Lists in each other$/,
    ],
    ['a: "\u0001"', /^app\.yml:1: not valid YAML: control characters are not allowed$/],
    ['a: [\n\tb\n\tc\n]', /^app\.yml:3: not valid YAML: found a tab character/],
    [
      'apiVersion: v1\nkind: constructor\nmetadata: {name: x}',
      /kind constructor is not supported: known are ConfigMap/,
    ],
    [
      'apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: x}',
      /ServiceAccount is not supported: there is no API of Kubernetes/,
    ],
  ]
  for (const [text, message] of cases) {
    t.throws(() => convert(text), { code: 'INVALID_ARGUMENT', message })
  }
})

t.test('what the API would refuse is refused with its place', async (t) => {
  const cases: [text: string, message: RegExp][] = [
    [
      deployment().replace('nginx:1.27', 'Nginx/Web'),
      /^app\.yml:6: Deployment web: .*\.image "Nginx\/Web" is no name of an image$/,
    ],
    [
      deployment('', '', '', 'name: a.b'),
      /^app\.yml:4: Deployment a\.b: metadata\.name as the service a\.b: name must be valid/,
    ],
    [
      deployment('', '', '', `name: ${'x'.repeat(60)}, namespace: ops`),
      /metadata\.name as the service ops_x+: name must be 63 characters or fewer$/,
    ],
    [
      deployment('', 'nodeSelector: {example.com/gpu: "1"},'),
      /nodeSelector\.example\.com\/gpu is not supported: a constraint can only name labels of nodes without "\/"$/,
    ],
    [deployment('', 'nodeSelector: {disk: ""},'), /nodeSelector\.disk value '' is invalid$/],
    [
      deployment(
        'volumeMounts: [{name: v, mountPath: here}]',
        'volumes: [{name: v, emptyDir: {}}],',
      ),
      /^app\.yml:2: Deployment web: invalid mount target/,
    ],
    [deployment('ports: [{containerPort: 0}]'), /containerPort must be at least 1$/],
    [deployment('', '', 'replicas: -1,'), /replicas must be at least 0$/],
    [deployment().replace(/containers: \[.*\]/, 'containers: []'), /containers must not be empty$/],
    [
      deployment('', '', 'strategy: {rollingUpdate: {maxSurge: 0%, maxUnavailable: 0}},'),
      /rollingUpdate\.maxUnavailable must not be 0 where maxSurge is 0/,
    ],
    [
      deployment('securityContext: {runAsUser: 0}', 'securityContext: {runAsNonRoot: true},'),
      /containers\.0\.securityContext\.runAsUser is root, which runAsNonRoot forbids$/,
    ],
  ]
  for (const [text, message] of cases) {
    t.throws(() => convert(text), { code: 'INVALID_ARGUMENT', message }, String(message))
  }
})

t.test(
  '$(NAME) and $$ are as in Kubernetes, and content from elsewhere is taken as it stands',
  async (t) => {
    const container = containerOf(
      `${deployment(
        `env: [{name: A, value: "1"}, {name: PASS, value: "a$$b$c$$(A)$(A)$(NO)"}, {name: RAW, valueFrom: {configMapKeyRef: {name: conf, key: k}}}],
       command: [sh, -c, "echo $$ $(RAW)"]`,
      )}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\ndata: {k: "x$$y$(A)"}\n`,
    )
    t.strictSame(container?.Env, ['A=1', 'PASS=a$b$c$(A)1$(NO)', 'RAW=x$$y$(A)'])
    t.strictSame(container?.Command, ['sh', '-c', 'echo $ x$$y$(A)'])
  },
)

t.test('what Kubernetes refuses as it could mean two things, or nothing', async (t) => {
  const conf = '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\ndata: {k: x}\n'
  const keyRef = 'configMapKeyRef: {name: conf, key: k}'
  const volume = (source: string) =>
    deployment('volumeMounts: [{name: v, mountPath: /v}]', `volumes: [{name: v, ${source}}],`)
  const cases: [text: string, message: RegExp][] = [
    [
      deployment(`env: [{name: A, value: "1", valueFrom: {${keyRef}}}]`),
      /env\.0\.valueFrom must not stand beside a value$/,
    ],
    [
      deployment(`env: [{name: A, valueFrom: {${keyRef}, fieldRef: {fieldPath: metadata.uid}}}]`),
      /env\.0\.valueFrom names two sources$/,
    ],
    [
      deployment('envFrom: [{configMapRef: {name: conf}, secretRef: {name: conf}}]'),
      /envFrom\.0 names two sources$/,
    ],
    [deployment('env: [{name: "A=B", value: x}]'), /env\.0\.name must not be empty, nor have/],
    [
      deployment('livenessProbe: {exec: {command: [a]}, tcpSocket: {port: 1}}'),
      /livenessProbe must be one of exec, httpGet and tcpSocket, not several$/,
    ],
    [deployment('livenessProbe: {exec: {command: []}}'), /exec\.command must not be empty$/],
    [
      deployment('livenessProbe: {tcpSocket: {port: 70000}}'),
      /tcpSocket\.port must be between 1 and 65535$/,
    ],
    [
      deployment('', '', 'strategy: {type: Recreate, rollingUpdate: {maxSurge: 1}},'),
      /rollingUpdate must not stand beside type: Recreate$/,
    ],
    [
      volume('emptyDir: {}, configMap: {name: conf}'),
      /volumes\.0 has several sources: configMap and emptyDir$/,
    ],
    [volume('emptyDir: {}}, {name: v, emptyDir: {}'), /volumes\.1\.name v is there twice$/],
    [
      volume('configMap: {name: conf, items: [{key: k, path: a/../../b}]}'),
      /a\/\.\.\/\.\.\/b must be a path inside the volume v$/,
    ],
  ]
  for (const [text, message] of cases) {
    t.throws(() => convert(text, conf), { code: 'INVALID_ARGUMENT', message }, String(message))
  }
  const optional = volume('configMap: {name: conf, optional: true, items: [{key: none, path: a}]}')
  t.strictSame(containerOf(`${optional}${conf}`)?.Configs, [], 'a key that may be missing')
})

t.test('spellings that Kubernetes takes', async (t) => {
  const service = convert(
    deployment(
      `securityContext: {capabilities: {drop: [all], add: [net_admin]}}, livenessProbe: {exec: {command: [ok]}, periodSeconds: 0, failureThreshold: 0},
       ports: [{containerPort: 80, hostPort: 0}],
       env: [{name: TIER, valueFrom: {fieldRef: {fieldPath: "metadata.labels['tier']"}}}, {name: TEAM, valueFrom: {fieldRef: {fieldPath: "metadata.annotations['team']"}}},
         {name: NONE, valueFrom: {fieldRef: {fieldPath: "metadata.labels['none']"}}}]`,
      'nodeSelector: {beta.kubernetes.io/os: linux, beta.kubernetes.io/arch: amd64}, securityContext: {fsGroup: 5, fsGroupChangePolicy: OnRootMismatch},',
    ),
  )[0]?.services[0]
  t.match(service?.TaskTemplate.ContainerSpec, {
    CapabilityAdd: ['CAP_NET_ADMIN'],
    CapabilityDrop: ['ALL'],
    Env: ['TIER=front{{"{{"}}', 'TEAM=red', 'NONE='],
    Healthcheck: { Interval: 10e9, Retries: 3 },
    Groups: ['5'],
  })
  t.strictSame(service?.TaskTemplate.Placement?.Constraints, [
    'node.platform.os==linux',
    'node.platform.arch==amd64',
  ])
  t.notOk(service?.EndpointSpec?.Ports, 'port 0 is none')
})

t.test('what is not taken and harms nothing is said', async (t) => {
  const [made] = convert(
    deployment(
      '',
      '',
      'revisionHistoryLimit: 3, progressDeadlineSeconds: 60,',
      'name: web, annotations: {a: "1", b: "2", c: "3", kubectl.kubernetes.io/x: "4"}',
    ) +
      `---
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {a: b}
---
apiVersion: v1
kind: Secret
metadata: {name: creds}
data: {}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: files}
spec: {resources: {requests: {storage: 1Gi}}}
`,
  )
  const unused = 'no workload of these files uses it: it becomes nothing'
  t.strictSame(made?.notes, [
    'Deployment web: annotations are not taken: a, b, c and 1 more',
    'Deployment web: revisionHistoryLimit is not taken: one former version is kept, for a rollback',
    'Deployment web: progressDeadlineSeconds is not taken: say --wait-limit',
    `ConfigMap conf: ${unused}`,
    `Secret creds: ${unused}`,
    `PersistentVolumeClaim files: ${unused}`,
  ])
})

t.test('a Namespace', async (t) => {
  const object = (more = '') => `
---
apiVersion: v1
kind: Namespace
metadata: {name: ops}
${more}
`
  const [made, second] = convert(deployment('', '', '', 'name: web, namespace: ops') + object())
  t.equal(second, undefined)
  t.match(made, { namespace: 'ops', services: [{ Name: 'ops_web' }] })
  t.match(convert(object()), [
    {
      namespace: 'ops',
      services: [],
      networks: [],
      notes: ['Namespace ops: has no objects in these files and becomes nothing'],
    },
  ])
  t.throws(() => convert(object('spec: {quota: 5}')), {
    message: /Namespace ops: spec\.quota is not supported$/,
  })
})

t.test('data of Secrets', async (t) => {
  const secret = (data: string) =>
    `${deployment(
      'volumeMounts: [{name: v, mountPath: /v}]',
      'volumes: [{name: v, secret: {secretName: s}}],',
    )}---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\n${data}`
  t.match(
    convert(secret('data:\n  k: |\n    YWJj\n    ZGVm\n'))[0]?.secrets,
    [{ Data: 'YWJjZGVm' }],
    'lines are joined',
  )
  const cases: [data: string, message: RegExp][] = [
    [
      'data: {k: "s3cret!"}',
      /^app\.yml:11: Secret s: data\.k must be base64: what is plain text stands under stringData$/,
    ],
    ['data: {k: YWI}', /data\.k must be base64/],
    ['stringData: {k: ""}', /volumeMounts\.0 Secret s: k: secret data must be larger than 0/],
    ['stringData: {k: 5}', /stringData\.k must be of type string: write it in quotes$/],
  ]
  for (const [data, message] of cases) t.throws(() => convert(secret(data)), { message })
})
