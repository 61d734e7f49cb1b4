import t from 'tap'
import { convert as convertFile, deploymentOf } from '../support/kubernetes/convert.ts'

const convert = (resources: string) => {
  const [namespace] = convertFile(
    deploymentOf(`containers: [{image: web, resources: {${resources}}}]`),
  )
  return { resources: namespace?.services[0]?.TaskTemplate.Resources, notes: namespace?.notes }
}

t.test('what is limited and not requested is requested', async (t) => {
  const { resources } = convert('limits: {cpu: 500m, memory: 64Mi}, requests: {cpu: 100m}')
  t.strictSame(resources, {
    Limits: { NanoCPUs: 5e8, MemoryBytes: 64 << 20 },
    Reservations: { NanoCPUs: 1e8, MemoryBytes: 64 << 20 },
  })
  t.strictSame(convert('limits: {nvidia.com/gpu: 1}').resources, {})
})

t.test('amounts that are too small for the kernel or the cluster', async (t) => {
  const limited = convert('limits: {cpu: 5m, memory: 6Mi}')
  t.strictSame(
    limited.resources,
    {
      Limits: { NanoCPUs: 1e7, MemoryBytes: 6 << 20 },
      Reservations: { NanoCPUs: 5e6, MemoryBytes: 6 << 20 },
    },
    'a quota of less than 1 ms is none; a kubelet raises it as well',
  )
  const requested = convert('requests: {cpu: 1m, memory: 1Mi}')
  t.strictSame(requested.resources, { Reservations: { NanoCPUs: 1e6, MemoryBytes: 4 << 20 } })
  t.strictSame(requested.notes, [
    'Deployment web: resources.requests.memory: is taken for 4Mi, the least that can be reserved',
  ])
})

t.test('what makes no sense', async (t) => {
  const cases: [resources: string, message: RegExp][] = [
    ['limits: {memory: 5Mi}', /^app\.yml:10: .*resources\.limits\.memory must be at least 6Mi/],
    ['limits: {memory: 64m}', /limits\.memory must be at least 6Mi/],
    ['limits: {cpu: 1}, requests: {cpu: 2}', /requests\.cpu must not be more than the limit$/],
    [
      'requests: {nvidia.com/gpu: 1}',
      /requests\.nvidia\.com\/gpu is not supported: say it in limits$/,
    ],
    ['limits: {nvidia.com/gpu: 0.5}', /limits\.nvidia\.com\/gpu must be a whole number$/],
    ['limits: {cpu: true}', /limits\.cpu must be a number or a text$/],
  ]
  for (const [resources, message] of cases) t.throws(() => convert(resources), { message })
})
