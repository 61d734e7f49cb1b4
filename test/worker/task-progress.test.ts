import fc from 'fast-check'
import t from 'tap'
import type { TaskState } from '../../src/api/task-state.ts'
import { compareTaskStates, isTerminal } from '../../src/api/task-state.ts'
import {
  type ContainerHealth,
  EXIT_CODE_UNKNOWN,
  type ObservedContainer,
} from '../../src/worker/executor.ts'
import { nextStep, type Progress, type Step, stopGraceMs } from '../../src/worker/task-progress.ts'
import { agentTask } from '../support/worker/agent-bench.ts'

const container = (
  status: ObservedContainer['status'],
  exitCode = 0,
  health: ContainerHealth = 'none',
): ObservedContainer => ({
  id: 'c',
  taskId: 't',
  status,
  pid: status === 'running' ? 9 : 0,
  exitCode,
  health,
  ports: [],
})

const progress = (change: Partial<Progress>): Progress => ({
  state: 'assigned',
  container: null,
  dependenciesHere: true,
  dependencyMissing: '',
  created: true,
  prepared: true,
  released: false,
  predecessorRuns: false,
  listening: false,
  served: false,
  outOfRotation: false,
  drained: false,
  stopped: false,
  exitCodeLost: false,
  assigned: true,
  ...change,
})

const ran = { state: 'running', served: true } as const
const task = (desired: TaskState, overlay = true) =>
  agentTask('t', { DesiredState: desired }, overlay)

/** The step in short: `report failed: task: non-zero exit (1)`, `wait exit`, `create`. */
const step = (desired: TaskState, change: Partial<Progress>, overlay = true): string =>
  short(nextStep(task(desired, overlay), progress(change)))

const short = (next: Step): string => {
  if (next.kind === 'wait') return `wait ${next.reason}`
  if (next.kind !== 'report') return next.kind
  return `report ${next.state}${next.err === undefined ? '' : `: ${next.err}`}`
}

t.test('a job waits for how its container ended, within reason', async (t) => {
  const job = (desired: TaskState, change: Partial<Progress>) =>
    short(
      nextStep(
        { ...task(desired), JobIteration: { Index: 1 } },
        progress({ ...ran, container: container('exited', EXIT_CODE_UNKNOWN), ...change }),
      ),
    )
  const lost = 'report failed: task: its process ended while the Docker Engine did not answer'
  t.equal(job('complete', {}), 'wait exit-code')
  t.equal(job('complete', { exitCodeLost: true }), lost)
  t.equal(job('complete', { container: container('exited', 0) }), 'report complete')
  t.equal(job('shutdown', {}), lost, 'nobody waits for it any more')
})

t.test('each next step', async (t) => {
  const cases: [string, TaskState, Partial<Progress>][] = [
    ['report accepted', 'running', {}],
    ['wait dependencies', 'running', { state: 'accepted', dependenciesHere: false }],
    [
      'report rejected: no such secret',
      'running',
      { state: 'accepted', dependenciesHere: false, dependencyMissing: 'no such secret' },
    ],
    [
      'report failed: no such secret',
      'running',
      {
        state: 'ready',
        container: container('created'),
        prepared: false,
        dependenciesHere: false,
        dependencyMissing: 'no such secret',
      },
    ],
    ['report preparing', 'running', { state: 'accepted' }],
    ['prepare', 'running', { state: 'preparing', prepared: false }],
    ['create', 'running', { state: 'preparing' }],
    ['create', 'running', { state: 'preparing', container: container('created'), created: false }],
    [
      'prepare',
      'running',
      {
        state: 'preparing',
        container: container('created'),
        created: false,
        prepared: false,
      },
    ],
    ['report shutdown', 'shutdown', { container: container('created'), created: false }],
    ['report ready', 'ready', { state: 'preparing', container: container('created') }],
    ['wait desired-running', 'ready', { state: 'ready', container: container('created') }],
    ['prepare', 'running', { state: 'ready', container: container('created'), prepared: false }],
    ['report starting', 'running', { state: 'ready', container: container('created') }],
    ['start', 'running', { state: 'starting', container: container('created') }],
    [
      'wait predecessor',
      'running',
      { state: 'starting', container: container('created'), predecessorRuns: true },
    ],
    ['report running', 'running', { state: 'starting', container: container('running') }],
    [
      'wait healthy',
      'running',
      { state: 'starting', container: container('running', 0, 'starting') },
    ],
    [
      'report running',
      'running',
      { state: 'starting', container: container('running', 0, 'healthy') },
    ],
    ['wait exit', 'running', { ...ran, container: container('running') }],
    ['wait exit', 'complete', { ...ran, container: container('running') }],
    [
      'report failed: task: unhealthy container',
      'running',
      { ...ran, container: container('running', 0, 'unhealthy') },
    ],
    ['report complete', 'running', { ...ran, container: container('exited') }],
    [
      'report failed: task: its process ended while the Docker Engine did not answer',
      'running',
      { ...ran, container: container('exited', EXIT_CODE_UNKNOWN) },
    ],
    [
      'report failed: task: non-zero exit (9)',
      'running',
      { ...ran, container: container('exited', 9) },
    ],
    ['report failed: the container was removed', 'running', ran],
    ['stop', 'running', { state: 'failed', container: container('running') }],
    ['release', 'running', { state: 'failed', container: container('exited') }],
    [
      'wait removal',
      'running',
      { state: 'failed', container: container('exited'), released: true },
    ],
    ['report shutdown', 'shutdown', {}],
    ['report shutdown', 'shutdown', { state: 'ready', container: container('created') }],
    ['stop', 'shutdown', { state: 'starting', container: container('running', 0, 'starting') }],
    ['wait out-of-rotation', 'shutdown', { ...ran, container: container('running') }],
    ['drain', 'shutdown', { ...ran, container: container('running'), outOfRotation: true }],
    [
      'stop',
      'shutdown',
      { ...ran, container: container('running'), outOfRotation: true, drained: true },
    ],
    ['report shutdown', 'shutdown', { ...ran, container: container('exited', 143), stopped: true }],
    [
      'report failed: task: non-zero exit (1)',
      'shutdown',
      { ...ran, container: container('exited', 1) },
    ],
    ['release', 'shutdown', { state: 'shutdown', container: container('exited') }],
    [
      'wait removal',
      'shutdown',
      { state: 'shutdown', container: container('exited'), released: true },
    ],
    ['remove', 'remove', { state: 'shutdown', container: container('exited'), released: true }],
    ['wait removal', 'remove', { state: 'shutdown', released: true }],
    [
      'wait out-of-rotation',
      'running',
      { ...ran, container: container('running'), assigned: false },
    ],
    [
      'remove',
      'running',
      { state: 'shutdown', container: container('exited'), released: true, assigned: false },
    ],
    ['forget', 'running', { state: 'shutdown', released: true, assigned: false }],
  ]
  for (const [wanted, desired, change] of cases)
    t.equal(step(desired, change), wanted, `${wanted} for ${desired} ${JSON.stringify(change)}`)
  t.equal(
    step('shutdown', { ...ran, container: container('running') }, false),
    'stop',
    'without networks nobody is waited for',
  )
  t.equal(stopGraceMs(agentTask('t')), 10_000)
})

t.test('a task that publishes a port runs once it listens', async (t) => {
  const published = (port: object, change: Partial<Progress>, isOnOverlay = true) => {
    const asked = task('running', isOnOverlay)
    const Ports = [{ Protocol: 'tcp', TargetPort: 80, PublishMode: 'ingress', ...port }] as never
    asked.Swarmctl = { ...asked.Swarmctl, Endpoint: { Ports } }
    const started = { state: 'starting', container: container('running') } as const
    return short(nextStep(asked, progress({ ...started, ...change })))
  }
  t.equal(published({}, {}), 'listen')
  t.equal(published({}, { listening: true }), 'report running')
  t.equal(published({ Protocol: 'udp' }, {}), 'report running', 'nobody can tell')
  t.equal(published({ PublishMode: 'host' }, {}), 'report running', 'no node sends it any')
  t.equal(published({}, {}, false), 'report running')
  t.equal(published({}, { ...ran }), 'wait exit')
  const healthy = { container: container('running', 0, 'healthy') }
  t.equal(published({}, healthy), 'report running', 'its healthcheck says so')
})

t.test(
  'from any point it ends, only moves forward, and never stops a serving container undrained',
  async (t) => {
    const states = [
      'assigned',
      'accepted',
      'preparing',
      'ready',
      'starting',
      'running',
      'complete',
      'failed',
      'shutdown',
      'rejected',
    ] as const
    const any = fc.record({
      state: fc.constantFrom(...states),
      container: fc.constantFrom(
        null,
        container('created'),
        container('running'),
        container('exited'),
        container('exited', 1),
      ),
      dependenciesHere: fc.boolean(),
      dependencyMissing: fc.constantFrom('', 'no such secret'),
      created: fc.boolean(),
      prepared: fc.boolean(),
      released: fc.boolean(),
      predecessorRuns: fc.boolean(),
      listening: fc.boolean(),
      served: fc.boolean(),
      outOfRotation: fc.boolean(),
      drained: fc.boolean(),
      stopped: fc.boolean(),
      exitCodeLost: fc.boolean(),
      assigned: fc.boolean(),
    })
    const desired = fc.constantFrom(
      'ready',
      'running',
      'complete',
      'shutdown',
      'remove',
    ) as fc.Arbitrary<TaskState>
    fc.assert(
      fc.property(any, desired, (start, wanted) => {
        const p: Progress = { ...start }
        for (let steps = 0; steps < 20; steps++) {
          const next = nextStep(task(wanted), p)
          switch (next.kind) {
            case 'wait':
            case 'forget':
              return
            case 'report':
              t.ok(compareTaskStates(next.state, p.state) > 0, 'forward')
              p.state = next.state
              break
            case 'prepare':
              p.prepared = true
              break
            case 'create':
              p.container = container('created')
              p.created = true
              break
            case 'start':
              p.container = container('running')
              break
            case 'listen':
              p.listening = true
              break
            case 'drain':
              p.drained = true
              break
            case 'stop':
              if (p.served && !isTerminal(p.state)) t.ok(p.outOfRotation && p.drained)
              p.stopped = true
              p.container = container('exited', 143)
              break
            case 'release':
              p.released = true
              break
            case 'remove':
              p.container = null
              break
            default:
              next satisfies never
          }
        }
        t.fail(`no end from ${JSON.stringify(start)}`)
      }),
      { numRuns: 500 },
    )
  },
)
