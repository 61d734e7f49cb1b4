import t from 'tap'
import type { Autoscale } from '../../src/api/autoscale.ts'
import type { ServiceSpec } from '../../src/api/service-spec.ts'
import { parseServiceRequest } from '../../src/api/validate/service.ts'
import { convert } from '../support/kubernetes/convert.ts'

const REQUESTS = 'requests: {cpu: 500m, memory: 64Mi}'

const deployment = (resources = REQUESTS, spec = '', name = 'web'): string => `---
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}}
spec: {${spec} selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}},
  spec: {containers: [{name: web, image: "nginx:1.27", resources: {${resources}}}]}}}
`

const autoscaler = (spec: string, version = 'v2', ref = 'kind: Deployment, name: web'): string => `
apiVersion: autoscaling/${version}
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {scaleTargetRef: {apiVersion: apps/v1, ${ref}}, ${spec}}
`

const resource = (name: string, target: string): string =>
  `metrics: [{type: Resource, resource: {name: ${name}, target: {${target}}}}]`

const serviceOf = (text: string): ServiceSpec => {
  const service = convert(text)[0]?.services[0]
  if (service === undefined) throw new Error('a service')
  // What it becomes must be something that the API takes as it is.
  t.strictSame(parseServiceRequest(service).warnings, [])
  return service
}

t.test('an autoscaler of a Deployment in the same files', async (t) => {
  const cpu = resource('cpu', 'type: Utilization, averageUtilization: 60')
  const both =
    'metrics: [{type: Resource, resource: {name: cpu, target: {type: AverageValue, averageValue: 250m}}},' +
    ' {type: Resource, resource: {name: memory, target: {type: AverageValue, averageValue: 100Mi}}}]'
  const cases: [hpa: string, autoscale: Autoscale][] = [
    [autoscaler(`minReplicas: 2, maxReplicas: 10, ${cpu}`), { Min: 2, Max: 10, CpuPercent: 60 }],
    [autoscaler('maxReplicas: 3'), { Max: 3, CpuPercent: 80 }],
    [
      autoscaler(
        `maxReplicas: 3, ${resource('memory', 'type: Utilization, averageUtilization: 150')}`,
      ),
      { Max: 3, MemoryPercent: 150 },
    ],
    [autoscaler(`maxReplicas: 3, ${both}`), { Max: 3, NanoCpus: 25e7, MemoryBytes: 100 * 2 ** 20 }],
    [
      autoscaler(
        `maxReplicas: 3, ${cpu}, behavior: {scaleDown: {stabilizationWindowSeconds: 60, policies: [{type: Percent, value: 100, periodSeconds: 15}], selectPolicy: Max},` +
          ' scaleUp: {stabilizationWindowSeconds: 0, policies: [{type: Pods, value: 4, periodSeconds: 15}, {type: Percent, value: 100, periodSeconds: 15}], selectPolicy: Max}}',
      ),
      { Max: 3, ScaleDownWindow: 60e9, CpuPercent: 60 },
    ],
    [
      autoscaler('minReplicas: 1, maxReplicas: 5, targetCPUUtilizationPercentage: 50', 'v1'),
      { Min: 1, Max: 5, CpuPercent: 50 },
    ],
    [autoscaler('maxReplicas: 5', 'v1'), { Max: 5, CpuPercent: 80 }],
  ]
  for (const [hpa, autoscale] of cases) {
    t.strictSame(serviceOf(deployment() + hpa.replace('\n', '---\n')).Swarmctl, {
      Autoscale: autoscale,
    })
  }
  const first = serviceOf(`${autoscaler(`maxReplicas: 9, ${cpu}`)}${deployment()}`)
  t.match(first.Swarmctl, { Autoscale: { Max: 9 } }, 'in any order')
})

t.test('the Deployment’s replicas are brought within', async (t) => {
  const hpa = autoscaler('minReplicas: 2, maxReplicas: 4').replace('\n', '---\n')
  for (const [replicas, wanted] of [
    ['', 2],
    ['replicas: 3,', 3],
    ['replicas: 9,', 4],
    ['replicas: 0,', 0],
  ] as const) {
    const { Mode } = serviceOf(deployment(REQUESTS, replicas) + hpa)
    t.strictSame(Mode, { Replicated: { Replicas: wanted } }, replicas)
  }
  const limited = serviceOf(deployment('limits: {cpu: "1"}') + hpa)
  t.match(limited.Swarmctl, { Autoscale: { CpuPercent: 80 } }, 'a limit will do')
})

t.test('the rest is refused by name, with its place', async (t) => {
  const cpu = (target: string) => `maxReplicas: 3, ${resource('cpu', target)}`
  const cases: [hpa: string, message: RegExp, deployment?: string][] = [
    [
      autoscaler('maxReplicas: 3', 'v2', 'kind: Deployment, name: api'),
      /^app\.yml:\d+: HorizontalPodAutoscaler web: spec\.scaleTargetRef\.name must be a Deployment of these files, but there is no api$/,
    ],
    [
      autoscaler('maxReplicas: 3', 'v2', 'kind: StatefulSet, name: web'),
      /spec\.scaleTargetRef\.kind StatefulSet is not supported: only a Deployment is scaled$/,
    ],
    [
      autoscaler('maxReplicas: 3', 'v2beta2'),
      /apiVersion must be autoscaling\/v2 or autoscaling\/v1/,
    ],
    [autoscaler('minReplicas: 2'), /spec\.maxReplicas is missing$/],
    [autoscaler('minReplicas: 4, maxReplicas: 3'), /spec\.maxReplicas must not be less/],
    [autoscaler('minReplicas: 0, maxReplicas: 3'), /spec\.minReplicas /],
    [
      autoscaler('maxReplicas: 3, metrics: [{type: External, external: {}}]'),
      /spec\.metrics\.0\.type External is not supported: nodes report the CPU/,
    ],
    [
      autoscaler('maxReplicas: 3, metrics: [{type: ContainerResource, containerResource: {}}]'),
      /spec\.metrics\.0\.type ContainerResource is not supported/,
    ],
    [
      autoscaler(`maxReplicas: 3, ${resource('disk', 'type: Utilization, averageUtilization: 3')}`),
      /spec\.metrics\.0\.resource\.name must be "cpu" or "memory"$/,
    ],
    [autoscaler(cpu('type: Value, value: 3')), /spec\.metrics\.0\.resource\.target\.type must be/],
    [
      autoscaler(cpu('type: Utilization')),
      /metrics\.0\.resource\.target\.averageUtilization is missing$/,
    ],
    [autoscaler(cpu('type: AverageValue')), /resource\.target\.averageValue is missing$/],
    [
      autoscaler(cpu('type: AverageValue, averageValue: lots')),
      /resource\.target\.averageValue "lots" is no quantity above 0$/,
    ],
    [
      autoscaler(cpu('type: Utilization, averageUtilization: 3').replace(/\[(.*)\]/, '[$1, $1]')),
      /spec\.metrics\.1 is a second target for cpu$/,
    ],
    [
      autoscaler(cpu('type: Utilization, averageUtilization: 3')),
      /metrics\.0\.resource\.target is a share of the cpu that the container requests/,
      deployment(''),
    ],
    [
      autoscaler('maxReplicas: 3, targetCPUUtilizationPercentage: 50', 'v1'),
      /spec\.targetCPUUtilizationPercentage is a share of the cpu/,
      deployment('requests: {memory: 64Mi}'),
    ],
    [
      autoscaler('maxReplicas: 3, behavior: {scaleDown: {selectPolicy: Disabled}}'),
      /spec\.behavior\.scaleDown\.selectPolicy must be "Max"$/,
    ],
    [
      autoscaler(
        'maxReplicas: 3, behavior: {scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 60}]}}',
      ),
      /spec\.behavior\.scaleUp\.policies is not supported, but for the default: Pods 4 in 15 s/,
    ],
    [
      autoscaler('maxReplicas: 3, behavior: {scaleUp: {stabilizationWindowSeconds: 5}}'),
      /scaleUp\.stabilizationWindowSeconds must be 0/,
    ],
    [
      autoscaler('maxReplicas: 3, behavior: {scaleDown: {tolerance: 0.1}}'),
      /spec\.behavior\.scaleDown\.tolerance is not supported$/,
    ],
    [
      autoscaler('maxReplicas: 3, behavior: {scaleDown: {stabilizationWindowSeconds: 4000}}'),
      /scaleDown\.stabilizationWindowSeconds must be 3600 at most$/,
    ],
    [autoscaler('maxReplicas: 3, metrics: [], paused: true'), /spec\.paused is not supported$/],
  ]
  for (const [hpa, message, target = deployment()] of cases) {
    t.throws(() => convert(target + hpa.replace('\n', '---\n')), { message }, String(message))
  }
  const twice = autoscaler('maxReplicas: 3').replace('\n', '---\n')
  const other = twice.replace('metadata: {name: web}', 'metadata: {name: other}')
  t.throws(() => convert(deployment() + twice + other), {
    message: /HorizontalPodAutoscaler other: spec\.scaleTargetRef\.name web is scaled by another/,
  })
  const elsewhere = twice.replace('{name: web}', '{name: web, namespace: ops}')
  t.throws(() => convert(deployment() + elsewhere), { message: /there is no web$/ })
  const job = `---
apiVersion: batch/v1
kind: Job
metadata: {name: web}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: i}]}}}
`
  t.throws(() => convert(job + twice), { message: /must be a Deployment of these files/ })
})
