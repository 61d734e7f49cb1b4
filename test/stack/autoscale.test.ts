/** Services that are scaled by demand in stack files: `x-swarmctl.autoscale`. */
import t from 'tap'
import type { Autoscale } from '../../src/api/autoscale.ts'
import { withReplicas } from '../../src/api/replicas.ts'
import { formatConfig } from '../../src/stack/format.ts'
import { type ExistingObjects, planStack } from '../../src/stack/plan/plan.ts'
import { rollbackOperations } from '../../src/stack/plan/rollback.ts'
import { convert, convertOne, load } from '../support/stack/memory-stack.ts'

const CPUS = 'deploy: {resources: {reservations: {cpus: "0.5"}}}'
const web = (autoscale: string, replicas = '') =>
  `services: {web: {image: i, deploy: {${replicas}resources: {reservations: {cpus: "0.5"}}}, x-swarmctl: {autoscale: {${autoscale}}}}}`

t.test('the key is the API’s, in the words of stack files', async (t) => {
  const cases: [written: string, autoscale: Autoscale][] = [
    ['max: 10, cpu_percent: 70', { Max: 10, CpuPercent: 70 }],
    [
      'min: 2, max: 10, cpu_percent: 70%, scale_down_window: 1m',
      { Min: 2, Max: 10, CpuPercent: 70, ScaleDownWindow: 60e9 },
    ],
    [
      'max: 10, nano_cpus: 250000000, memory_bytes: 64M',
      { Max: 10, NanoCpus: 25e7, MemoryBytes: 64 * 2 ** 20 },
    ],
    ['Max: 3, CpuPercent: 70', { Max: 3, CpuPercent: 70 }],
    ['max: $MAX, memory_bytes: $BYTES', { Max: 8, MemoryBytes: 1048576 }],
  ]
  for (const [written, autoscale] of cases) {
    const env = { MAX: '8', BYTES: '1048576' }
    const spec = await convertOne(`${CPUS}, x-swarmctl: {autoscale: {${written}}}`, '', { env })
    t.strictSame(spec.Swarmctl, { Autoscale: autoscale }, written)
    t.strictSame(spec.Mode, { Replicated: {} }, 'the manager begins with the least')
  }
  const { config } = await load(web('min: 2, max: 10, cpu_percent: 70'))
  const again = await load(formatConfig(config))
  t.strictSame(again.config, config, 'stack config says the same')
})

t.test('what can not be kept is refused where it stands', async (t) => {
  const cases: [keys: string, message: RegExp][] = [
    [`${CPUS}, x-swarmctl: {autoscale: {max: 2}}`, /services\.a\.x-swarmctl\.autoscale: a target/],
    ['x-swarmctl: {autoscale: {max: 2, cpu_percent: 70}}', /autoscale: CpuPercent is of the CPUs/],
    [
      `${CPUS}, x-swarmctl: {autoscale: {cpu_percent: 70}}`,
      /x-swarmctl\.Autoscale\.Max: is missing/,
    ],
    [`${CPUS}, x-swarmctl: {autoscale: {max: 2, cpu: 70}}`, /cpu is not allowed; known: min, max,/],
    [`${CPUS}, x-swarmctl: {autoscale: {max: 70%, cpu_percent: 7}}`, /max: invalid number "70%"/],
    [`${CPUS}, x-swarmctl: {autoscale: {max: 2, memory_bytes: 1y}}`, /memory_bytes: invalid size/],
    [
      'deploy: {mode: global}, x-swarmctl: {autoscale: {max: 2, memory_bytes: 1m}}',
      /autoscale: only a replicated service/,
    ],
  ]
  for (const [keys, message] of cases) await t.rejects(convertOne(keys), { message }, keys)
})

/** A cluster in which the stack's service has come to so many tasks. */
const clusterWith = async (text: string, replicas: number): Promise<ExistingObjects> => {
  const { services } = await convert(text)
  return {
    ...{ networks: [], secrets: [], configs: [] },
    services: services.map((body) => ({
      ...{ ID: 'svc', Version: { Index: 7 } },
      Spec: withReplicas(body, replicas),
    })),
  }
}

t.test('a deployment leaves the number of tasks to the autoscaler', async (t) => {
  const file = web('min: 2, max: 10, cpu_percent: 70', 'replicas: 3, ')
  const existing = await clusterWith(file, 6)
  const plan = async (text: string) =>
    planStack({ namespace: 'demo', desired: await convert(text), existing })
  const fieldsOf = async (text: string) =>
    (await plan(text)).operations.flatMap((one) =>
      one.kind === 'update-service' ? one.fields : [],
    )
  const same = (await plan(file)).operations.at(-1)
  t.match(same, { kind: 'update-service', fields: [], body: { Mode: { Replicated: {} } } })
  t.equal(same?.kind === 'update-service' && same.body.Mode?.Replicated?.Replicas, undefined)
  t.strictSame(await fieldsOf(web('min: 2, max: 4, cpu_percent: 70')), [
    { path: 'Mode.Replicated.Replicas', before: 6, after: 4 },
    { path: 'Swarmctl.Autoscale.Max', before: 10, after: 4 },
  ])
  const plain = 'services: {web: {image: i, deploy: {replicas: 3}}}'
  t.match(
    (await fieldsOf(plain)).find(({ path }) => path === 'Mode.Replicated.Replicas'),
    { before: 6, after: 3 },
    'without an autoscaler the file decides',
  )
  const created = planStack({
    namespace: 'demo',
    desired: await convert(file),
    existing: { networks: [], secrets: [], configs: [], services: [] },
  })
  t.match(created.operations.slice(-1), [
    { kind: 'create-service', body: { Mode: { Replicated: { Replicas: 3 } } } },
  ])
  const undo = rollbackOperations([{ operation: same!, id: 'svc' }], existing)
  t.match(undo, [{ body: { Mode: { Replicated: { Replicas: 6 } } } }], 'what ran before comes back')
})
