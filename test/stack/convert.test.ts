import t from 'tap'
import { parseNetworkCreate } from '../../src/api/validate/network.ts'
import { convert, convertOne } from '../support/stack/memory-stack.ts'

const s = 1_000_000_000
const labels = { 'com.docker.stack.namespace': 'demo' }

t.test('the smallest service', async (t) => {
  t.strictSame(await convert('services: {web: {image: "nginx"}}'), {
    networks: [
      {
        Name: 'demo_default',
        Driver: 'overlay',
        Scope: '',
        Internal: false,
        Attachable: false,
        Ingress: false,
        ConfigOnly: false,
        Options: {},
        Labels: labels,
      },
    ],
    secrets: [],
    configs: [],
    services: [
      {
        Name: 'demo_web',
        Labels: { ...labels, 'com.docker.stack.image': 'nginx' },
        TaskTemplate: {
          ContainerSpec: {
            Image: 'nginx:latest',
            Env: [],
            Labels: labels,
            Mounts: [],
            Secrets: [],
            Configs: [],
            Privileges: { NoNewPrivileges: false },
            CapabilityAdd: [],
            CapabilityDrop: [],
            Ulimits: [],
          },
          Resources: {},
          Placement: {},
          Networks: [{ Target: 'demo_default', Aliases: ['web'] }],
          ForceUpdate: 0,
        },
        Mode: { Replicated: {} },
        EndpointSpec: { Ports: [] },
      },
    ],
    externalNetworks: [],
    externalSecrets: [],
    externalConfigs: [],
  })
})

t.test('names that JavaScript objects have by themselves', async (t) => {
  const { services } = await convert(`
services:
  constructor: {image: i, environment: {__proto__: a, constructor: b}, labels: {__proto__: c}}
`)
  const [service] = services
  t.equal(service?.Name, 'demo_constructor')
  t.strictSame(service?.TaskTemplate.ContainerSpec?.Env, ['__proto__=a', 'constructor=b'])
  t.ok(Object.hasOwn(service?.TaskTemplate.ContainerSpec?.Labels ?? {}, '__proto__'))
})

t.test('keys that become a part of the container', async (t) => {
  const cases: [keys: string, part: Record<string, unknown>][] = [
    ['command: sh -c "a b"', { Args: ['sh', '-c', 'a b'] }],
    ['entrypoint: [a, b c]', { Command: ['a', 'b c'] }],
    ['hostname: "{{.Node.Hostname}}"', { Hostname: '{{.Node.Hostname}}' }],
    ['environment: {B: 010, A: , C: "", D: 1e6}', { Env: ['A', 'B=8', 'C=', 'D=1e+06'] }],
    ['environment: [B=x=y, A]', { Env: ['A', 'B=x=y'] }],
    ['labels: {b: 1, a: }', { Labels: { b: '1', a: '', ...labels } }],
    ['labels: [a, b=c]', { Labels: { a: '', b: 'c', ...labels } }],
    ['extra_hosts: ["h:1.2.3.4", "g=[::1]"]', { Hosts: ['1.2.3.4 h', '::1 g'] }],
    ['extra_hosts: {b: 1.2.3.4, a: "::1"}', { Hosts: ['::1 a', '1.2.3.4 b'] }],
    [
      'dns: 1.1.1.1, dns_search: [a.b]',
      { DNSConfig: { Nameservers: ['1.1.1.1'], Search: ['a.b'] } },
    ],
    [
      'stop_grace_period: 1m, stop_signal: SIGINT',
      { StopGracePeriod: 60 * s, StopSignal: 'SIGINT' },
    ],
    [
      'init: false, read_only: true, tty: true, stdin_open: true',
      { Init: false, ReadOnly: true, TTY: true, OpenStdin: true },
    ],
    ['sysctls: [net.core.somaxconn=1024]', { Sysctls: { 'net.core.somaxconn': '1024' } }],
    [
      'cap_add: [net_admin], cap_drop: [ALL]',
      { CapabilityAdd: ['CAP_NET_ADMIN'], CapabilityDrop: ['ALL'] },
    ],
    [
      'ulimits: {nproc: 5, core: {soft: 0, hard: -1}}',
      {
        Ulimits: [
          { Name: 'core', Soft: 0, Hard: -1 },
          { Name: 'nproc', Soft: 5, Hard: 5 },
        ],
      },
    ],
    ['healthcheck: {disable: true}', { Healthcheck: { Test: ['NONE'] } }],
    [
      'healthcheck: {test: curl x, interval: 5s, timeout: 1m, retries: 3, start_period: 0s, start_interval: 2s}',
      {
        Healthcheck: {
          Test: ['CMD-SHELL', 'curl x'],
          Timeout: 60 * s,
          Interval: 5 * s,
          Retries: 3,
          StartInterval: 2 * s,
        },
      },
    ],
    ['healthcheck: {test: [CMD, a]}', { Healthcheck: { Test: ['CMD', 'a'] } }],
    [
      'user: "1:1", working_dir: /w, isolation: default',
      { User: '1:1', Dir: '/w', Isolation: 'default' },
    ],
    ['oom_score_adj: -5', { OomScoreAdj: -5 }],
    [
      'credential_spec: {file: f}',
      { Privileges: { CredentialSpec: { File: 'f' }, NoNewPrivileges: false } },
    ],
  ]
  for (const [keys, part] of cases) {
    const container = (await convertOne(keys)).TaskTemplate.ContainerSpec
    t.match(container, part, keys)
  }
})

t.test('keys that become a part of the service', async (t) => {
  const cases: [keys: string, part: Record<string, unknown>][] = [
    ['deploy: {mode: global}', { Mode: { Global: {} } }],
    ['deploy: {mode: replicated, replicas: 0}', { Mode: { Replicated: { Replicas: 0 } } }],
    [
      'deploy: {mode: replicated-job, replicas: 3}',
      { Mode: { ReplicatedJob: { MaxConcurrent: 3, TotalCompletions: 3 } } },
    ],
    ['deploy: {mode: global-job}', { Mode: { GlobalJob: {} } }],
    ['deploy: {labels: {a: b}}', { Labels: { a: 'b', ...labels } }],
    [
      'deploy: {update_config: {parallelism: 0, delay: 1s, monitor: 2s, failure_action: rollback, max_failure_ratio: 0.25, order: start-first}}',
      {
        UpdateConfig: {
          Parallelism: 0,
          Delay: s,
          Monitor: 2 * s,
          FailureAction: 'rollback',
          MaxFailureRatio: 0.25,
          Order: 'start-first',
        },
      },
    ],
    ['deploy: {rollback_config: {}}', { RollbackConfig: { Parallelism: 1, MaxFailureRatio: 0 } }],
    [
      'deploy: {resources: {limits: {cpus: "0.5", memory: 10M, pids: 9}, reservations: {cpus: "1", generic_resources: [{discrete_resource_spec: {kind: gpu, value: 2}}]}}}',
      {
        TaskTemplate: {
          Resources: {
            Limits: { NanoCPUs: 5e8, MemoryBytes: 10_485_760, Pids: 9 },
            Reservations: {
              NanoCPUs: 1e9,
              GenericResources: [{ DiscreteResourceSpec: { Kind: 'gpu', Value: 2 } }],
            },
          },
        },
      },
    ],
    [
      'deploy: {placement: {constraints: [node.role == worker], preferences: [{spread: node.labels.z}], max_replicas_per_node: 2}}',
      {
        TaskTemplate: {
          Placement: {
            Constraints: ['node.role == worker'],
            Preferences: [{ Spread: { SpreadDescriptor: 'node.labels.z' } }],
            MaxReplicas: 2,
          },
        },
      },
    ],
    ['restart: unless-stopped', { TaskTemplate: { RestartPolicy: { Condition: 'any' } } }],
    [
      'restart: on-failure:3',
      { TaskTemplate: { RestartPolicy: { Condition: 'on-failure', MaxAttempts: 3 } } },
    ],
    [
      'restart: always, deploy: {restart_policy: {condition: none, delay: 0s, max_attempts: 0, window: 5s}}',
      {
        TaskTemplate: {
          RestartPolicy: { Condition: 'none', Delay: 0, MaxAttempts: 0, Window: 5 * s },
        },
      },
    ],
    [
      'logging: {driver: json-file, options: {max-file: 3}}',
      { TaskTemplate: { LogDriver: { Name: 'json-file', Options: { 'max-file': '3' } } } },
    ],
    [
      'deploy: {endpoint_mode: DNSRR}, ports: [{target: 80, published: 81, mode: host}, {target: 53, published: 53, protocol: udp, mode: host}]',
      {
        EndpointSpec: {
          Mode: 'dnsrr',
          Ports: [
            { Protocol: 'udp', TargetPort: 53, PublishedPort: 53, PublishMode: 'host' },
            { TargetPort: 80, PublishedPort: 81, PublishMode: 'host' },
          ],
        },
      },
    ],
    [
      'ports: ["81:80", {target: 53, published: 53, protocol: udp, mode: host}, "53:53"]',
      {
        EndpointSpec: {
          Ports: [
            { Protocol: 'udp', TargetPort: 53, PublishedPort: 53, PublishMode: 'host' },
            { Protocol: 'tcp', TargetPort: 53, PublishedPort: 53, PublishMode: 'ingress' },
            { Protocol: 'tcp', TargetPort: 80, PublishedPort: 81, PublishMode: 'ingress' },
          ],
        },
      },
    ],
    ['x-swarmctl: {drain_limit: 1m30s}', { Swarmctl: { DrainLimit: 90 * s } }],
    ['x-swarmctl: {DrainLimit: 5}', { Swarmctl: { DrainLimit: 5 } }],
    [
      'deploy: {mode: replicated-job}, x-swarmctl: {schedule: {cron: 0 3 * * *, time_zone: Europe/Berlin, concurrency_policy: Forbid, starting_deadline: 10m, suspend: true, completed_history_limit: 5, failed_history_limit: 0}}',
      {
        Mode: { ReplicatedJob: {} },
        Swarmctl: {
          Schedule: {
            Cron: '0 3 * * *',
            TimeZone: 'Europe/Berlin',
            ConcurrencyPolicy: 'Forbid',
            StartingDeadline: 600 * s,
            Suspend: true,
            CompletedHistoryLimit: 5,
            FailedHistoryLimit: 0,
          },
        },
      },
    ],
  ]
  for (const [keys, part] of cases) t.match(await convertOne(keys), part, keys)
  t.notOk((await convertOne('restart: "no"')).TaskTemplate.RestartPolicy)
})

t.test('mounts', async (t) => {
  const rest =
    'volumes: {v: {}, n: {name: own}, e: {external: true}, d: {driver: nfs, driver_opts: {o: 1}, labels: [x=y]}}'
  const named = { Labels: labels }
  const cases: [volume: string, mount: object][] = [
    ['/d', { Type: 'volume', Target: '/d' }],
    ['"vv:/d"', { Type: 'volume', Source: 'demo_vv', Target: '/d', VolumeOptions: named }],
    [
      '{type: volume, source: n, target: /d, volume: {nocopy: true}}',
      { Type: 'volume', Source: 'own', Target: '/d', VolumeOptions: { NoCopy: true, ...named } },
    ],
    [
      '{type: volume, source: e, target: /d}',
      { Type: 'volume', Source: 'e', Target: '/d', VolumeOptions: {} },
    ],
    [
      '{type: volume, source: d, target: /d}',
      {
        Type: 'volume',
        Source: 'demo_d',
        Target: '/d',
        VolumeOptions: {
          Labels: { x: 'y', ...labels },
          DriverConfig: { Name: 'nfs', Options: { o: '1' } },
        },
      },
    ],
    ['./x/:/x:ro', { Type: 'bind', Source: '/srv/app/x', Target: '/x', ReadOnly: true }],
    ['../x:/x', { Type: 'bind', Source: '/srv/x', Target: '/x' }],
    ['~/x:/x', { Type: 'bind', Source: '/home/me/x', Target: '/x' }],
    [
      '{type: bind, source: /x, target: /x, bind: {propagation: shared}}',
      { Type: 'bind', Source: '/x', Target: '/x', BindOptions: { Propagation: 'shared' } },
    ],
    [
      '{type: tmpfs, target: /x, tmpfs: {size: 1024}}',
      { Type: 'tmpfs', Target: '/x', TmpfsOptions: { SizeBytes: 1024 } },
    ],
    [
      '{type: cluster, source: "group:g", target: /x}',
      { Type: 'cluster', Source: 'group:g', Target: '/x', ClusterOptions: {} },
    ],
    [
      '{type: image, source: alpine, target: /x}',
      { Type: 'image', Source: 'alpine', Target: '/x' },
    ],
  ]
  for (const [volume, mount] of cases) {
    const service = await convertOne(`volumes: [${volume}]`, `${rest.slice(0, -1)}, vv: }`, {
      env: { HOME: '/home/me' },
    })
    t.strictSame(service.TaskTemplate.ContainerSpec?.Mounts, [mount], volume)
  }
})

t.test('networks: only used ones are created, under their own names', async (t) => {
  const stack = await convert(`
services:
  a: {image: i, networks: {back: {aliases: [x, y]}, named: , ext: , host: }}
  b: {image: i, networks: [named]}
networks:
  back: {attachable: true, internal: true, driver_opts: {encrypted: "true"}, ipam: {config: [{subnet: 10.9.0.0/16}]}}
  named: {name: own, driver: custom, labels: {a: b}}
  ext: {external: true, name: shared}
  host: {external: true, name: host}
  unused: {}
`)
  t.match(stack.networks, [
    {
      Name: 'demo_back',
      Driver: 'overlay',
      Attachable: true,
      Internal: true,
      Options: { encrypted: 'true' },
      IPAM: { Config: [{ Subnet: '10.9.0.0/16' }] },
    },
    { Name: 'own', Driver: 'custom', Labels: { a: 'b', ...labels } },
  ])
  t.equal(stack.networks.length, 2)
  t.strictSame(stack.externalNetworks, ['shared'], 'host is on every node anyway')
  t.strictSame(stack.services[0]?.TaskTemplate.Networks, [
    { Target: 'demo_back', Aliases: ['x', 'y', 'a'] },
    { Target: 'host', Aliases: [] },
    { Target: 'own', Aliases: ['a'] },
    { Target: 'shared', Aliases: ['a'] },
  ])
})

t.test('a dual-stack network, as the control takes it', async (t) => {
  const { networks } = await convert(`
services:
  a: {image: i, networks: [dual]}
networks:
  dual: {enable_ipv6: true, ipam: {config: [{subnet: 10.9.0.0/16}, {subnet: 'fd00:9::/64'}]}}
`)
  const { request, warning } = parseNetworkCreate(networks[0])
  t.match(request, {
    EnableIPv6: true,
    IPAM: { Config: [{ Subnet: '10.9.0.0/16' }, { Subnet: 'fd00:9::/64' }] },
  })
  t.equal(warning, '')
})

t.test('secrets and configs', async (t) => {
  const stack = await convert(
    `
services:
  a:
    image: i
    secrets: [z, {source: e, target: /t, uid: "5", gid: "6", mode: 0440}]
    configs: [c]
secrets:
  z: {file: z.txt, labels: {l: 1}, template_driver: golang}
  e: {external: true, name: ext-secret}
  d: {driver: vault, driver_opts: {k: v}}
  unused: {external: true}
configs:
  c: {name: own, file: ../c.txt}
`,
    { files: { 'z.txt': 'zed\n', '/srv/c.txt': 'see' } },
  )
  t.strictSame(stack.secrets, [
    { Name: 'demo_d', Labels: labels, Data: '', Driver: { Name: 'vault', Options: { k: 'v' } } },
    {
      Name: 'demo_z',
      Labels: { l: '1', ...labels },
      Data: 'emVkCg==',
      Templating: { Name: 'golang' },
    },
  ])
  t.strictSame(stack.configs, [{ Name: 'own', Labels: labels, Data: 'c2Vl' }])
  t.strictSame(stack.externalSecrets, ['ext-secret'])
  const container = stack.services[0]?.TaskTemplate.ContainerSpec
  t.match(container?.Secrets, [
    { SecretName: 'demo_z', File: { Name: 'z', UID: '0', GID: '0', Mode: 0o444 } },
    { SecretName: 'ext-secret', File: { Name: '/t', UID: '5', GID: '6', Mode: 0o440 } },
  ])
  t.match(container?.Configs, [{ ConfigName: 'own', File: { Name: 'c' } }])
})

t.test('env files lie under environment, and empty variables take the shell’s', async (t) => {
  const service = await convertOne(
    'env_file: [a.env, b.env], environment: {C: own, D: , E: ""}',
    '',
    {
      files: { 'a.env': 'A=1\nB=1\nC=1\n', 'b.env': 'B=2\nF=\nG\n' },
      env: { D: 'shell', F: 'shell', G: 'shell' },
    },
  )
  t.strictSame(service.TaskTemplate.ContainerSpec?.Env, [
    'A=1',
    'B=2',
    'C=own',
    'D=shell',
    'E=',
    'F=shell',
    'G=shell',
  ])
})

t.test('what only a conversion can refuse', async (t) => {
  const cases: [keys: string, rest: string, message: RegExp][] = [
    ['image: ', '', /services\.a.*image/],
    ['image: foo/Bar', '', /services\.a\.image: .*\(foo\/Bar\) must be lowercase/],
    ['deploy: {mode: bogus}', '', /services\.a\.deploy\.mode: Unknown mode: bogus/],
    ['deploy: {mode: global, replicas: 1}', '', /replicas can only be used/],
    [
      'deploy: {resources: {limits: {cpus: abc}}}',
      '',
      /services\.a\.deploy\.resources\.limits\.cpus failed to parse abc/,
    ],
    ['restart: sometimes', '', /services\.a\.restart: invalid restart policy/],
    ['healthcheck: {test: x, disable: true}', '', /services\.a\.healthcheck: test and disable/],
    ['networks: [n]', '', /services\.a\.networks: undefined network "n"/],
    ['volumes: ["vol:/v"]', '', /services\.a\.volumes\.0: undefined volume "vol"/],
    ['secrets: [toString]', '', /services\.a\.secrets: undefined secret "toString"/],
    ['configs: [c]', '', /services\.a\.configs: undefined config "c"/],
    ['volumes: [{type: x, target: /t}]', '', /services\.a\.volumes\.0\.type: volume type must be/],
    ['volumes: [{type: tmpfs, source: s, target: /t}]', '', /has no source/],
    [
      'volumes: [{type: bind, source: /s, target: /t, tmpfs: {size: 1}}]',
      '',
      /tmpfs options are incompatible with type bind/,
    ],
    ['credential_spec: {file: f, registry: r}', '', /cannot specify both file and registry/],
    [
      'secrets: [s]',
      'secrets: {s: {file: gone}}',
      /secrets\.s\.file: cannot read \/srv\/app\/gone/,
    ],
    ['env_file: gone.env', '', /gone\.env: cannot be read/],
    [
      'x-swarmctl: {frob: 1}',
      '',
      /services\.a\.x-swarmctl: Additional property frob is not allowed; known: drain_limit/,
    ],
    ['x-swarmctl: {drain_limit: soon}', '', /x-swarmctl\.drain_limit: invalid duration "soon"/],
    ['x-swarmctl: {drain_limit: true}', '', /services\.a\.x-swarmctl\.DrainLimit: /],
  ]
  for (const [keys, rest, message] of cases) {
    const text = keys.startsWith('image')
      ? `services: {a: {${keys}}}`
      : `services: {a: {image: i, ${keys}}}`
    await t.rejects(convert(`${text}\n${rest}`), { code: 'INVALID_ARGUMENT', message }, keys)
  }
})
