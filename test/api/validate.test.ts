import t from 'tap'
import type { SwarmctlError } from '../../src/api/errors.ts'
import { parseNetworkCreate } from '../../src/api/validate/network.ts'
import { parseConfigSpec, parseSecretSpec } from '../../src/api/validate/secret.ts'
import { parseServiceSpec } from '../../src/api/validate/service.ts'
import { parseNodeSpec, parseSwarmSpec } from '../../src/api/validate/swarm.ts'

type Case = [name: string, body: unknown, text: string | RegExp, status?: number]

const refuses = (title: string, parse: (body: unknown) => unknown, cases: Case[]) =>
  t.test(title, async (t) => {
    for (const [name, body, message, status = 400] of cases) {
      let thrown: SwarmctlError | undefined
      try {
        parse(body)
      } catch (error) {
        thrown = error as SwarmctlError
      }
      t.match(thrown, { name: 'SwarmctlError', message, httpStatus: status }, name)
    }
  })

const base = { Name: 'web', TaskTemplate: { ContainerSpec: { Image: 'nginx' } } }
const container = (change: object) => ({
  Name: 'web',
  TaskTemplate: { ContainerSpec: { Image: 'nginx', ...change } },
})
const task = (change: object) => ({
  Name: 'web',
  TaskTemplate: { ...base.TaskTemplate, ...change },
})
const ports = (Mode: string, ...Ports: object[]) => ({ ...base, EndpointSpec: { Mode, Ports } })
const hostPort = (HostIP?: string, PublishMode = 'host') => ({
  ...{ TargetPort: 1, PublishedPort: 80, PublishMode },
  ...(HostIP !== undefined && { Swarmctl: { HostIP } }),
})
const secret = (SecretName: string, File?: object) => ({ SecretID: 'i', SecretName, File })

refuses('service specs are refused with Docker’s texts', parseServiceSpec, [
  ['no body', undefined, /invalid body/],
  ['no name', { ...base, Name: '' }, 'meta: name must be provided'],
  ['name with a dot', { ...base, Name: 'a.b' }, 'name must be valid as a DNS name component'],
  ['name with a dash at its end', { ...base, Name: 'a-' }, /DNS name component/],
  ['long name', { ...base, Name: 'a'.repeat(64) }, 'name must be 63 characters or fewer'],
  ['no container', { Name: 'web' }, /mismatched Runtime and \*Spec fields/],
  ['a plugin', task({ PluginSpec: {} }), /^RuntimeSpec: unimplemented runtime/, 501],
  ['another runtime', task({ Runtime: 'wasm' }), /^unsupported Runtime: "wasm"/],
  [
    'a number as text',
    { ...base, Mode: { Replicated: { Replicas: '3' } } },
    /^invalid Mode\.Replicated\.Replicas: .*expected number/,
  ],
  [
    'mount propagation',
    container({
      Image: 'x',
      Mounts: [{ Type: 'bind', Source: '/a', Target: '/b', BindOptions: { Propagation: 'most' } }],
    }),
    'invalid MountPropagation: "most"',
  ],
  ['no image', container({ Image: '' }), 'ContainerSpec: image reference must be provided'],
  ['bad image', container({ Image: 'A B' }), 'ContainerSpec: "A B" is not a valid repository/tag'],
  [
    'few cpus',
    task({ Resources: { Limits: { NanoCPUs: 999_999 } } }),
    'invalid cpu value 0.000999999: Must be at least 0.001',
  ],
  [
    'little memory',
    task({ Resources: { Reservations: { MemoryBytes: 4096 } } }),
    'invalid memory value 4096: Must be at least 4MiB',
  ],
  [
    'swap without a limit of memory',
    task({ Resources: { SwapBytes: 1 << 20 } }),
    'memory swap provided, but no memory-limit was set',
  ],
  ['negative pids', task({ Resources: { Limits: { Pids: -1 } } }), /pids limit/],
  [
    'restart delay',
    task({ RestartPolicy: { Delay: -1 } }),
    'TaskSpec: restart-delay cannot be negative',
  ],
  [
    'restart window',
    task({ RestartPolicy: { Window: -1 } }),
    'TaskSpec: restart-window cannot be negative',
  ],
  [
    'restart condition',
    task({ RestartPolicy: { Condition: 'maybe' } }),
    'invalid RestartCondition: "maybe"',
  ],
  [
    'constraint',
    task({ Placement: { Constraints: ['node.role=manager'] } }),
    /constraint expected one operator/,
  ],
  [
    'replicas',
    { ...base, Mode: { Replicated: { Replicas: -1 } } },
    'Number of replicas must be non-negative',
  ],
  [
    'two modes',
    { ...base, Mode: { Replicated: {}, Global: {} } },
    'must specify only one service mode',
  ],
  [
    'update delay',
    { ...base, UpdateConfig: { Delay: -1 } },
    'TaskSpec: update-delay cannot be negative',
  ],
  [
    'update monitor',
    { ...base, UpdateConfig: { Monitor: -1 } },
    'TaskSpec: update-monitor cannot be negative',
  ],
  [
    'update ratio',
    { ...base, UpdateConfig: { MaxFailureRatio: 1.1 } },
    'TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1',
  ],
  [
    'job with an update config',
    { ...base, Mode: { GlobalJob: {} }, UpdateConfig: {} },
    'Jobs may not have an update config',
  ],
  [
    'ports with dnsrr',
    ports('dnsrr', { TargetPort: 80 }),
    "EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
  ],
  [
    'more ports than a service has',
    ports('vip', ...Array.from({ length: 4097 }, (_, at) => ({ TargetPort: at + 1 }))),
    "EndpointSpec.Ports: a service publishes at most 4096 ports, not 4097: for more, use the host's network",
  ],
  [
    'duplicate ports',
    ports('vip', { TargetPort: 1, PublishedPort: 80 }, { TargetPort: 2, PublishedPort: 80 }),
    'EndpointSpec: duplicate published ports provided',
  ],
  ...[
    [hostPort('127.0.0.1'), hostPort('127.0.0.1')],
    [hostPort('127.0.0.1'), hostPort()],
    [hostPort('::'), hostPort('127.0.0.1')],
    [hostPort('::1'), hostPort('0:0::1')],
    [hostPort('127.0.0.1'), { TargetPort: 3, PublishedPort: 80 }],
    [hostPort('127.0.0.1', 'ingress'), hostPort('127.0.0.2', 'ingress')],
  ].map(
    (pair): Case => [
      `duplicate ports ${JSON.stringify(pair)}`,
      ports('vip', ...pair),
      'EndpointSpec: duplicate published ports provided',
    ],
  ),
  [
    'PROXY protocol over UDP',
    ports('vip', { TargetPort: 80, Protocol: 'udp', Swarmctl: { ProxyProtocol: 'v2' } }),
    'EndpointSpec: the PROXY protocol is for TCP ports in ingress mode',
  ],
  [
    'PROXY protocol in host mode',
    ports('vip', { TargetPort: 80, PublishMode: 'host', Swarmctl: { ProxyProtocol: 'v2' } }),
    /PROXY protocol is for TCP ports in ingress mode/,
  ],
  ['target port', ports('vip', { TargetPort: 0 }), /EndpointSpec.Ports.0.TargetPort/],
  [
    'same mount twice',
    container({ Mounts: [{ Target: '/a' }, { Target: '/a' }] }),
    'ContainerSpec: duplicate mount point: /a',
  ],
  [
    'bind without source',
    container({ Mounts: [{ Type: 'bind', Target: '/a' }] }),
    /Source must not be empty/,
  ],
  ['relative target', container({ Mounts: [{ Target: 'a' }] }), /must be an absolute path: a/],
  [
    'tmpfs with source',
    container({ Mounts: [{ Type: 'tmpfs', Target: '/a', Source: '/b' }] }),
    /source must be empty/,
  ],
  [
    'the folder of a bind',
    container({
      Mounts: [{ Type: 'bind', Source: '/b', Target: '/a', Swarmctl: { VolumeMode: 7 } }],
    }),
    'invalid mount config for type "bind": VolumeMode and VolumeGID are a volume\'s',
  ],
  [
    'health interval',
    container({ Healthcheck: { Interval: 999 } }),
    'ContainerSpec: Interval in HealthConfig cannot be less than 1ms',
  ],
  [
    'health retries',
    container({ Healthcheck: { Retries: -1 } }),
    'ContainerSpec: Retries in HealthConfig cannot be negative',
  ],
  [
    'secret without id',
    container({ Secrets: [{ SecretName: 'a', File: { Name: 'f' } }] }),
    'malformed secret reference',
  ],
  [
    'secret without target',
    container({ Secrets: [secret('a')] }),
    'malformed secret reference, no target provided',
  ],
  [
    'two secrets, one target',
    container({ Secrets: [secret('a', { Name: 'f' }), secret('b', { Name: 'f' })] }),
    "secret references 'a' and 'b' have a conflicting target: 'f'",
  ],
  [
    'config without target file',
    container({ Configs: [{ ConfigID: 'i', ConfigName: 'c', File: { Name: '' } }] }),
    'malformed file config reference, invalid target file name provided',
  ],
  [
    'ulimit',
    container({ Ulimits: [{ Name: 'nofile', Soft: 2, Hard: 1 }] }),
    /ulimit nofile: soft limit must be less/,
  ],
  [
    'host sysctl',
    container({ Sysctls: { 'kernel.panic': '1' } }),
    /sysctl 'kernel.panic' is not allowed/,
  ],
  ['oom score', container({ OomScoreAdj: 1001 }), /oom score adj/],
  ['grace period', container({ StopGracePeriod: -1 }), /StopGracePeriod/],
  ['unknown placeholder', container({ Env: ['A={{.Service.Nope}}'] }), /invalid template in env/],
  ['unclosed placeholder', container({ Hostname: '{{.Node.ID' }), /is not closed by/],
  ['drain limit', { ...base, Swarmctl: { DrainLimit: -1 } }, /Swarmctl.DrainLimit/],
])

t.test('a valid spec is normalised and keeps every key', async (t) => {
  // As Swarm does: such a rollback pauses.
  const RollbackConfig = { FailureAction: 'rollback' } as const
  t.match(parseServiceSpec({ ...base, RollbackConfig }), { RollbackConfig })

  t.test('a count that is none is what Go clients leave out', async (t) => {
    const GenericResources = [{ DiscreteResourceSpec: { Kind: 'GPU' } }]
    const spec = parseServiceSpec(task({ Resources: { Reservations: { GenericResources } } }))
    t.match(spec.TaskTemplate.Resources?.Reservations?.GenericResources, [
      { DiscreteResourceSpec: { Kind: 'GPU', Value: 0 } },
    ])
  })
  t.same(
    parseServiceSpec({ ...base, Labels: null, Networks: [{ Target: 'n' }], EndpointSpec: {} }),
    {
      Name: 'web',
      Labels: {},
      TaskTemplate: { ContainerSpec: { Image: 'nginx' }, Networks: [{ Target: 'n' }] },
      Mode: { Replicated: { Replicas: 1 } },
      EndpointSpec: { Mode: 'vip' },
    },
  )
  const TaskTemplate = {
    ContainerSpec: {
      Image: `ghcr.io/o/app:1@sha256:${'a'.repeat(64)}`,
      Env: ['ID={{.Task.Slot}}', 'PLAIN'],
      Hostname: '{{.Service.Name}}-{{index .Service.Labels "x"}}',
      Mounts: [
        { Type: 'volume', Source: 'data-{{.Task.Slot}}', Target: '/d' },
        { Type: 'tmpfs', Target: '/t', TmpfsOptions: { SizeBytes: 1 << 20, Mode: 0o700 } },
      ],
      Ulimits: [{ Name: 'core', Soft: -1, Hard: -1 }],
      Sysctls: { 'net.core.somaxconn': '1024' },
      Healthcheck: { Test: ['NONE'] },
      CapabilityAdd: ['CAP_NET_ADMIN'],
    },
    Resources: { Limits: { NanoCPUs: 1e6, MemoryBytes: 4 << 20, Pids: 0 } },
    Placement: {
      Constraints: ['node.labels.a==b'],
      Preferences: [{ Spread: { SpreadDescriptor: 'node.labels.zone' } }],
    },
  }
  const spec = { Name: 'web', Labels: { a: 'b' }, TaskTemplate, Mode: { Global: {} } }
  t.same(parseServiceSpec(spec), spec)
  const jobOf = (ReplicatedJob: object) =>
    parseServiceSpec({ ...base, Mode: { ReplicatedJob } }).Mode?.ReplicatedJob
  t.same(jobOf({}), { MaxConcurrent: 1, TotalCompletions: 1 }, 'clients count on the numbers')
  t.same(jobOf({ MaxConcurrent: 3 }), { MaxConcurrent: 3, TotalCompletions: 3 })
  t.same(jobOf({ TotalCompletions: 3 }), { MaxConcurrent: 1, TotalCompletions: 3 })
  const withAuth = task({ PullOptions: { RegistryAuth: 'x' } })
  t.notOk('PullOptions' in parseServiceSpec(withAuth).TaskTemplate, 'credentials come in a header')
})

t.test(
  'an empty string for an enumeration is the same as absent, as Go clients send it',
  async (t) => {
    const empty = { Order: '', FailureAction: '', Parallelism: 2 }
    const spec = parseServiceSpec({
      Name: 'web',
      TaskTemplate: {
        ContainerSpec: { Image: 'nginx', Mounts: [{ Type: '', Source: 'v', Target: '/v' }] },
        RestartPolicy: { Condition: '', MaxAttempts: 1 },
      },
      UpdateConfig: empty,
      RollbackConfig: empty,
      EndpointSpec: { Mode: '', Ports: [{ Protocol: '', PublishMode: '', TargetPort: 80 }] },
    })
    t.same(spec.UpdateConfig, { Parallelism: 2 })
    t.same(spec.RollbackConfig, { Parallelism: 2 })
    t.same(spec.TaskTemplate.RestartPolicy, { MaxAttempts: 1 })
    t.same(spec.EndpointSpec, {
      Mode: 'vip',
      Ports: [{ Protocol: 'tcp', PublishMode: 'ingress', TargetPort: 80 }],
    })
    t.same(spec.TaskTemplate.ContainerSpec?.Mounts, [{ Source: 'v', Target: '/v' }])
  },
)

const base64 = (bytes: number) => Buffer.alloc(bytes, 'a').toString('base64')

refuses('secrets', parseSecretSpec, [
  ['no name', { Data: 'YQ==' }, 'name must be provided'],
  ['bad name', { Name: '-a', Data: 'YQ==' }, /^invalid name, only 64/],
  ['no data', { Name: 'a' }, 'secret data must be larger than 0 and less than 512000 bytes'],
  ['too much data', { Name: 'a', Data: base64(512_000) }, /less than 512000 bytes/],
  ['not base64', { Name: 'a', Data: '***' }, /base64/],
  ['a driver', { Name: 'a', Driver: { Name: 'vault' } }, /external secret drivers/, 501],
  ['templating', { Name: 'a', Data: 'YQ==', Templating: { Name: 'jinja' } }, /only golang/],
])
refuses('configs', parseConfigSpec, [
  [
    'too much data',
    { Name: 'a', Data: base64(1_024_000) },
    'config data must be larger than 0 and less than 1024000 bytes',
  ],
])
t.test('the largest secret and config that fit', async (t) => {
  t.equal(parseSecretSpec({ Name: 'a.b-c_d', Data: base64(511_999) }).Name, 'a.b-c_d')
  t.equal(parseConfigSpec({ Name: 'a', Data: base64(1_023_999) }).Name, 'a')
})

const network = (change: object) => ({ Name: 'net', Driver: 'overlay', ...change })
const ipam = (...Config: object[]) => network({ IPAM: { Config } })
const local = (change: object) => ({ Name: 'net', Driver: 'macvlan', Scope: 'swarm', ...change })
const FROM = { ConfigFrom: { Network: 'conf' } }
const SETTINGS_TWICE = /^user-specified configurations are not supported if the network depends/
refuses('networks', parseNetworkCreate, [
  ['predefined', network({ Name: 'host' }), /^network with name host already exists/, 403],
  ['name', network({ Name: 'a b' }), /DNS name component/],
  ['no IPv4', network({ EnableIPv4: false }), /IPv4 cannot be disabled in a Swarm scoped network/],
  ['driver', network({ Driver: 'null' }), /invalid driver null.*bridge, host, ipvlan, macvlan/],
  ['local ingress', local({ Ingress: true }), /^Ingress network can only be global scope/, 403],
  ['settings twice', local({ ...FROM, EnableIPv6: true }), SETTINGS_TWICE, 403],
  ['labels twice', local({ ...FROM, Labels: { a: 'b' } }), SETTINGS_TWICE, 403],
  ['subnets twice', local({ ...FROM, IPAM: { Config: [{}] } }), SETTINGS_TWICE, 403],
  ['IPAM drivers twice', local({ ...FROM, IPAM: { Driver: 'x' } }), SETTINGS_TWICE, 403],
  [
    'options twice',
    local({ ...FROM, Options: { parent: 'eth0' } }),
    /^network driver options are not supported if the network depends/,
    403,
  ],
  [
    'attachable ingress',
    network({ Ingress: true, Attachable: true }),
    'ingress network cannot be attachable',
  ],
  ['IPAM driver', network({ IPAM: { Driver: 'x' } }), /invalid IPAM driver/],
  ['subnet', ipam({ Subnet: '10.0.0.0' }), /invalid subnet 10.0.0.0 : invalid CIDR/],
  ['IPv6 subnet', ipam({ Subnet: 'fd00::zz/64' }), /invalid subnet fd00::zz/],
  [
    'an MTU that IPv6 does not take',
    network({ EnableIPv6: true, Options: { 'com.docker.network.driver.mtu': '1200' } }),
    /IPv6 needs 1280/,
  ],
  ['link-local', ipam({ Subnet: 'fe80::/64' }), /unique local \(fd00::\/8\) or global/],
  ['multicast', ipam({ Subnet: 'ff00::/64' }), /unique local/],
  ['wider than unicast', ipam({ Subnet: 'f000::/4' }), /unique local/],
  ['too small for any', ipam({ Subnet: 'fd00::/105' }), /a \/104 or wider, or come with an IPv4/],
  [
    'too small for its IPv4',
    ipam({ Subnet: 'fd00::/121' }, { Subnet: '10.0.0.0/24' }),
    /as wide as 10.0.0.0\/24: a \/120 or wider/,
  ],
  ['tiny subnet', ipam({ Subnet: '10.0.0.0/30' }), /must be from \/8 to \/29/],
  ['two subnets', ipam({ Subnet: '10.0.0.0/24' }, { Subnet: '10.0.1.0/24' }), /one IPv4 subnet/],
  [
    'range',
    ipam({ Subnet: '10.0.0.0/24', IPRange: '10.0.1.0/25' }),
    'ipam configuration: subnet 10.0.0.0/24 does not contain IP range 10.0.1.0/25',
  ],
  ['wide range', ipam({ Subnet: '10.0.0.0/24', IPRange: '10.0.0.0/16' }), /does not contain/],
  ['no range', ipam({ Subnet: '10.0.0.0/24', IPRange: '10.0.0' }), /invalid IP range 10.0.0/],
  ['tiny range', ipam({ Subnet: '10.0.0.0/24', IPRange: '10.0.0.8/30' }), /at least a \/29/],
  ['gateway', ipam({ Subnet: '10.0.0.0/24', Gateway: '10.1.0.1' }), /does not contain gateway/],
])
t.test('what of a network has no effect is said', async (t) => {
  t.match(
    parseNetworkCreate(ipam({ Subnet: '10.0.0.0/24', Gateway: '10.0.0.9' })).warning,
    /10.0.0.9 is unused/,
  )
  t.equal(parseNetworkCreate(network({ Options: null, Labels: null })).warning, '')
  const unused = /subnets and driver options are not used, as with Swarm/
  t.match(parseNetworkCreate(local({ Options: { parent: 'eth0' } })).warning, unused)
  t.match(
    parseNetworkCreate(local({ IPAM: { Config: [{ Subnet: '10.0.0.0/8' }] } })).warning,
    unused,
  )
  t.equal(parseNetworkCreate(local({ IPAM: { Driver: 'default' } })).warning, '')
  t.equal(parseNetworkCreate(local(FROM)).warning, '')
  const warning = (EnableIPv6: boolean, ...Config: object[]) =>
    parseNetworkCreate(network({ EnableIPv6, IPAM: { Config } })).warning
  const both = [{ Subnet: 'fd00:1::/120' }, { Subnet: '10.0.0.0/24' }]
  t.match(warning(false, ...both), /fd00:1::\/120 is unused without IPv6/)
  t.notMatch(warning(true, ...both), /unused/)
  t.match(warning(true, ...both, { Subnet: 'fd00:2::/64' }), /fd00:2::\/64 is unused/)
  t.match(
    warning(true, { Subnet: 'fd00::/64', IPRange: 'fd00::/80', Gateway: 'fd00::9' }),
    /fd00::\/80 is unused.*fd00::9 is unused/,
  )
})

const externalCA = (Protocol: string, URL: string) => ({
  CAConfig: { ExternalCAs: [{ Protocol, URL }] },
})
const externalCAs = (count: number) => ({
  CAConfig: { ExternalCAs: Array(count).fill({ Protocol: 'cfssl', URL: 'https://ca' }) },
})
t.test('one host port at two addresses', async (t) => {
  const Ports = ['127.0.0.1', '10.0.0.1', '::1'].map((address) => hostPort(address))
  const { EndpointSpec } = parseServiceSpec(ports('vip', ...Ports))
  t.match(EndpointSpec?.Ports, Ports)
})
refuses('cluster settings', parseSwarmSpec, [
  ['name', { Name: 'x' }, 'swarm spec must be named "default"'],
  ['heartbeat', { Dispatcher: { HeartbeatPeriod: -1 } }, /heartbeat time period/],
  ['external CA', externalCA('acme', 'https://ca'), 'invalid protocol: "acme"'],
  ['its URL', externalCA('cfssl', 'ca'), /"ca" must begin with https/],
  ['not in the clear', externalCA('cfssl', 'http://ca/sign'), /must begin with https/],
  ['how many', externalCAs(17), 'CAConfig.ExternalCAs: 17 external CAs are too many: at most 16'],
])
refuses('nodes', parseNodeSpec, [
  ['role', { Availability: 'active' }, 'invalid Role: "", must be worker or manager'],
  ['availability', { Role: 'worker', Availability: 'x' }, /invalid Availability: "x"/],
])
