import { startNode } from './api-node.ts'

/** A service spec with every field of the Engine API's (1.51), in the form in which it is stored: what a client sends has to come back so. */
const fullSpec = (networkId: string, secretId: string, configId: string) => ({
  Name: 'full',
  Labels: { 'com.example.foo': 'bar', empty: '' },
  TaskTemplate: {
    ContainerSpec: {
      Image: 'registry.example.com:5000/team/app:1.2',
      Labels: { inner: '1' },
      Command: ['/bin/app', '--flag'],
      Args: ['a', ''],
      Hostname: '{{.Node.Hostname}}-{{.Task.Slot}}',
      Env: ['A=1', 'NODE={{.Node.ID}}', 'EMPTY=', 'INHERITED'],
      Dir: '/work',
      User: '1000:1000',
      Groups: ['audio', '20'],
      Privileges: {
        CredentialSpec: { Config: '', File: 'spec.json', Registry: '' },
        SELinuxContext: { Disable: false, User: 'u', Role: 'r', Type: 't', Level: 'l' },
        Seccomp: { Mode: 'custom', Profile: 'e30=' },
        AppArmor: { Mode: 'default' },
        NoNewPrivileges: true,
      },
      StopSignal: 'SIGINT',
      TTY: true,
      OpenStdin: true,
      ReadOnly: true,
      Mounts: [
        {
          Type: 'volume',
          Source: 'data-{{.Task.Slot}}',
          Target: '/data',
          ReadOnly: true,
          Consistency: 'default',
          VolumeOptions: {
            NoCopy: true,
            Subpath: 'sub',
            Labels: { v: '1' },
            DriverConfig: { Name: 'local', Options: { type: 'tmpfs' } },
          },
        },
        {
          Type: 'bind',
          Source: '/srv',
          Target: '/srv',
          BindOptions: {
            Propagation: 'rslave',
            NonRecursive: true,
            CreateMountpoint: true,
            ReadOnlyNonRecursive: true,
            ReadOnlyForceRecursive: false,
          },
        },
        {
          Type: 'tmpfs',
          Target: '/scratch',
          TmpfsOptions: { SizeBytes: 1048576, Mode: 0o1777, Options: [['noexec'], ['uid', '5']] },
        },
        { Type: 'image', Source: 'alpine', Target: '/img', ImageOptions: { Subpath: 'etc' } },
        { Type: 'cluster', Source: 'group:x', Target: '/csi', ClusterOptions: {} },
      ],
      StopGracePeriod: 5_000_000_000,
      Healthcheck: {
        Test: ['CMD-SHELL', 'true'],
        Interval: 1_000_000_000,
        Timeout: 2_000_000_000,
        StartPeriod: 3_000_000_000,
        StartInterval: 500_000_000,
        Retries: 3,
      },
      Hosts: ['10.1.2.3 a b'],
      DNSConfig: { Nameservers: ['9.9.9.9'], Search: ['example.com'], Options: ['ndots:2'] },
      Secrets: [
        {
          File: { Name: 'key', UID: '1', GID: '2', Mode: 0o400 },
          SecretID: secretId,
          SecretName: 'key',
        },
      ],
      Configs: [
        {
          File: { Name: '/page', UID: '0', GID: '0', Mode: 0o444 },
          ConfigID: configId,
          ConfigName: 'page',
        },
        { Runtime: {}, ConfigID: configId, ConfigName: 'page' },
      ],
      Isolation: 'default',
      Init: true,
      Sysctls: { 'net.core.somaxconn': '1024' },
      CapabilityAdd: ['CAP_NET_RAW'],
      CapabilityDrop: ['ALL'],
      Ulimits: [{ Name: 'nofile', Soft: 1024, Hard: 2048 }],
      OomScoreAdj: 100,
    },
    Resources: {
      Limits: { NanoCPUs: 500_000_000, MemoryBytes: 52_428_800, Pids: 100 },
      Reservations: {
        NanoCPUs: 100_000_000,
        MemoryBytes: 10_485_760,
        GenericResources: [
          { NamedResourceSpec: { Kind: 'gpu', Value: 'uuid' } },
          { DiscreteResourceSpec: { Kind: 'ssd', Value: 2 } },
        ],
      },
      SwapBytes: 104_857_600,
      MemorySwappiness: 60,
    },
    RestartPolicy: {
      Condition: 'on-failure',
      Delay: 1_000_000_000,
      MaxAttempts: 3,
      Window: 10_000_000_000,
    },
    Placement: {
      Constraints: ['node.role==worker', 'node.labels.zone != a'],
      Preferences: [{ Spread: { SpreadDescriptor: 'node.labels.rack' } }],
      MaxReplicas: 2,
      Platforms: [{ Architecture: 'amd64', OS: 'linux' }],
    },
    Networks: [{ Target: networkId, Aliases: ['app'], DriverOpts: { opt: 'v' } }],
    LogDriver: { Name: 'json-file', Options: { 'max-size': '10m' } },
    ForceUpdate: 7,
    Runtime: 'container',
  },
  Mode: { Replicated: { Replicas: 3 } },
  UpdateConfig: {
    Parallelism: 2,
    Delay: 1_000_000_000,
    FailureAction: 'rollback',
    Monitor: 5_000_000_000,
    MaxFailureRatio: 0.5,
    Order: 'start-first',
  },
  RollbackConfig: {
    Parallelism: 0,
    Delay: 0,
    FailureAction: 'continue',
    Monitor: 5_000_000_000,
    MaxFailureRatio: 0,
    Order: 'stop-first',
  },
  EndpointSpec: {
    Mode: 'vip',
    Ports: [
      {
        Name: 'http',
        Protocol: 'tcp',
        TargetPort: 80,
        PublishedPort: 8080,
        PublishMode: 'ingress',
      },
      { Protocol: 'udp', TargetPort: 53, PublishedPort: 5353, PublishMode: 'host' },
    ],
  },
})

/** A node with a network, a secret and a config, and a spec that refers to them. */
export const startWithFullSpec = async (t: Parameters<typeof startNode>[0]) => {
  const node = await startNode(t)
  const create = async (path: string, body: object) => {
    const answer = await node.call('POST', `${path}/create`, { body })
    return String(answer.body.ID ?? answer.body.Id)
  }
  const network = await create('/networks', { Name: 'back', Driver: 'overlay' })
  const secret = await create('/secrets', { Name: 'key', Data: 'eA==' })
  const config = await create('/configs', { Name: 'page', Data: 'eA==' })
  return { node, spec: fullSpec(network, secret, config) }
}

export type FullSpec = ReturnType<typeof fullSpec>
