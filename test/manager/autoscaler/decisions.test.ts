import t from 'tap'
import type { Autoscale } from '../../../src/api/autoscale.ts'
import type { Service } from '../../../src/api/service.ts'
import { planScale } from '../../../src/manager/autoscaler/plan-scale.ts'
import { propose, type TaskUse } from '../../../src/manager/autoscaler/proposal.ts'
import { growthCeiling, type ScaleHistory } from '../../../src/manager/autoscaler/scale-history.ts'
import { sampleService } from '../../support/objects.ts'

// The cases follow Kubernetes' documentation of the algorithm (Horizontal Pod Autoscaling, "Algorithm details").

const NOW = Date.parse('2026-01-01T00:00:00.000Z')
const SECOND = 1000

t.test(
  'one target: ceil(current × use / target), a tolerance, and what is not known',
  async (t) => {
    const target = { perTask: 100, assumed: 200, step: 1 }
    const cases: [
      name: string,
      known: number[],
      counts: { current: number; starting?: number; unknown?: number },
      wanted: number | undefined,
    ][] = [
      ['nobody is known', [], { current: 3 }, undefined],
      ['nobody is known, some start', [], { current: 3, starting: 2, unknown: 1 }, undefined],
      ['as it should be', [100, 100], { current: 2 }, 2],
      ['twice the target', [200, 200], { current: 2 }, 4],
      ['a little more is noise', [200.9, 200.9], { current: 2 }, 4],
      ['half the target', [50, 50, 50, 50], { current: 4 }, 2],
      ['rounded up', [110, 120, 130], { current: 3 }, 4],
      ['a tenth above is tolerated', [110, 110], { current: 2 }, 2],
      ['more than a tenth is not', [111, 111], { current: 2 }, 3],
      ['a tenth below is tolerated', [90, 90, 90, 90, 90, 90, 90, 90, 90, 90], { current: 10 }, 10],
      ['no use at all: one', [0, 0, 0], { current: 3 }, 1],
      ['a quotient that is whole but for rounding', [60, 60, 60, 60, 60], { current: 5 }, 3],
      ['growth: the silent use nothing', [300], { current: 2, unknown: 1 }, 3],
      ['growth: the silent may make it none', [150], { current: 2, unknown: 1 }, 2],
      ['growth: the silent never turn it round', [150], { current: 3, unknown: 2 }, 3],
      ['shrinking: the silent use all that they have', [10, 10, 10], { current: 4, unknown: 1 }, 3],
      ['shrinking: the silent never turn it round', [50, 50], { current: 4, unknown: 2 }, 4],
      ['growth: those that start use nothing', [400], { current: 2, starting: 1 }, 4],
      ['growth: those that start may be enough', [150], { current: 2, starting: 1 }, 2],
      ['growth never shrinks', [150, 150, 150], { current: 6 }, 6],
      ['shrinking never grows', [80, 80, 80, 80], { current: 3 }, 3],
    ]
    for (const [name, known, { current, starting = 0, unknown = 0 }, wanted] of cases) {
      t.equal(propose(target, known, { current, starting, unknown }), wanted, name)
    }
  },
)

const TARGETS: Autoscale = { Min: 2, Max: 10, CpuPercent: 50 }

const service = (replicas: number, change: Partial<Service> = {}, autoscale = TARGETS): Service => {
  const base = sampleService('web', 'web')
  return {
    ...base,
    Spec: {
      ...base.Spec,
      TaskTemplate: {
        ContainerSpec: { Image: 'nginx' },
        Resources: {
          Reservations: { NanoCPUs: 1e9 },
          Limits: { NanoCPUs: 2e9, MemoryBytes: 100e6 },
        },
      },
      Mode: { Replicated: { Replicas: replicas } },
      Swarmctl: { Autoscale: autoscale },
    },
    Swarmctl: { SpecVersion: 7 },
    ...change,
  }
}

/** Tasks that use this share of a CPU each. */
const using = (cpus: number, tasks: number, memoryBytes = 0): TaskUse[] =>
  Array.from({ length: tasks }, () => ({ kind: 'reported', nanoCpus: cpus * 1e9, memoryBytes }))

const CALM: ScaleHistory = { proposals: [], growths: [] }

t.test('one look at a service', async (t) => {
  const cases: [
    name: string,
    service: Service,
    uses: TaskUse[],
    history: ScaleHistory,
    to: number | undefined,
    message: RegExp,
  ][] = [
    [
      'grows',
      service(2),
      using(1, 2),
      CALM,
      4,
      /^2 → 4 replicas: cpu at 100% \(target 50%\) calls for 4$/,
    ],
    ['as it should be', service(2), using(0.5, 2), CALM, undefined, /^stays at 2: cpu at 50%/],
    ['shrinks', service(6), using(0.2, 6), CALM, 3, /^6 → 3 replicas: cpu at 20%/],
    ['to the least', service(6), using(0, 6), CALM, 2, /calls for 1, 2 is its least$/],
    ['to the most', service(8), using(1, 8), CALM, 10, /calls for 16, 10 is its most$/],
    [
      'four more at once',
      service(2),
      using(9, 2),
      CALM,
      6,
      /calls for 36, 10 is its most, no more at once/,
    ],
    [
      'doubled at once',
      service(8, {}, { ...TARGETS, Max: 99 }),
      using(9, 8),
      CALM,
      16,
      /no more at once$/,
    ],
    [
      'no more within the period',
      service(6),
      using(9, 6),
      { proposals: [], growths: [{ atMs: NOW - 14 * SECOND, tasks: 4 }] },
      undefined,
      /^stays at 6: .* no more at once$/,
    ],
    [
      'more after the period',
      service(6),
      using(9, 6),
      { proposals: [], growths: [{ atMs: NOW - 15 * SECOND, tasks: 4 }] },
      10,
      /^6 → 10/,
    ],
    [
      'fewer must have been enough for a while',
      service(6),
      using(0.1, 6),
      { proposals: [{ atMs: NOW - 299 * SECOND, replicas: 5 }], growths: [] },
      5,
      /calls for 2, more was called for within 300 s$/,
    ],
    [
      'then they are',
      service(6),
      using(0.1, 6),
      { proposals: [{ atMs: NOW - 300 * SECOND, replicas: 5 }], growths: [] },
      2,
      /calls for 2$/,
    ],
    [
      'another window',
      service(6, {}, { ...TARGETS, ScaleDownWindow: 10e9 }),
      using(0.1, 6),
      { proposals: [{ atMs: NOW - 11 * SECOND, replicas: 5 }], growths: [] },
      2,
      /calls for 2$/,
    ],
    ['above its bounds', service(12), [], CALM, 10, /^12 → 10 replicas: its bounds$/],
    ['below its bounds', service(1), [], CALM, 2, /^1 → 2 replicas: its bounds$/],
    ['none rests', service(0), [], CALM, undefined, /^rests while the service has 0 replicas$/],
    [
      'an update is left alone',
      service(2, { UpdateStatus: { State: 'updating' } }),
      using(1, 2),
      CALM,
      undefined,
      /^rests until the service's update is over \(it is updating\)$/,
    ],
    [
      'also one that is paused',
      service(2, { UpdateStatus: { State: 'rollback_paused' } }),
      using(1, 2),
      CALM,
      undefined,
      /rollback_paused/,
    ],
    [
      'not one that is over',
      service(2, { UpdateStatus: { State: 'completed' } }),
      using(1, 2),
      CALM,
      4,
      /calls for 4/,
    ],
    [
      'nothing is known',
      service(2),
      [{ kind: 'unknown' }, { kind: 'starting' }],
      CALM,
      undefined,
      /^stays at 2: the use of its tasks is not known/,
    ],
    [
      'a kernel that counts no memory',
      service(6, {}, { Max: 10, MemoryPercent: 50 }),
      using(0.1, 6),
      CALM,
      undefined,
      /^stays at 6: the use of its tasks is not known/,
    ],
    [
      'nor when the CPU would let some go',
      service(6, {}, { ...TARGETS, MemoryPercent: 50 }),
      using(0.1, 6),
      CALM,
      undefined,
      /^stays at 6: memory not known \(target 50%\)$/,
    ],
    [
      'but the CPU may call for more',
      service(2, {}, { ...TARGETS, MemoryPercent: 50 }),
      using(1, 2),
      CALM,
      4,
      /^2 → 4 replicas: cpu at 100%/,
    ],
    [
      'nodes that do not count it hold a change back',
      service(4, {}, { Max: 10, MemoryPercent: 50 }),
      [...using(0.1, 2, 10e6), ...using(0.1, 2)],
      CALM,
      undefined,
      /^stays at 4: memory at 10%/,
    ],
    [
      'the largest of several targets',
      service(2, {}, { ...TARGETS, MemoryBytes: 10 * 2 ** 20 }),
      using(0.1, 2, 20 * 2 ** 20),
      CALM,
      4,
      /memory at 20MiB \(target 10MiB\) calls for 4/,
    ],
    [
      'percent of the limit where nothing is reserved',
      service(2, {}, { Max: 10, MemoryPercent: 50 }),
      using(0, 2, 100e6),
      CALM,
      4,
      /memory at 100% \(target 50%\)/,
    ],
    [
      'an amount of CPU',
      service(2, {}, { Max: 10, NanoCpus: 0.5e9 }),
      using(1, 2),
      CALM,
      4,
      /cpu at 1 CPUs \(target 0.5 CPUs\)/,
    ],
  ]
  for (const [name, one, uses, history, to, message] of cases) {
    const { change, report } = planScale(one, uses, history, NOW)
    t.equal(change?.to, to, name)
    t.match(report.Message, message, name)
    if (change)
      t.match(change, { serviceId: 'web', specVersion: 7, at: '2026-01-01T00:00:00.000Z' })
  }
})

t.test('a new leader removes nothing before it has seen a whole window', async (t) => {
  const idle = using(0.1, 6)
  const first = planScale(service(6), idle, undefined, NOW)
  t.equal(first.change, undefined)
  t.match(first.report.Message, /more was called for within 300 s/)
  const soon = planScale(service(6), idle, first.history, NOW + 299 * SECOND)
  t.equal(soon.change, undefined)
  const late = planScale(service(6), idle, soon.history, NOW + 300 * SECOND)
  t.equal(late.change?.to, 2)
})

t.test('a new leader knows how much was added last, as it is stored', async (t) => {
  const At = new Date(NOW - 5 * SECOND).toISOString()
  const grown = service(6, {
    Swarmctl: { SpecVersion: 7, Autoscaled: { At, From: 2, To: 6, Reason: '' } },
  })
  t.equal(planScale(grown, using(9, 6), undefined, NOW).change, undefined)
  const shrunk = service(2, {
    Swarmctl: { SpecVersion: 7, Autoscaled: { At, From: 6, To: 2, Reason: '' } },
  })
  t.equal(planScale(shrunk, using(9, 2), undefined, NOW).change?.to, 6)
})

t.test('what a clock that was wrong has put into the future holds nothing up', async (t) => {
  const At = '2030-01-01T00:00:00.000Z'
  const grown = service(6, {
    Swarmctl: { SpecVersion: 7, Autoscaled: { At, From: 2, To: 6, Reason: '' } },
  })
  t.equal(planScale(grown, using(9, 6), undefined, NOW).change?.to, 10)
  const ahead = { atMs: Date.parse(At), replicas: 8 }
  const history = { proposals: [ahead], growths: [{ atMs: ahead.atMs, tasks: 4 }] }
  t.equal(planScale(service(6), using(0.1, 6), history, NOW).change?.to, 2)
})

t.test('a history is as long as its window', async (t) => {
  let history: ScaleHistory | undefined
  for (let atMs = NOW; atMs < NOW + 3600 * SECOND; atMs += 10 * SECOND) {
    history = planScale(service(4), using(0.5, 4), history, atMs).history
  }
  t.equal(history?.proposals.length, 30)
  t.equal(growthCeiling(4, { proposals: [], growths: [{ atMs: 0, tasks: 9 }] }), 4, 'never less')
})
