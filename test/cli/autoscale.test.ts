/** A service that is scaled by demand, as the commands make and show it. */
import t, { type Test } from 'tap'
import type { AutoscaleReport } from '../../src/api/autoscale.ts'
import { withReplicas } from '../../src/api/replicas.ts'
import type { Service } from '../../src/api/service.ts'
import { runCli } from '../support/cli/run-cli.ts'
import { startNode } from '../support/http/api-node.ts'

const NOW = Date.parse('2026-01-02T04:01:00Z')

const start = async (t: Test) => {
  const node = await startNode(t)
  const run = (...args: string[]) =>
    runCli(['-H', node.host, ...args], { nowMs: () => NOW, sleep: async () => {} })
  const create = (...flags: string[]) =>
    run(
      ...['service', 'create', '--detach', '--no-resolve-image', '--name', 'web'],
      ...['--reserve-cpu', '0.5', ...flags, 'nginx'],
    )
  const update = (...flags: string[]) => run('service', 'update', '--detach', ...flags, 'web')
  const service = (): Service => node.swarm.store.view().byName('service', 'web')!
  const replicas = () => service().Spec.Mode?.Replicated?.Replicas
  /** What the leader's autoscaler does. */
  const scaleTo = async (to: number) => {
    const Autoscaled = {
      ...{ At: '2026-01-02T03:59:00.000Z', From: replicas() ?? 0, To: to },
      Reason: 'cpu at 140% (target 70%) calls for 4',
    }
    await node.swarm.store.update((tx) =>
      tx.put('service', {
        ...service(),
        Spec: withReplicas(service().Spec, to),
        Swarmctl: { ...service().Swarmctl, Autoscaled },
      }),
    )
  }
  return { node, run, create, update, service, replicas, scaleTo }
}

const BOUNDS = ['--autoscale-min', '2', '--autoscale-max', '10', '--autoscale-cpu', '70%']

t.test('the flags make and change an autoscaler', async (t) => {
  const { create, update, service, replicas } = await start(t)
  const made = await create(...BOUNDS, '--autoscale-window', '1m')
  t.match(made, { code: 0, err: '' }, 'nobody is warned of a number that was not given')
  const first = { Min: 2, Max: 10, CpuPercent: 70, ScaleDownWindow: 60e9 }
  t.strictSame(service().Spec.Swarmctl, { Autoscale: first })
  t.equal(replicas(), 2, 'it begins with its least')
  await update('--autoscale-max', '20', '--autoscale-cpu', '50', '--drain-limit', '5s')
  t.strictSame(service().Spec.Swarmctl, {
    Autoscale: { ...first, Max: 20, CpuPercent: 50 },
    DrainLimit: 5e9,
  })
  await update('--limit-memory', '64m', '--autoscale-memory', '80')
  t.match(service().Spec.Swarmctl?.Autoscale, { CpuPercent: 50, MemoryPercent: 80 })
  const ended = await update('--autoscale=false')
  t.match(ended, { code: 0, err: '' })
  t.strictSame(service().Spec.Swarmctl, { DrainLimit: 5e9 })
  t.match(await update('--autoscale-min', '3'), { code: 1, err: /--autoscale-max is missing/ })
  t.match(await update('--autoscale', '--autoscale-max', '3'), {
    ...{ code: 1, err: /a target is missing: --autoscale-cpu or --autoscale-memory/ },
  })
})

t.test('flags that can not be kept are refused', async (t) => {
  const { run, create } = await start(t)
  const cases: [flags: string[], err: RegExp, code?: number][] = [
    [['--autoscale-cpu', '70'], /--autoscale-max is missing/],
    [['--autoscale-max', '3'], /a target is missing/],
    [['--autoscale-max', 'many'], /invalid value "many" for --autoscale-max: must be a whole/, 125],
    [['--autoscale-max', '0'], /for --autoscale-max: must be a whole number of at least 1/, 125],
    [['--autoscale-max', '3', '--autoscale-cpu', 'x%'], /for --autoscale-cpu/, 125],
    [
      ['--autoscale-max', '1', '--autoscale-min', '2', '--autoscale-cpu', '7'],
      /Max 1 is less than/,
    ],
    [['--autoscale-max', '3', '--autoscale-memory', '70'], /of the memory that a task reserves/],
    [[...BOUNDS, '--mode', 'global'], /only a replicated service/],
  ]
  for (const [flags, err, code = 1] of cases)
    t.match(await create(...flags), { code, err }, flags.join(' '))
  t.match((await run('service', 'create', '--help')).out, /--autoscale-max <n>/)
})

t.test('an update leaves the number of tasks as it is, unless it names one', async (t) => {
  const { create, update, replicas, scaleTo } = await start(t)
  await create(...BOUNDS)
  await scaleTo(6)
  await update('--label-add', 'a=1')
  t.equal(replicas(), 6)
  await update('--autoscale-max', '4')
  t.equal(replicas(), 4)
  await update('--replicas', '3')
  t.equal(replicas(), 3)
  t.match((await update('--replicas', '9')).err, /9 replicas are not within .*, 2 to 4: 4/)
  t.equal(replicas(), 4)
})

t.test('scale works, and says that the autoscaler goes on', async (t) => {
  const { run, create, replicas } = await start(t)
  await create(...BOUNDS)
  const scale = (to: string) => run('service', 'scale', '--detach', `web=${to}`)
  const said = 'its autoscaler goes on from there, between 2 and 10\n'
  t.match(await scale('5'), { code: 0, out: `web scaled to 5: ${said}` })
  t.equal(replicas(), 5)
  t.match(await scale('50'), { code: 0, out: `web scaled to 10: ${said}` })
  t.equal(replicas(), 10)
  const off = await scale('0')
  t.equal(off.out, 'web scaled to 0: its autoscaler rests until it is scaled up again\n')
  t.equal(replicas(), 0)
})

t.test('inspect shows bounds, targets and the last change', async (t) => {
  const { run, create, scaleTo } = await start(t)
  await create(...BOUNDS)
  const pretty = async () => (await run('service', 'inspect', '--pretty', 'web')).out
  t.match(
    await pretty(),
    'Autoscale:\n Replicas:\t2 to 10\n Targets:\tcpu 70%\n Scale-down window:\t5m0s\n',
  )
  await scaleTo(4)
  t.match(
    await pretty(),
    ' Last change:\t2 → 4, 2 minutes ago: cpu at 140% (target 70%) calls for 4\n',
  )
  const path =
    '{{.Spec.Swarmctl.Autoscale.Max}} {{.Spec.Swarmctl.Autoscale.ScaleDownWindow}} {{.Swarmctl.Autoscaled.To}}'
  t.equal((await run('service', 'inspect', '--format', path, 'web')).out, '10 0s 4\n')
})

t.test('why says what the autoscaler saw and did last', async (t) => {
  const { node, run, create, service, scaleTo } = await start(t)
  await create(...BOUNDS)
  t.match(
    (await run('why', 'web')).out,
    'it is scaled by demand, 2 to 10 replicas: not looked at yet\n',
  )
  await scaleTo(4)
  const report: AutoscaleReport = {
    ...{ ServiceID: service().ID, At: '2026-01-02T04:00:55.000Z' },
    Tasks: { Reported: 2, Starting: 1, Unknown: 1 },
    Metrics: [{ Name: 'cpu', Unit: 'percent', Target: 70, Average: 60, Replicas: 4 }],
    Message: 'stays at 4: cpu at 60% (target 70%) calls for 4',
  }
  node.swarm.autoscaleReports.set(service().ID, report)
  const { out } = await run('why', 'web')
  t.match(out, '2 to 10 replicas: stays at 4: cpu at 60% (target 70%) calls for 4 (5s ago)\n')
  t.match(
    out,
    'saw cpu at 60% (target 70%); tasks: 2 measured, 1 just started, 1 of which nothing is heard\n',
  )
  t.match(out, 'it was scaled 2m ago, 2 → 4: cpu at 140% (target 70%) calls for 4\n')
  t.strictSame((await node.call('GET', `/services/web/autoscale`)).body, report)
  node.swarm.leader = { kind: 'none', message: 'no leader' }
  t.equal((await node.call('GET', '/services/web/autoscale')).status, 503)
})

t.test('a service without one has no report', async (t) => {
  const { node, run, create } = await start(t)
  await create()
  const answer = await node.call('GET', '/services/web/autoscale')
  t.equal(answer.status, 400)
  t.match(answer.body, { message: 'service web is not scaled by demand: it has no autoscaler' })
  t.equal((await node.call('GET', '/services/gone/autoscale')).status, 404)
  t.notMatch((await run('why', 'web')).out, /scaled by demand/)
  t.equal((await run('service', 'scale', '--detach', 'web=3')).out, 'web scaled to 3\n')
})
