import t from 'tap'
import type { ContainerSpec, TaskSpec } from '../../src/api/service-spec.ts'
import type { Task } from '../../src/api/task.ts'
import { containerBody } from '../../src/worker/docker/container-body.ts'
import { engineFacts } from '../../src/worker/docker/engine-facts.ts'
import { sampleNode } from '../support/objects.ts'
import { agentTask } from '../support/worker/agent-bench.ts'

const body = (spec: Partial<ContainerSpec>, ports: object[] = [], change: Partial<Task> = {}) => {
  const Spec = { ContainerSpec: { Image: 'i', ...spec } } as never
  const task = agentTask('t1', { Spec, ...change })
  task.Swarmctl.Endpoint = { Ports: ports as never }
  const node = sampleNode('n1', 1).Description
  const plan = { task, node, wiring: undefined, files: { mounts: [] } }
  return containerBody(plan as never) as Record<string, unknown> & {
    Env?: string[]
    HostConfig: Record<string, unknown>
  }
}

t.test('what only the Engine knows reaches it under its own name', async (t) => {
  const host = {
    Annotations: { a: 'b' },
    BlkioWeight: 300,
    BlkioDeviceReadBps: [{ Path: '/dev/sda', Rate: 1024 }],
    CgroupParent: '/m',
    CgroupnsMode: 'host',
    CpuShares: 512,
    CpusetCpus: '0-1',
    DeviceCgroupRules: ['c 1:3 mr'],
    DeviceRequests: [{ Driver: 'nvidia', Count: -1, Capabilities: [['gpu']] }],
    Devices: [{ PathOnHost: '/dev/a', PathInContainer: '/dev/b', CgroupPermissions: 'r' }],
    IpcMode: 'host',
    OomKillDisable: true,
    PidMode: 'host',
    Privileged: true,
    Runtime: 'runsc',
    ShmSize: 1 << 26,
    StorageOpt: { size: '1G' },
    Tmpfs: { '/scratch': 'size=1m' },
    UTSMode: 'host',
    UsernsMode: 'host',
  } as const
  const created = body({
    Privileges: { NoNewPrivileges: true },
    Swarmctl: { ...(host as object), Domainname: 'd.example', SecurityOpt: ['label=disable'] },
  })
  t.match(created.HostConfig, host)
  t.equal(created.Domainname, 'd.example')
  t.notOk('Domainname' in created.HostConfig)
  t.strictSame(created.HostConfig.SecurityOpt, ['no-new-privileges=true', 'label=disable'])
})

t.test('a mount’s own fields go where the Engine has them', async (t) => {
  const { HostConfig } = body({
    Mounts: [
      {
        Type: 'bind',
        Source: '/s',
        Target: '/t',
        BindOptions: { Propagation: 'rslave' },
        Swarmctl: { CreateMountpoint: true },
      },
      {
        Type: 'tmpfs',
        Target: '/x',
        TmpfsOptions: { SizeBytes: 5 },
        Swarmctl: { TmpfsMode: 0o1777 },
      },
    ],
  })
  t.strictSame(HostConfig.Mounts, [
    {
      Type: 'bind',
      BindOptions: { Propagation: 'rslave', CreateMountpoint: true },
      Source: '/s',
      Target: '/t',
    },
    { Type: 'tmpfs', TmpfsOptions: { SizeBytes: 5, Mode: 0o1777 }, Target: '/x' },
  ])
})

t.test('a mount that does not say what it is', async (t) => {
  const mounts = body({
    Mounts: [
      { Source: '/s', Target: '/a' },
      { Source: 'v', Target: '/b' },
    ],
  })
  t.match(mounts.HostConfig.Mounts, [{ Type: 'bind' }, { Type: 'volume' }])
})

t.test('a host-mode port is bound to its address', async (t) => {
  const port = { Protocol: 'tcp', TargetPort: 80, PublishMode: 'host' }
  const { HostConfig } = body({}, [
    { ...port, PublishedPort: 8080, Swarmctl: { HostIP: '127.0.0.1' } },
    { ...port, PublishedPort: 8080, Swarmctl: { HostIP: '127.0.0.2' } },
    { ...port, PublishedPort: 8081 },
  ])
  t.strictSame(HostConfig.PortBindings, {
    '80/tcp': [
      { HostIp: '127.0.0.1', HostPort: '8080' },
      { HostIp: '127.0.0.2', HostPort: '8080' },
      { HostPort: '8081' },
    ],
  })
})

t.test('a container knows which generic resources are its own', async (t) => {
  const GenericResources = [
    { NamedResourceSpec: { Kind: 'gpu', Value: 'uuid1' } },
    { DiscreteResourceSpec: { Kind: 'SSD', Value: 2 } },
    { NamedResourceSpec: { Kind: 'gpu', Value: 'uuid2' } },
  ]
  const own = ['DOCKER_RESOURCE_GPU=uuid1,uuid2', 'DOCKER_RESOURCE_SSD=2']
  t.strictSame(body({ Env: ['A={{.Task.Name}}'] }, [], { GenericResources }).Env?.slice(1), own)
  t.strictSame(body({}, [], { GenericResources }).Env, own)
  t.equal(body({}, [], { GenericResources: [] }).Env, undefined)
})

t.test('a node offers what its Engine is configured with', async (t) => {
  const info = { Name: 'h', OSType: 'linux', Architecture: 'x86_64', NCPU: 1, MemTotal: 1 }
  const resources = (GenericResources: never) =>
    engineFacts({ ...info, ServerVersion: '28', Labels: [], GenericResources }).Resources
  const offered = [{ NamedResourceSpec: { Kind: 'GPU', Value: 'uuid1' } }]
  t.strictSame(resources(offered as never).GenericResources, offered)
  t.strictSame(resources(null as never), { NanoCPUs: 1e9, MemoryBytes: 1 })
})

t.test('what is left out or empty is the Engine’s and the image’s own', async (t) => {
  t.notOk('Entrypoint' in body({ Command: [], Args: ['a'] }), 'a list of nothing clears it')
  t.strictSame(body({ Command: ['c'] }).Entrypoint, ['c'])
  const logging = (LogDriver: TaskSpec['LogDriver']) =>
    body({}, [], { Spec: { LogDriver, ContainerSpec: { Image: 'i' } } }).HostConfig.LogConfig
  t.strictSame(
    logging({ Options: { 'max-size': '10m' } }),
    { Type: '', Config: { 'max-size': '10m' } },
    'options without a driver are for the Engine’s own',
  )
  t.strictSame(logging({ Name: 'none' }), { Type: 'none', Config: {} })
  t.equal(logging({}), undefined)
  t.equal(logging(undefined), undefined)
})

t.test('a reservation never keeps a container from being created', async (t) => {
  const MiB = 2 ** 20
  const reserved = (MemoryBytes: number, limit?: number) =>
    body({}, [], {
      Spec: {
        ContainerSpec: { Image: 'i' },
        Resources: {
          Reservations: { MemoryBytes },
          ...(limit && { Limits: { MemoryBytes: limit } }),
        },
      },
    }).HostConfig.MemoryReservation
  t.equal(reserved(32 * MiB), 32 * MiB)
  t.equal(reserved(32 * MiB, 64 * MiB), 32 * MiB)
  t.equal(reserved(128 * MiB, 64 * MiB), 64 * MiB, 'beyond the limit the Engine refuses it')
  t.equal(reserved(5 * MiB), undefined, 'and less than it takes')
})
