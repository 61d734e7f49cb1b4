// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the templates under test
import t from 'tap'
import { formatWarning } from '../../src/stack/warnings.ts'
import { load } from '../support/stack/memory-stack.ts'

const service = (keys: string): string => `services: {a: {image: i, ${keys}}}`

t.test('all problems are told in one line, up to a limit', async (t) => {
  const two = 'services: {a: {image: i,\n frob: 1}}\nzap: 2'
  await t.rejects(load(two), {
    message:
      'stack.yml:2: services.a Additional property frob is not allowed; ' +
      'line 3: (root) Additional property zap is not allowed',
  })
  const many = Array.from({ length: 12 }, (_, index) => `k${index}: 1`).join('\n')
  await t.rejects(load(many), { message: /k9 is not allowed; and 2 more problems$/ })
})

t.test('a key works whatever the version, which means nothing', async (t) => {
  for (const version of ['2', '"2.4"', '3.0', '"3.13"', '"3.99"', '4']) {
    const { config } = await load(`version: ${version}\nconfigs: {c: {content: x}}`)
    t.equal(config.configs.c?.content, 'x', version)
  }
})

t.test('what is accepted and not used is named', async (t) => {
  const cases: [text: string, warnings: string[]][] = [
    [service('hostname: h'), []],
    [
      service('build: ., links: [b], privileged: true'),
      [
        'Ignoring unsupported options: build, links\n' +
          '  build: the image is used as a registry has it\n' +
          '  links: services on the same network reach each other by name',
      ],
    ],
    [service('restart: always'), []],
    [service('depends_on: [b]'), ['services.a.depends_on: b is ignored: there is no such service']],
    [
      service('restart: always, deploy: {restart_policy: {condition: any}}'),
      ['Ignoring unsupported options: restart'],
    ],
    [
      service('expose: [80]'),
      [
        "Ignoring deprecated options:\n  expose: Exposing ports is unnecessary - services on the same network can access each other's containers on any port.",
      ],
    ],
    [
      service(
        'container_name: c, depends_on: {b: {condition: service_started, required: false}}, tmpfs: /t, ports: ["127.0.0.1:80:80"], pid: host',
      ),
      [],
    ],
    [
      service('pid: "service:b", ipc: "container:x", userns_mode: keep-id'),
      [
        'services.a.ipc: container:x is ignored: a cluster knows none, private, shareable, host only',
        'services.a.pid: service:b is ignored: a cluster knows host only',
        'services.a.userns_mode: keep-id is ignored: a cluster knows host only',
      ],
    ],
    [
      service('networks: {n: {ipv4_address: 10.0.0.9, ipv6_address: "fd00::9"}}'),
      ['services.a.networks.n.ipv6_address is ignored: an overlay decides it by itself'],
    ],
    [
      service('hostname: "${A:-${B:-c}}"'),
      [
        'services.a.hostname: the first } ends an expression, as in docker stack deploy: a variable in a default is not replaced',
      ],
    ],
    [
      service(
        'volumes: ["d:/v", "data:/d:z", {type: bind, source: /s, target: /t, bind: {create_host_path: true, selinux: z}}]',
      ),
      [
        'services.a.volumes.2.bind.selinux is ignored',
        'services.a.volumes.1: ignoring unknown option z',
      ],
    ],
    [
      'networks: {n: {external: {name: x}}}',
      ['network n: external.name is deprecated in favor of name'],
    ],
  ]
  for (const [text, warnings] of cases) {
    const loaded = await load(text)
    t.strictSame(loaded.warnings.map(formatWarning), warnings, text)
  }
})
