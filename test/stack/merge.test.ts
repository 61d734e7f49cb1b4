import t from 'tap'
import { load } from '../support/stack/memory-stack.ts'

const merge = async (base: string, override: string) => {
  const { config } = await load(base, {
    files: { 'over.yml': override },
    names: ['stack.yml', 'over.yml'],
  })
  return config
}

const mergeOne = async (base: string, override: string) =>
  (await merge(`services: {a: {${base}}}`, `services: {a: {${override}}}`)).services.a

t.test('services key by key', async (t) => {
  const cases: [base: string, override: string, merged: object][] = [
    ['image: a, hostname: h', 'image: b', { image: 'b', hostname: 'h' }],
    ['command: a b', 'command: c', { command: ['c'] }],
    ['command: a b', 'command: []', { command: ['a', 'b'] }],
    [
      'environment: {A: 1, B: 1}',
      'environment: [B=2, C]',
      { environment: { A: '1', B: '2', C: null } },
    ],
    ['environment: {A: 1}', 'environment: [A]', { environment: { A: '1' } }],
    ['labels: {a: 1}', 'labels: {b: 2}', { labels: { a: '1', b: '2' } }],
    ['dns: a', 'dns: [b]', { dns: ['a', 'b'] }],
    ['tty: true', 'tty: false', { tty: false }],
    [
      'deploy: {resources: {reservations: {cpus: 1, generic_resources: [{discrete_resource_spec: {kind: a, value: 1}}, {discrete_resource_spec: {kind: b, value: 1}}]}}}',
      'deploy: {resources: {reservations: {generic_resources: [{discrete_resource_spec: {kind: a, value: 2}}]}}}',
      {
        deploy: {
          resources: {
            reservations: {
              cpus: '1',
              generic_resources: [
                { discrete_resource_spec: { kind: 'b', value: 1 } },
                { discrete_resource_spec: { kind: 'a', value: 2 } },
              ],
            },
          },
        },
      },
    ],
    [
      'ports: ["80:80", "90:90"]',
      'ports: ["80:81"]',
      {
        ports: [
          { mode: 'ingress', target: 81, published: 80, protocol: 'tcp' },
          { mode: 'ingress', target: 90, published: 90, protocol: 'tcp' },
        ],
      },
    ],
    [
      'ports: ["80", "90"]',
      'ports: ["90/udp", "91"]',
      {
        ports: [
          { mode: 'ingress', target: 91, protocol: 'tcp' },
          { mode: 'ingress', target: 90, protocol: 'udp' },
          { mode: 'ingress', target: 80, protocol: 'tcp' },
        ],
      },
    ],
    [
      'volumes: ["/b:/b", "/x:/a"]',
      'volumes: ["/y:/a"]',
      {
        volumes: [
          { type: 'bind', source: '/y', target: '/a' },
          { type: 'bind', source: '/b', target: '/b' },
        ],
      },
    ],
    [
      'secrets: [b]',
      'secrets: [{source: b, target: x}, a]',
      { secrets: [{ source: 'a' }, { source: 'b', target: 'x' }] },
    ],
    [
      'healthcheck: {test: a, retries: 2}',
      'healthcheck: {test: b}',
      { healthcheck: { test: ['CMD-SHELL', 'b'], retries: 2 } },
    ],
    ['logging: {driver: a, options: {x: 1}}', 'logging: {driver: b}', { logging: { driver: 'b' } }],
    [
      'logging: {driver: a, options: {x: 1}}',
      'logging: {options: {y: 2}}',
      { logging: { driver: 'a', options: { x: '1', y: '2' } } },
    ],
    [
      'networks: [n, m]',
      'networks: {n: {aliases: [x]}}',
      { networks: { n: { aliases: ['x'] }, m: {} } },
    ],
    [
      'deploy: {replicas: 2, labels: {a: 1}, placement: {constraints: [x]}, resources: {limits: {cpus: "1", memory: 1k}}}',
      'deploy: {replicas: 0, labels: {b: 1}, placement: {constraints: [y]}, resources: {limits: {memory: 2k}}}',
      {
        deploy: {
          replicas: 0,
          labels: { a: '1', b: '1' },
          placement: { constraints: ['x', 'y'] },
          resources: { limits: { cpus: '1', memory: 2048 } },
        },
      },
    ],
    [
      'x-swarmctl: {drain_limit: 1s}',
      'x-swarmctl: {drain_limit: 2s}',
      { swarmctl: { DrainLimit: 2e9 } },
    ],
  ]
  for (const [base, override, merged] of cases) {
    t.strictSame(await mergeOne(base, override), merged, `${base} + ${override}`)
  }
})

t.test('other sections are replaced whole', async (t) => {
  const config = await merge(
    'networks: {n: {driver: a, labels: {x: 1}}, m: {}}',
    'networks: {n: {external: true}}\nx-a: 1',
  )
  t.strictSame(config.networks, { n: { name: 'n', external: true }, m: {} })
  t.strictSame(config.locations.of(['networks', 'n']), { file: 'over.yml', line: 1 })
  t.strictSame(config.locations.of(['networks', 'm']), { file: 'stack.yml', line: 1 })
})

t.test('relative paths start at the first file', async (t) => {
  const { config } = await load('services: {a: {image: i}}', {
    files: { 'sub/base.yml': 'services: {a: {volumes: ["./x:/x"]}}' },
    names: ['sub/base.yml', 'stack.yml'],
  })
  t.equal(config.services.a?.volumes?.[0]?.source, '/srv/app/sub/x')
  t.equal(config.services.a?.image, 'i')
})

t.test('standard input', async (t) => {
  const { loadStack } = await import('../../src/stack/load.ts')
  const { memoryFiles } = await import('../support/stack/memory-stack.ts')
  const options = { env: {}, workdir: '/w', io: memoryFiles({}) }
  const stdin = Buffer.from('services: {a: {image: i, volumes: ["./x:/x"]}}')
  const { config } = await loadStack({ ...options, files: ['-'], stdin })
  t.equal(config.services.a?.volumes?.[0]?.source, '/w/x')
  await t.rejects(loadStack({ ...options, files: [] }), { message: /specify a stack file/ })
  await t.rejects(loadStack({ ...options, files: ['gone.yml'] }), {
    message: 'gone.yml: cannot be read: no such file: /w/gone.yml',
  })
  const latin1 = Buffer.from('services: {a: {hostname: é}}', 'latin1')
  await t.rejects(loadStack({ ...options, files: ['-'], stdin: latin1 }), {
    message: '-: cannot be read: it is not text in UTF-8',
  })
})
