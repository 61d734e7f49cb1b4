import t from 'tap'
import type { SwarmctlError } from '../../src/api/errors.ts'
import type { ServiceSpec } from '../../src/api/service-spec.ts'
import { expandTemplate, templateContext } from '../../src/api/task-template.ts'
import { parseServiceRequest } from '../../src/api/validate/service.ts'
import { convert } from '../support/kubernetes/convert.ts'
import { sampleTask } from '../support/objects.ts'

/** The only service of the manifests of the only namespace. */
const serviceOf = (text: string): ServiceSpec => {
  const [namespace] = convert(text)
  const [service] = namespace?.services ?? []
  if (service === undefined || namespace?.services.length !== 1) throw new Error('one service')
  // What it becomes must be something that the API takes.
  t.strictSame(parseServiceRequest(service).warnings, [], 'every field is known')
  return service
}

/** A Deployment `web` with more in its pod, its container and its spec, as flow YAML. */
const deployment = (container = '', pod = '', spec = ''): string => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {${spec} selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web, tier: front}},
  spec: {${pod} containers: [{name: web, image: "nginx:1.27", ${container}}]}}}
`

t.test('the usual Deployment of three replicas', async (t) => {
  const service = serviceOf(`
apiVersion: apps/v1
kind: Deployment
metadata:
  name: nginx-deployment
  labels:
    app: nginx
spec:
  replicas: 3
  selector:
    matchLabels:
      app: nginx
  template:
    metadata:
      labels:
        app: nginx
    spec:
      containers:
      - name: nginx
        image: nginx:1.14.2
        ports:
        - containerPort: 80
`)
  t.strictSame(service, {
    Name: 'nginx-deployment',
    Labels: {
      app: 'nginx',
      'com.docker.stack.namespace': 'default',
      'com.docker.stack.image': 'nginx:1.14.2',
    },
    TaskTemplate: {
      ContainerSpec: {
        Image: 'nginx:1.14.2',
        Env: [],
        Mounts: [],
        Configs: [],
        Secrets: [],
        StopGracePeriod: 30e9,
        Privileges: { NoNewPrivileges: false },
        Labels: { app: 'nginx' },
      },
      Resources: {},
      Placement: {},
      Networks: [{ Target: 'default_pods' }],
      ForceUpdate: 0,
      RestartPolicy: { Condition: 'any' },
    },
    Mode: { Replicated: { Replicas: 3 } },
    UpdateConfig: { Parallelism: 1, Order: 'start-first' },
    EndpointSpec: { Mode: 'vip' },
  })
})

t.test('what a container says', async (t) => {
  const { TaskTemplate, EndpointSpec, UpdateConfig } = serviceOf(
    deployment(
      `command: [/bin/sh, -c], args: ["echo $(A) $$(B) $(NONE)"], workingDir: /srv, tty: true, stdin: true,
       env: [{name: A, value: "1"}, {name: C, value: "$(A)2"}, {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}],
       ports: [{name: http, containerPort: 80}, {containerPort: 53, hostPort: 5353, protocol: UDP}],
       resources: {limits: {cpu: 500m, memory: 128Mi, nvidia.com/gpu: 1}, requests: {cpu: "0.25", memory: 64M}},
       securityContext: {runAsUser: 1000, runAsGroup: 2000, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false,
         privileged: true, capabilities: {add: [NET_ADMIN], drop: [ALL]}}`,
      `terminationGracePeriodSeconds: 5, nodeSelector: {disk: ssd, kubernetes.io/hostname: h1}, hostname: box, hostPID: true,
       hostAliases: [{ip: 10.0.0.1, hostnames: [a, b]}], dnsConfig: {nameservers: [1.1.1.1], options: [{name: ndots, value: "2"}]},
       securityContext: {fsGroup: 3000, sysctls: [{name: net.core.somaxconn, value: "512"}]}, tolerations: [{operator: Exists}],
       topologySpreadConstraints: [{topologyKey: zone, whenUnsatisfiable: ScheduleAnyway, maxSkew: 1}],`,
    ),
  )
  t.match(TaskTemplate, {
    ContainerSpec: {
      Command: ['/bin/sh', '-c'],
      Args: ['echo 1 $(B) $(NONE)'],
      Dir: '/srv',
      TTY: true,
      OpenStdin: true,
      Env: ['A=1', 'C=12', 'POD={{.Task.Name}}'],
      Hostname: 'box',
      Hosts: ['10.0.0.1 a b'],
      DNSConfig: { Nameservers: ['1.1.1.1'], Options: ['ndots:2'] },
      User: '1000:2000',
      Groups: ['3000'],
      ReadOnly: true,
      Sysctls: { 'net.core.somaxconn': '512' },
      CapabilityAdd: ['CAP_NET_ADMIN'],
      CapabilityDrop: ['ALL'],
      Privileges: { NoNewPrivileges: true },
      StopGracePeriod: 5e9,
      Swarmctl: {
        Privileged: true,
        PidMode: 'host',
        DeviceRequests: [{ Driver: 'nvidia', Count: 1, Capabilities: [['gpu']] }],
      },
    },
    Resources: {
      Limits: { NanoCPUs: 5e8, MemoryBytes: 128 << 20 },
      Reservations: { NanoCPUs: 25e7, MemoryBytes: 64e6 },
    },
    Placement: {
      Constraints: ['node.labels.disk==ssd', 'node.hostname==h1'],
      Preferences: [{ Spread: { SpreadDescriptor: 'node.labels.zone' } }],
    },
  })
  t.strictSame(EndpointSpec?.Ports, [
    { Protocol: 'udp', TargetPort: 53, PublishedPort: 5353, PublishMode: 'host' },
  ])
  t.equal(
    UpdateConfig?.Order,
    'stop-first',
    'a port of the node is free only when the old task has ended',
  )
  const host = serviceOf(deployment('', 'hostNetwork: true,'))
  t.match(host.TaskTemplate.Networks, [{ Target: 'host' }])
})

t.test('an empty name of a node is none, nor are no names of secrets any', async (t) => {
  const [namespace] = convert(deployment('', 'nodeName: "", imagePullSecrets: [],'))
  t.strictSame(namespace?.services[0]?.TaskTemplate.Placement, {})
  t.strictSame(namespace?.notes, [])
})

t.test('braces of a manifest are text, fields of the pod are not', async (t) => {
  const fields = `{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}`
  const { TaskTemplate } = serviceOf(
    deployment(`args: ["-f=$(F)"], env: [{name: F, value: "{{.Name}}"}, ${fields}]`),
  )
  t.strictSame(TaskTemplate.ContainerSpec?.Args, ['-f={{.Name}}'])
  const Platform = { Architecture: 'x86_64', OS: 'linux' }
  const context = templateContext(sampleTask('t', 's'), { Hostname: 'h', Platform })
  const filled = TaskTemplate.ContainerSpec?.Env?.map((line) => expandTemplate(line, context))
  t.strictSame(filled, ['F={{.Name}}', `POD=${context.Task.Name}`])
})

t.test('rolling updates', async (t) => {
  const cases: [spec: string, update: object][] = [
    ['replicas: 10,', { Parallelism: 3, Order: 'start-first' }],
    ['strategy: {type: Recreate},', { Parallelism: 0, Order: 'stop-first' }],
    [
      'replicas: 8, minReadySeconds: 7, strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 50%}},',
      { Parallelism: 4, Order: 'stop-first', Monitor: 7e9 },
    ],
    ['strategy: {rollingUpdate: {maxSurge: 2}},', { Parallelism: 2, Order: 'start-first' }],
  ]
  for (const [spec, update] of cases) {
    t.strictSame(serviceOf(deployment('', '', spec)).UpdateConfig, update, spec)
  }
})

t.test('probes', async (t) => {
  const check = (container: string) =>
    serviceOf(deployment(container)).TaskTemplate.ContainerSpec?.Healthcheck
  t.strictSame(check('livenessProbe: {exec: {command: [test, -f, /x]}, periodSeconds: 5}'), {
    Test: ['CMD', 'test', '-f', '/x'],
    Interval: 5e9,
    Timeout: 1e9,
    Retries: 3,
  })
  t.strictSame(
    check(
      `ports: [{name: http, containerPort: 8080}], readinessProbe: {httpGet: {path: /ok, port: http, httpHeaders: [{name: A, value: "b'c"}]},
       initialDelaySeconds: 3, timeoutSeconds: 2, failureThreshold: 5}`,
    ),
    {
      Test: [
        'CMD-SHELL',
        `if command -v curl >/dev/null; then curl -fsSk -o /dev/null -H 'A: b'\\''c' 'http://127.0.0.1:8080/ok'; ` +
          `else wget -q -O /dev/null --header 'A: b'\\''c' 'http://127.0.0.1:8080/ok'; fi || exit 1`,
      ],
      Interval: 10e9,
      Timeout: 2e9,
      Retries: 5,
      StartPeriod: 600e9,
    },
    'a readiness probe that does not pass yet ends no container',
  )
  t.match(
    check('readinessProbe: {tcpSocket: {port: 1}, periodSeconds: 1, initialDelaySeconds: 700}'),
    {
      Interval: 1e9,
      StartPeriod: 700e9,
      StartInterval: 1e9,
    },
  )
  t.match(
    check('livenessProbe: {tcpSocket: {port: 1}, periodSeconds: 3, initialDelaySeconds: 300}'),
    {
      StartPeriod: 300e9,
      StartInterval: 3e9,
    },
  )
  t.match(
    check(
      'livenessProbe: {tcpSocket: {port: 5432}}, startupProbe: {tcpSocket: {port: 5432}, periodSeconds: 2, failureThreshold: 30}',
    ),
    { Test: [/^CMD-SHELL$/, /nc -z 127\.0\.0\.1 5432/], StartPeriod: 60e9, StartInterval: 2e9 },
  )
  const [{ notes } = { notes: [] }] = convert(
    deployment('livenessProbe: {exec: {command: [a]}}, readinessProbe: {exec: {command: [b]}}'),
  )
  t.match(notes, [/^Deployment web: readinessProbe: the livenessProbe decides both/])
})

const DATA = `
---
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {app.ini: "x=1", LEVEL: debug}
---
apiVersion: v1
kind: Secret
metadata: {name: creds}
stringData: {password: s3cret}
data: {user: YWRtaW4=}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: files}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
`

t.test('ConfigMaps, Secrets and volumes', async (t) => {
  const text =
    deployment(
      `envFrom: [{configMapRef: {name: conf}, prefix: C_}, {secretRef: {name: gone, optional: true}}],
       env: [{name: USER, valueFrom: {secretKeyRef: {name: creds, key: user}}}],
       volumeMounts: [{name: conf, mountPath: /etc/app}, {name: conf, mountPath: /app.ini, subPath: app.ini}, {name: creds, mountPath: /creds},
         {name: files, mountPath: /files, subPath: a, readOnly: true}, {name: tmp, mountPath: /tmp}, {name: cache, mountPath: /cache}, {name: log, mountPath: /log}]`,
      `volumes: [{name: conf, configMap: {name: conf}}, {name: creds, secret: {secretName: creds, items: [{key: password, path: pw}], defaultMode: 0400}},
         {name: files, persistentVolumeClaim: {claimName: files}}, {name: tmp, emptyDir: {medium: Memory, sizeLimit: 1Mi}}, {name: cache, emptyDir: {}},
         {name: log, hostPath: {path: /var/log/x, type: DirectoryOrCreate}}],`,
    ) + DATA
  const [namespace] = convert(text)
  const container = serviceOf(text).TaskTemplate.ContainerSpec
  t.strictSame(container?.Env, ['C_app.ini=x=1', 'C_LEVEL=debug', 'USER=admin'])
  t.match(container?.Configs, [
    {
      File: { Name: '/etc/app/app.ini', Mode: 0o644 },
      ConfigName: /^conf\.app\.ini-[0-9a-f]{10}$/,
    },
    { File: { Name: '/etc/app/LEVEL' }, ConfigName: /^conf\.LEVEL-/ },
    { File: { Name: '/app.ini' }, ConfigName: container?.Configs?.[0]?.ConfigName },
  ])
  t.match(container?.Secrets, [
    { File: { Name: '/creds/pw', Mode: 0o400 }, SecretName: /^creds\.password$/ },
  ])
  t.match(container?.Mounts, [
    {
      Type: 'volume',
      Source: 'default_files',
      Target: '/files',
      ReadOnly: true,
      VolumeOptions: { NoCopy: true, Subpath: 'a' },
      Swarmctl: { VolumeMode: 0o777 },
    },
    { Type: 'tmpfs', Target: '/tmp', TmpfsOptions: { SizeBytes: 1 << 20 } },
    {
      Type: 'volume',
      Target: '/cache',
      VolumeOptions: { NoCopy: true },
      Swarmctl: { VolumeMode: 0o777 },
    },
    { Type: 'bind', Source: '/var/log/x', Target: '/log', Swarmctl: { CreateMountpoint: true } },
  ])
  t.match(
    namespace?.configs.map(({ Data }) => Buffer.from(Data, 'base64').toString()),
    ['debug', 'x=1'],
  )
  t.match(namespace?.secrets, [{ Data: Buffer.from('s3cret').toString('base64') }])
  t.match(namespace?.notes, [
    /^Deployment web: Secret creds: as a variable its content stands in the service's spec/,
    /^Deployment web: PersistentVolumeClaim files: is a volume of the node/,
  ])
  const other = convert(text.replace('x=1', 'x=2'))[0]
  t.not(other?.configs[1]?.Name, namespace?.configs[1]?.Name, 'other content is another config')
  t.equal(other?.configs[0]?.Name, namespace?.configs[0]?.Name)
})

t.test('DaemonSets, Jobs, Lists and namespaces', async (t) => {
  const pod =
    'template: {metadata: {labels: {a: b}}, spec: {RESTART containers: [{name: c, image: i}]}}'
  const daemon = serviceOf(
    `{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: d}, spec: {selector: {matchLabels: {a: b}}, ${pod.replace('RESTART', '')}}}`,
  )
  t.match(daemon, { Mode: { Global: {} }, UpdateConfig: { Parallelism: 1, Order: 'stop-first' } })
  const job = `{apiVersion: batch/v1, kind: Job, metadata: {name: j, namespace: ops}, spec: {completions: 5, parallelism: 2, backoffLimit: 1, ${pod.replace('RESTART', 'restartPolicy: Never,')}}}`
  t.match(serviceOf(job), {
    Name: 'ops_j',
    Labels: { 'com.docker.stack.namespace': 'ops' },
    Mode: { ReplicatedJob: { TotalCompletions: 5, MaxConcurrent: 2 } },
    TaskTemplate: {
      RestartPolicy: { Condition: 'on-failure', MaxAttempts: 1 },
      Networks: [{ Target: 'ops_pods' }],
    },
  })
  t.strictSame(
    serviceOf(job.replace('backoffLimit: 1', 'backoffLimit: 0')).TaskTemplate.RestartPolicy,
    { Condition: 'none' },
    'the API takes 0 attempts for any number',
  )
  const refused: [text: string, message: RegExp][] = [
    [job.replace('completions: 5, ', ''), /Job j: spec\.parallelism needs completions/],
    [
      job.replace('completions: 5', 'completions: 0'),
      /Job j: spec\.completions must be at least 1/,
    ],
    [job.replace('parallelism: 2', 'parallelism: 0'), /Job j: spec\.parallelism must not be 0/],
    [
      `{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: d}, spec: {selector: {matchLabels: {a: b}}, updateStrategy: {rollingUpdate: {maxSurge: 1}}, ${pod.replace('RESTART', '')}}}`,
      /rollingUpdate\.maxSurge is not supported: a node runs one task/,
    ],
  ]
  for (const [text, message] of refused) t.throws(() => convert(text), { message })
  const list = convert(
    `{apiVersion: v1, kind: List, items: [${job}, ${job.replace(', namespace: ops', '')}]}`,
  )
  t.strictSame(
    list.map(({ namespace, services, networks }) => [
      namespace,
      services[0]?.Name,
      networks[0]?.Name,
    ]),
    [
      ['default', 'j', 'default_pods'],
      ['ops', 'ops_j', 'ops_pods'],
    ],
  )
})

t.test('the rest is refused by name, in one line', async (t) => {
  const bad = (container: string, pod = '', spec = '') => deployment(container, pod, spec)
  const object = (kind: string, apiVersion = 'v1', spec = '{}') =>
    `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: x}\nspec: ${spec}\n`
  const cases: [text: string, message: string | RegExp][] = [
    [
      object('StatefulSet', 'apps/v1'),
      'app.yml:2: StatefulSet x: kind StatefulSet is not supported: make it a Deployment of one replica for each member',
    ],
    [object('Ingress', 'networking.k8s.io/v1'), /publish the Service with type: LoadBalancer/],
    [
      object('Widget', 'example.com/v1'),
      /kind Widget is not supported: known are ConfigMap, Secret/,
    ],
    [
      object('Deployment', 'extensions/v1beta1'),
      'app.yml:1: Deployment x: apiVersion must be apps/v1, not extensions/v1beta1',
    ],
    [object('Deployment', 'apps/v1'), 'app.yml:4: Deployment x: spec.selector is missing'],
    ['kind: Deployment', 'app.yml:1: Deployment: apiVersion is missing'],
    ['apiVersion: v1\nkind: Secret', 'app.yml:1: Secret: metadata.name is missing'],
    [
      'apiVersion: v1\nkind: Secret\nmetadata: {name: n}',
      'app.yml:1: Secret: metadata.name is a boolean, not a text: quote it',
    ],
    ['- a', 'app.yml:1: an object must be a mapping'],
    ['a: [\n', /^app\.yml:\d: not valid YAML: /],
    [
      `${deployment()}---${deployment()}`,
      /Deployment web: metadata\.name is there twice, also at app\.yml:4$/,
    ],
    [
      bad('lifecycle: {preStop: {}}'),
      'app.yml:6: Deployment web: spec.template.spec.containers.0.lifecycle is not supported: an Engine has no hooks; connections drain before a task gets its stop signal',
    ],
    [
      bad('', 'initContainers: [],'),
      /spec\.template\.spec\.initContainers is not supported: a task is one container/,
    ],
    [bad('', 'affinity: {},'), /spec\.template\.spec\.affinity is not supported: say nodeSelector/],
    [
      bad('', 'serviceAccountName: robot,'),
      /serviceAccountName must be "default": a task has no account/,
    ],
    [
      bad('', 'restartPolicy: Never,'),
      /spec\.template\.spec\.restartPolicy must be Always, not Never$/,
    ],
    [bad('', '', 'paused: true,'), /spec\.paused is not supported$/],
    [bad('', '', 'replicas: two,'), /spec\.replicas must be of type number$/],
    [
      bad('env: [{name: A, value: 3}]'),
      /env\.0\.value must be of type string: write it in quotes$/,
    ],
    [
      bad('').replace('matchLabels: {app: web}', 'matchLabels: {app: x}'),
      /spec\.selector\.matchLabels\.app selects app=x, which the template's labels don't have$/,
    ],
    [
      bad('').replace('}]}}}', '}, {image: i2}]}}}'),
      /spec\.template\.spec\.containers\.1 a task is one container/,
    ],
    [
      bad('securityContext: {runAsGroup: 5}'),
      /containers\.0\.securityContext\.runAsGroup needs runAsUser/,
    ],
    [
      bad(
        'command: ["x", "$(P)"], env: [{name: P, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}]',
      ),
      /containers\.0\.command\.1 names P, a field of the pod/,
    ],
    [bad('resources: {limits: {cpu: lots}}'), /resources\.limits\.cpu lots is no quantity$/],
    [
      bad('resources: {limits: {ephemeral-storage: 1Gi}}'),
      /limits\.ephemeral-storage is not supported$/,
    ],
    [bad('volumeMounts: [{name: v, mountPath: /v}]'), /volumeMounts\.0 there is no volume v$/],
    [
      bad(
        'volumeMounts: [{name: v, mountPath: /v}]',
        'volumes: [{name: v, configMap: {name: c}}],',
      ),
      /there is no ConfigMap c in these files: apply it along$/,
    ],
    [
      bad(
        'volumeMounts: [{name: v, mountPath: /v}]',
        'volumes: [{name: v, persistentVolumeClaim: {claimName: c}}],',
      ),
      /there is no PersistentVolumeClaim c in these files/,
    ],
    [
      bad('', 'volumes: [{name: v, nfs: {}}],'),
      /volumes\.0\.nfs is not supported: known are configMap, secret, emptyDir/,
    ],
    [
      bad('env: [{name: A, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]'),
      /fieldRef\.fieldPath status\.podIP is not supported$/,
    ],
    [bad('livenessProbe: {grpc: {port: 1}}'), /livenessProbe\.grpc is not supported: say exec/],
    [
      bad('livenessProbe: {httpGet: {port: web}}'),
      /livenessProbe\.httpGet\.port the container has no port named web$/,
    ],
    [bad('livenessProbe: {}'), /livenessProbe needs exec, httpGet or tcpSocket$/],
    [
      deployment() +
        '---\n' +
        object('Service', 'v1', '{selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}'),
      /Service x: spec\.ports\.0\.port leads to port 8080 of the containers/,
    ],
    [
      `${deployment()}---\n${object('Service', 'v1', '{selector: {app: other}}')}`,
      /spec\.selector must select one workload of these files, but selects nothing$/,
    ],
    [
      object('Service', 'v1', '{type: ExternalName}'),
      /spec\.type must be "ClusterIP" or "NodePort" or "LoadBalancer"$/,
    ],
    [
      object('PersistentVolumeClaim', 'v1', '{accessModes: [ReadWriteMany]}'),
      /spec\.accessModes\.0 must be ReadWriteOnce or ReadWriteOncePod: a volume is a folder of one node$/,
    ],
    [
      object('PersistentVolumeClaim', 'v1', '{storageClassName: fast}'),
      /spec\.storageClassName must be left out/,
    ],
  ]
  for (const [text, message] of cases) {
    t.throws(() => convert(text), { code: 'INVALID_ARGUMENT', message }, String(message))
    try {
      convert(text)
    } catch (thrown) {
      t.notMatch((thrown as SwarmctlError).message, '\n', 'one line')
    }
  }
})
