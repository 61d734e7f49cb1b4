import t from 'tap'
import type { Service } from '../../../src/api/service.ts'
import type { PortConfig, ServiceSpec } from '../../../src/api/service-spec.ts'
import type { Task } from '../../../src/api/task.ts'
import { isDirty } from '../../../src/manager/orchestrator/dirty-task.ts'
import { newTask } from '../../../src/manager/orchestrator/new-task.ts'
import { sampleCluster, sampleNode, sampleService } from '../../support/objects.ts'

const nowMs = Date.parse('2026-01-01T01:00:00.000Z')

const webService = (change: Partial<ServiceSpec> = {}, SpecVersion = 2): Service => {
  const base = sampleService('web', 'web')
  return { ...base, Spec: { ...base.Spec, ...change }, Swarmctl: { SpecVersion } }
}

t.test('what makes a task dirty', async (t) => {
  const base: Partial<ServiceSpec> = {
    TaskTemplate: {
      ContainerSpec: { Image: 'nginx', Args: ['a'] },
      Networks: [{ Target: 'net1' }],
    },
    EndpointSpec: {
      Ports: [
        { Protocol: 'tcp', TargetPort: 80, PublishMode: 'ingress' },
        { Protocol: 'tcp', TargetPort: 81, PublishedPort: 8081, PublishMode: 'ingress' },
      ],
    },
  }
  const origin = { service: webService(base, 1), cluster: undefined, newId: () => 't1', nowMs }
  const made = newTask(origin, { slot: 1 }, 'running')
  const fresh: Task = { ...made, Status: { ...made.Status, State: 'running' } }
  const like = (spec: Partial<ServiceSpec>, version = 2) => ({
    service: webService(spec, version),
    cluster: undefined,
  })
  const ports = fresh.Swarmctl.Endpoint.Ports?.map((port) => ({ PublishedPort: 30_000, ...port }))
  const task = {
    ...fresh,
    Swarmctl: {
      ...fresh.Swarmctl,
      Endpoint: { Mode: 'vip' as const, ...(ports && { Ports: ports }) },
    },
  }
  const template = base.TaskTemplate ?? {}
  const withTemplate = (change: ServiceSpec['TaskTemplate']): Partial<ServiceSpec> => ({
    ...base,
    TaskTemplate: { ...template, ...change },
  })
  /** The second port, at an address of its own. */
  const withAddress = (PublishMode: 'ingress' | 'host', HostIP = '127.0.0.1') => {
    const [first, second] = base.EndpointSpec!.Ports as [PortConfig, PortConfig]
    return {
      ...base,
      EndpointSpec: { Ports: [first, { ...second, PublishMode, Swarmctl: { HostIP } }] },
    }
  }
  const cases: [name: string, spec: Partial<ServiceSpec>, isDirty: boolean][] = [
    ['nothing changed', base, false],
    ['only the scale', { ...base, Mode: { Replicated: { Replicas: 9 } } }, false],
    ['service labels', { ...base, Labels: { a: 'b' } }, false],
    ['credentials', withTemplate({ PullOptions: { RegistryAuth: 'x' } }), false],
    [
      'an empty list',
      withTemplate({ ContainerSpec: { Image: 'nginx', Args: ['a'], Env: [] } }),
      false,
    ],
    ['the order of keys', withTemplate({ ContainerSpec: { Args: ['a'], Image: 'nginx' } }), false],
    ['placement that holds', withTemplate({ Placement: { Constraints: ['node.id==n1'] } }), false],
    [
      'placement that does not',
      withTemplate({ Placement: { Constraints: ['node.id!=n1'] } }),
      true,
    ],
    ['the image', withTemplate({ ContainerSpec: { Image: 'nginx:2', Args: ['a'] } }), true],
    ['force', withTemplate({ ForceUpdate: 1 }), true],
    ['a network', withTemplate({ Networks: [{ Target: 'net2' }] }), true],
    ['the log driver', withTemplate({ LogDriver: { Name: 'local' } }), true],
    ['the endpoint mode', { ...base, EndpointSpec: { ...base.EndpointSpec, Mode: 'dnsrr' } }, true],
    ['a port less', { ...base, EndpointSpec: { Ports: [] } }, true],
    [
      'a port number',
      {
        ...base,
        EndpointSpec: {
          Ports: base.EndpointSpec?.Ports?.map((port) => ({ ...port, PublishedPort: 8081 })),
        } as ServiceSpec['EndpointSpec'],
      },
      true,
    ],
    ['the address of a port of the mesh', withAddress('ingress'), false],
  ]
  for (const [name, spec, expected] of cases) {
    t.equal(isDirty(task, like(spec), sampleNode('n1', 1)), expected, name)
  }
  t.equal(isDirty(task, like({ TaskTemplate: {} }, 1), undefined), false, 'the same version')
  const local = newTask(
    { ...origin, service: webService(withAddress('host'), 1) },
    { slot: 1 },
    'running',
  )
  for (const [address, expected] of [
    ['127.0.0.1', false],
    ['127.0.0.2', true],
  ] as const) {
    const service = like(withAddress('host', address))
    t.equal(isDirty(local, service, undefined), expected, `a host port at ${address}`)
  }
})

t.test('what makes a task dirty, by how far it got and what its cluster gave it', async (t) => {
  const origin = { service: webService({}, 1), cluster: undefined, newId: () => 't1', nowMs }
  const image = { ContainerSpec: { Image: 'nginx' } }
  const credentials = (RegistryAuth: string) =>
    webService({ TaskTemplate: { ...image, PullOptions: { RegistryAuth } } }, 2)
  const made = newTask(origin, { slot: 1 }, 'running')
  const states: [Task['Status']['State'], Task['DesiredState'], boolean][] = [
    ['preparing', 'running', true],
    ['ready', 'running', false],
    ['running', 'running', false],
    ['rejected', 'running', true],
    ['running', 'shutdown', true],
  ]
  for (const [State, DesiredState, expected] of states) {
    const task = { ...made, DesiredState, Status: { ...made.Status, State } }
    const wanted = { service: credentials('new'), cluster: undefined }
    t.equal(
      isDirty(task, wanted, undefined),
      expected,
      `new credentials: ${State}, ${DesiredState}`,
    )
  }

  const LogDriver = { Name: 'gelf' }
  const logging = webService({ TaskTemplate: { ...image, LogDriver } }, 1)
  const logs = newTask({ ...origin, service: logging }, { slot: 1 }, 'running')
  const none = webService({ TaskTemplate: image }, 2)
  t.equal(isDirty(logs, { service: none, cluster: undefined }, undefined), true, 'its log driver')
  const base = sampleCluster()
  const cluster = { ...base, Spec: { ...base.Spec, TaskDefaults: { LogDriver } } }
  t.equal(isDirty(logs, { service: none, cluster }, undefined), false, "the cluster's log driver")

  const port = { Protocol: 'tcp', TargetPort: 80, PublishMode: 'host' } as const
  const publishing = webService({ EndpointSpec: { Ports: [{ ...port, PublishedPort: 8080 }] } }, 1)
  const published = newTask({ ...origin, service: publishing }, { slot: 1 }, 'running')
  const free = webService({ EndpointSpec: { Ports: [port] } }, 2)
  t.equal(isDirty(published, { service: free, cluster: undefined }, undefined), true, 'host port')
})

t.test('what Go clients add or leave out of a spec makes no task dirty', async (t) => {
  const mount = { Type: 'volume', Source: 'v', Target: '/v' } as const
  const task = (spec: ServiceSpec['TaskTemplate']) => {
    const service = webService({ TaskTemplate: spec }, 1)
    const origin = { service, cluster: undefined, newId: () => 't1', nowMs }
    return newTask(origin, { slot: 1 }, 'running')
  }
  const cases: [ServiceSpec['TaskTemplate'], ServiceSpec['TaskTemplate'], boolean][] = [
    [{}, { ForceUpdate: 0 }, false],
    [
      {
        ContainerSpec: {
          Image: 'a',
          TTY: false,
          User: '',
          Mounts: [{ ...mount, ReadOnly: false }],
        },
      },
      { ContainerSpec: { Image: 'a', Mounts: [mount] }, Placement: { MaxReplicas: 0 } },
      false,
    ],
    [{ Resources: { Limits: { NanoCPUs: 0 } } }, { Resources: {} }, false],
    [{ ContainerSpec: { Image: 'a', Init: false } }, { ContainerSpec: { Image: 'a' } }, true],
    [
      { ContainerSpec: { Image: 'a', StopGracePeriod: 0 } },
      { ContainerSpec: { Image: 'a' } },
      true,
    ],
    [{ RestartPolicy: { Delay: 0 } }, { RestartPolicy: {} }, true],
    [
      { ContainerSpec: { Image: 'a', Labels: { debug: '' } } },
      { ContainerSpec: { Image: 'a' } },
      true,
    ],
  ]
  for (const [before, after, expected] of cases) {
    const wanted = { service: webService({ TaskTemplate: after }, 2), cluster: undefined }
    t.equal(isDirty(task(before), wanted, sampleNode('n1', 1)), expected, JSON.stringify(before))
  }
})
