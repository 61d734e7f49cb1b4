import t from 'tap'
import type { AutoscaleReport } from '../../src/api/autoscale.ts'
import type { Task } from '../../src/api/task.ts'
import { execInTask, serviceOf, tasksOf, untilRunning } from '../support/lab/api.ts'
import { formCluster } from '../support/lab/cluster.ts'
import { eventually } from '../support/lab/eventually.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'

// Scaling by demand: real containers, whose use of CPU decides how many there are.

const IMAGE = 'swarmctl-test:1'
const patiently = { timeoutMs: 240_000 }

/** Uses all the CPU that it may until it is told to rest. */
const LOOP = 'while :; do test -e /tmp/rest && sleep 1; done'

const manifests = (note: string): string => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: busy}
spec:
  selector: {matchLabels: {app: busy}}
  template:
    metadata: {labels: {app: busy}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: busy
          image: ${IMAGE}
          command: [sh, -c, "${LOOP}"]
          env: [{name: NOTE, value: ${note}}]
          resources: {limits: {cpu: 100m}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: busy}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: busy}
  maxReplicas: 3
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]
  behavior: {scaleDown: {stabilizationWindowSeconds: 5}}
`

labTest(t, 'autoscaler', { hosts: 2 }, async (t, lab) => {
  const [h1] = lab.hosts as [LabHost]
  await formCluster(lab, { managers: 1 })

  const apply = (note: string) =>
    h1.swarmctl(['apply', '-q', '-f', '-', '--resolve-image', 'never'], {
      input: manifests(note),
      ...patiently,
    })
  const replicasOf = async (service: string) =>
    (await serviceOf(h1, service)).Spec.Mode?.Replicated?.Replicas
  const rest = async (tasks: readonly Task[]) => {
    for (const task of tasks) await execInTask(lab.hosts, task, ['touch', '/tmp/rest'])
  }
  const why = async (service: string) => (await h1.swarmctl(['why', service])).stdout

  await t.test('a busy service grows to its most, on every node', async (t) => {
    t.equal((await apply('one')).code, 0)
    const tasks = await untilRunning(h1, 'busy', 3, patiently)
    t.equal(new Set(tasks.map(({ NodeID }) => NodeID)).size, 2)
    const { Spec, Swarmctl, UpdateStatus } = await serviceOf(h1, 'busy')
    t.match(Spec.Swarmctl, { Autoscale: { Max: 3, CpuPercent: 50, ScaleDownWindow: 5e9 } })
    t.match(Swarmctl.Autoscaled, { To: 3, Reason: /^cpu at \d+% \(target 50%\) calls for \d/ })
    t.equal(UpdateStatus, undefined, 'that is no update')
    const measured = await eventually(
      async () => {
        const answer = await h1.apiRequest('/services/busy/autoscale')
        const report = answer.json() as AutoscaleReport
        return report.Tasks.Reported === 3 && report
      },
      { what: 'the use of all tasks is known', ...patiently },
    )
    const [cpu] = measured.Metrics
    t.ok((cpu?.Average ?? 0) > 75, `they use what they may: ${cpu?.Average}%`)
    t.match(await why('busy'), /it is scaled by demand, 1 to 3 replicas: stays at 3: cpu at/)
    t.match(await why('busy'), /it was scaled \w+ ago, \d → 3: cpu at \d+%/)
    t.match((await h1.swarmctl(['service', 'ls'])).stdout, /busy +replicated +3\/3/)
  })

  await t.test('a deployment of the same files leaves the number of tasks as it is', async (t) => {
    t.equal((await apply('two')).code, 0)
    t.equal(await replicasOf('busy'), 3)
    const tasks = await untilRunning(h1, 'busy', 3, patiently)
    t.ok(tasks.every(({ Spec }) => Spec.ContainerSpec?.Env?.includes('NOTE=two')))
  })

  await t.test('an idle service shrinks to its least', async (t) => {
    await rest(await untilRunning(h1, 'busy', 3, patiently))
    const [last] = (await untilRunning(h1, 'busy', 1, patiently)) as [Task]
    t.equal(await replicasOf('busy'), 1)
    t.match((await serviceOf(h1, 'busy')).Swarmctl.Autoscaled, { To: 1, Reason: /^cpu at \d+%/ })
    t.equal((await execInTask(lab.hosts, last, ['cat', '/tmp/rest'])).code, 0, 'one of those')
    await eventually(
      async () => (await tasksOf(h1, 'busy')).every(({ Slot }) => Slot === last.Slot),
      { what: 'the others are gone', ...patiently },
    )
  })

  await t.test('none is a pause; without the autoscaler the number stays', async (t) => {
    const scaled = await h1.swarmctl(['service', 'scale', '-q', 'busy=0'], patiently)
    t.match(scaled.stdout, 'its autoscaler rests until it is scaled up again')
    await untilRunning(h1, 'busy', 0, patiently)
    await eventually(async () => /rests while the service has 0/.test(await why('busy')), {
      what: 'the autoscaler says that it rests',
      ...patiently,
    })
    await h1.swarmctl(
      ['service', 'update', '-q', '--autoscale=false', '--replicas', '2', 'busy'],
      patiently,
    )
    await untilRunning(h1, 'busy', 2, patiently)
    t.strictSame((await serviceOf(h1, 'busy')).Spec.Swarmctl, {})
  })
})
