import t from 'tap'
import type { ContainerSpec } from '../../src/api/service-spec.ts'
import { containerBody } from '../../src/worker/docker/container-body.ts'
import { sampleNode } from '../support/objects.ts'
import { agentTask } from '../support/worker/agent-bench.ts'

const body = (spec: Partial<ContainerSpec>, ports: object[] = []) => {
  const task = agentTask('t1', { Spec: { ContainerSpec: { Image: 'i', ...spec } } as never })
  task.Swarmctl.Endpoint = { Ports: ports as never }
  const node = sampleNode('n1', 1).Description
  const plan = { task, node, wiring: undefined, files: { mounts: [] } }
  return containerBody(plan as never) as Record<string, unknown> & {
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
