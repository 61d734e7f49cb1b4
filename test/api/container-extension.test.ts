import t from 'tap'
import { parseServiceRequest } from '../../src/api/validate/service.ts'

const spec = (container: object, rest: object = {}, task: object = {}) => ({
  Name: 'web',
  TaskTemplate: { ContainerSpec: { Image: 'i', ...container }, ...task },
  ...rest,
})

t.test('what Docker’s bodies can’t say is kept and gives no warning', async (t) => {
  const body = spec(
    {
      Swarmctl: {
        Privileged: true,
        ShmSize: 1024,
        Tmpfs: { '/t': '' },
        SecurityOpt: ['seccomp=unconfined', 'no-new-privileges:true'],
        Devices: [{ PathOnHost: '/dev/a', PathInContainer: '/dev/a', CgroupPermissions: 'rw' }],
        DeviceRequests: [{ Count: -1, Capabilities: [['gpu']] }],
      },
      Mounts: [{ Type: 'tmpfs', Target: '/x', Swarmctl: { TmpfsMode: 0o700 } }],
    },
    {
      Mode: { Replicated: { Replicas: 1 } },
      EndpointSpec: {
        Ports: [{ TargetPort: 80, PublishMode: 'host', Swarmctl: { HostIP: '127.0.0.1' } }],
      },
      Swarmctl: { DependsOn: [{ Service: 'db', Condition: 'service_healthy' }] },
    },
    { Networks: [{ Target: 'n', Swarmctl: { Aliases: ['a'], IPv4Address: '10.0.0.9' } }] },
  )
  const { spec: parsed, warnings } = parseServiceRequest(body)
  t.strictSame(warnings, [])
  t.match(parsed, body)
})

t.test('what can’t be is refused with the field’s name', async (t) => {
  const fixed = { Networks: [{ Target: 'n', Swarmctl: { IPv4Address: '10.0.0.9' } }] }
  const cases: [body: object, message: RegExp | string][] = [
    [spec({ Swarmctl: { Tmpfs: { t: '' } } }), /invalid tmpfs "t": an absolute path is needed/],
    [
      spec({ Mounts: [{ Type: 'tmpfs', Target: '/t' }], Swarmctl: { Tmpfs: { '/t': '' } } }),
      'ContainerSpec: duplicate mount point: /t',
    ],
    [spec({ Swarmctl: { SecurityOpt: ['nonsense'] } }), /invalid security option "nonsense"/],
    [
      spec({
        Swarmctl: { Devices: [{ PathOnHost: 'x', PathInContainer: '/x', CgroupPermissions: 'r' }] },
      }),
      /device "x": absolute paths are needed/,
    ],
    [
      spec({
        Swarmctl: {
          Devices: [{ PathOnHost: '/x', PathInContainer: '/x', CgroupPermissions: 'z' }],
        },
      }),
      /permissions are of r, w and m, not "z"/,
    ],
    [
      spec({ Swarmctl: { DeviceRequests: [{ Count: 1, DeviceIDs: ['0'] }] } }),
      /a Count or DeviceIDs, not both/,
    ],
    [
      spec({ Swarmctl: { CpuQuota: 5 } }, {}, { Resources: { Limits: { NanoCPUs: 1e9 } } }),
      /CpuQuota and CpuPeriod conflict/,
    ],
    [
      spec({ Swarmctl: { IpcMode: 'container:x' } }),
      /invalid TaskTemplate\.ContainerSpec\.Swarmctl\.IpcMode/,
    ],
    [
      spec({}, { Mode: { Replicated: { Replicas: 2 } } }, fixed),
      'the address 10.0.0.9 is for one task: the service must have one replica at most',
    ],
    [spec({}, { Mode: { Global: {} } }, fixed), /the service must have one replica at most/],
    [
      spec({}, { UpdateConfig: { Order: 'start-first' } }, fixed),
      /free only when its task has ended: not with start-first/,
    ],
    [
      spec({}, { EndpointSpec: { Ports: [{ TargetPort: 80, Swarmctl: { HostIP: 'x' } }] } }),
      /invalid EndpointSpec\.Ports\.0\.Swarmctl\.HostIP/,
    ],
  ]
  for (const [body, message] of cases) {
    t.throws(
      () => parseServiceRequest(body),
      { code: 'INVALID_ARGUMENT', message },
      String(message),
    )
  }
})
