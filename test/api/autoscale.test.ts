import t from 'tap'
import { clampReplicas, shareBases, withReplicasOf } from '../../src/api/replicas.ts'
import { parseServiceRequest, parseServiceSpec } from '../../src/api/validate/service.ts'

const Resources = { Reservations: { NanoCPUs: 5e8 }, Limits: { MemoryBytes: 64 * 2 ** 20 } }
const spec = (autoscale: object | undefined, change: Record<string, unknown> = {}) => ({
  Name: 'web',
  TaskTemplate: { ContainerSpec: { Image: 'nginx' }, Resources },
  Swarmctl: { Autoscale: autoscale },
  ...change,
})
const replicated = (Replicas: number) => ({ Mode: { Replicated: { Replicas } } })
const bare = { TaskTemplate: { ContainerSpec: { Image: 'nginx' } } }

t.test('bounds and targets that can not be kept are refused', async (t) => {
  const cases: [name: string, body: unknown, message: RegExp | string][] = [
    ['no most', spec({ CpuPercent: 50 }), /invalid Swarmctl\.Autoscale\.Max/],
    ['a most of 0', spec({ Max: 0, CpuPercent: 50 }), /invalid Swarmctl\.Autoscale\.Max/],
    ['a least of 0', spec({ Min: 0, Max: 2, CpuPercent: 50 }), /invalid Swarmctl\.Autoscale\.Min/],
    ['half a task', spec({ Max: 2.5, CpuPercent: 50 }), /invalid Swarmctl\.Autoscale\.Max/],
    [
      'less than the least',
      spec({ Min: 3, Max: 2, CpuPercent: 50 }),
      'Swarmctl.Autoscale: Max 2 is less than Min 3',
    ],
    [
      'no target',
      spec({ Max: 2 }),
      'Swarmctl.Autoscale: a target is missing: CpuPercent, MemoryPercent, NanoCpus or MemoryBytes',
    ],
    ['0 percent', spec({ Max: 2, CpuPercent: 0 }), /invalid Swarmctl\.Autoscale\.CpuPercent/],
    [
      'two CPU targets',
      spec({ Max: 2, CpuPercent: 50, NanoCpus: 1e9 }),
      /CpuPercent and NanoCpus are two targets/,
    ],
    [
      'two memory targets',
      spec({ Max: 2, MemoryPercent: 50, MemoryBytes: 1e9 }),
      /MemoryPercent and MemoryBytes are two targets/,
    ],
    [
      'percent of no CPUs',
      spec({ Max: 2, CpuPercent: 50 }, bare),
      /CpuPercent is of the CPUs that a task reserves, or of its limit: give it one$/,
    ],
    [
      'percent of no memory',
      spec({ Max: 2, MemoryPercent: 50 }, bare),
      /MemoryPercent is of the memory that a task reserves/,
    ],
    [
      'a window of days',
      spec({ Max: 2, CpuPercent: 50, ScaleDownWindow: 3601e9 }),
      /ScaleDownWindow must be an hour at most/,
    ],
    [
      'a global service',
      spec({ Max: 2, CpuPercent: 50 }, { Mode: { Global: {} } }),
      /only a replicated service/,
    ],
    [
      'a job',
      spec({ Max: 2, CpuPercent: 50 }, { Mode: { ReplicatedJob: {} } }),
      /only a replicated service/,
    ],
    [
      'an address for one task',
      spec(
        { Max: 2, CpuPercent: 50 },
        {
          TaskTemplate: {
            ...{ ContainerSpec: { Image: 'nginx' }, Resources },
            Networks: [{ Target: 'n', Swarmctl: { IPv4Address: '10.0.0.9' } }],
          },
        },
      ),
      /the address 10\.0\.0\.9 is for one task/,
    ],
  ]
  for (const [name, body, message] of cases) {
    t.throws(() => parseServiceSpec(body), { message }, name)
  }
})

t.test('what can be kept is kept as it was sent', async (t) => {
  const all = { Min: 2, Max: 9, CpuPercent: 70, MemoryBytes: 1e8, ScaleDownWindow: 0 }
  for (const autoscale of [
    all,
    { Max: 1, MemoryPercent: 250 },
    { Max: 5, NanoCpus: 2e8, Novelty: 1 },
  ]) {
    t.strictSame(parseServiceSpec(spec(autoscale)).Swarmctl, { Autoscale: autoscale })
  }
  const amounts = spec({ Max: 5, NanoCpus: 1, MemoryBytes: 1 }, bare)
  t.doesNotThrow(() => parseServiceSpec(amounts), 'amounts need no reservation')
})

t.test(
  'replicas are brought within the bounds, with a warning where they were given',
  async (t) => {
    const autoscale = { Min: 2, Max: 9, CpuPercent: 70 }
    const cases: [
      asked: Record<string, unknown>,
      replicas: number,
      warnings: string[],
      keeps: boolean,
    ][] = [
      [{}, 2, [], true],
      [{ Mode: { Replicated: {} } }, 2, [], true],
      [replicated(5), 5, [], false],
      [replicated(0), 0, [], false],
      [replicated(1), 2, ['1 replicas are not within Swarmctl.Autoscale, 2 to 9: 2'], false],
      [replicated(10), 9, ['10 replicas are not within Swarmctl.Autoscale, 2 to 9: 9'], false],
    ]
    for (const [asked, replicas, warnings, keepsReplicas] of cases) {
      const request = parseServiceRequest(spec(autoscale, asked))
      t.strictSame(request.spec.Mode, { Replicated: { Replicas: replicas } })
      t.match({ ...request, warnings: [...request.warnings] }, { warnings, keepsReplicas })
      t.equal(request.warnings.length, warnings.length)
    }
    const plain = parseServiceRequest(spec(undefined))
    t.match(plain, { keepsReplicas: false, spec: { Mode: { Replicated: { Replicas: 1 } } } })
  },
)

t.test('replicas that were come to stay, as far as the bounds go', async (t) => {
  const next = parseServiceSpec(spec({ Min: 3, Max: 6, CpuPercent: 70 }, replicated(4)))
  const of = (replicas: number) => parseServiceSpec(spec(undefined, replicated(replicas)))
  for (const [current, kept] of [
    [5, 5],
    [1, 3],
    [9, 6],
    [0, 0],
  ] as const) {
    t.strictSame(withReplicasOf(next, of(current)).Mode, { Replicated: { Replicas: kept } })
  }
  const plain = of(4)
  t.equal(withReplicasOf(plain, of(5)), plain, 'without an autoscaler the spec decides')
  const global = parseServiceSpec(spec(undefined, { Mode: { Global: {} } }))
  t.equal(withReplicasOf(next, global), next)
  t.equal(clampReplicas(7, { Max: 5 }), 5)
})

t.test('percents are of what is reserved, else of the limit', async (t) => {
  const bases = (Resources: object) =>
    shareBases(
      parseServiceSpec(spec(undefined, { TaskTemplate: { ...bare.TaskTemplate, Resources } })),
    )
  t.strictSame(bases({}), { nanoCpus: 0, memoryBytes: 0 })
  const Limits = { NanoCPUs: 2e9, MemoryBytes: 2e8 }
  t.strictSame(bases({ Limits }), { nanoCpus: 2e9, memoryBytes: 2e8 })
  t.strictSame(bases({ Limits, Reservations: { NanoCPUs: 1e9 } }), {
    nanoCpus: 1e9,
    memoryBytes: 2e8,
  })
})
