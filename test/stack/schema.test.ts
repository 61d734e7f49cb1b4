import t from 'tap'
import { formatWarning } from '../../src/stack/warnings.ts'
import { load } from '../support/stack/memory-stack.ts'

const service = (keys: string, version = ''): string =>
  `${version === '' ? '' : `version: "${version}"\n`}services: {a: {image: i, ${keys}}}`

t.test('what is refused, with file, place and reason', async (t) => {
  const cases: [text: string, message: string][] = [
    ['frob: 1', '(root) Additional property frob is not allowed'],
    ['name: x', '(root) Additional property name is not allowed'],
    ['services:', 'services must be a mapping'],
    ['services: {a: }', 'services.a must be a mapping'],
    ['services: {"a b": {image: i}}', 'services Additional property a b is not allowed'],
    [service('frobnicate: 1'), 'services.a Additional property frobnicate is not allowed'],
    [service('labels: {x: true}'), 'services.a.labels.x must be a string, number or null'],
    [service('labels: [x: y]'), 'services.a.labels.0 must be a string'],
    [service('labels:'), 'services.a.labels must be a mapping or list'],
    [service('read_only: yes'), 'services.a.read_only must be a boolean'],
    [service('command: {a: b}'), 'services.a.command must be a string or list'],
    [service('depends_on: {b: {}}'), 'services.a.depends_on must be a list'],
    [service('ports: '), 'services.a.ports must be a list'],
    [service('ports: [80, 80]'), 'services.a.ports array items[0,1] must be unique'],
    [service('ports: ["x:80"]'), 'services.a.ports.0 invalid port "x:80": x is no port number'],
    [service('ports: [{target: "80"}]'), 'services.a.ports.0.target must be an integer'],
    [service('volumes: [{source: s}]'), 'services.a.volumes.0 type is required'],
    [service('stop_grace_period: 5'), 'services.a.stop_grace_period must be a string'],
    [
      service('healthcheck: {interval: 5 s}'),
      'services.a.healthcheck.interval invalid duration "5 s"; write it as 30s, 1m30s or 500ms',
    ],
    [service('deploy: {replicas: 1.5}'), 'services.a.deploy.replicas must be an integer'],
    [service('deploy: {replicas: -1}'), 'services.a.deploy.replicas: -1 is out of range'],
    [
      service('deploy: {resources: {limits: {cpus: 0.5}}}'),
      'services.a.deploy.resources.limits.cpus must be a string',
    ],
    [
      service('deploy: {resources: {limits: {memory: lots}}}'),
      "services.a.deploy.resources.limits.memory: invalid size: 'lots'; write it as 512M or 1g",
    ],
    [
      service('deploy: {update_config: {order: random}}'),
      'services.a.deploy.update_config.order must be one of the following: "start-first", "stop-first"',
    ],
    [service('secrets: [{source: s, mode: "0440"}]'), 'services.a.secrets.0.mode must be a number'],
    [
      service('mem_limit: 5m'),
      'services.a.mem_limit is not supported: set resource limits with deploy.resources',
    ],
    [
      service('extends: b'),
      'services.a.extends is not supported: use YAML anchors or several stack files',
    ],
    ['secrets: {s: {environment: X}}', 'secrets.s Additional property environment is not allowed'],
    ['secrets: {s: {}}', 'secrets.s: needs a file, or external: true'],
    ['configs: {c: {content: x}}', 'configs.c Additional property content is not allowed'],
    [
      'secrets: {s: {external: {name: a}, name: b}}',
      'secrets.s: external.name and name conflict; use only name',
    ],
    [
      'volumes: {v: {external: true, driver: nfs}}',
      'volumes.v: conflicting parameters "external" and "driver" specified',
    ],
    [
      'networks: {n: {ipam: {config: [{gateway: g}]}}}',
      'networks.n.ipam.config.0 Additional property gateway is not allowed',
    ],
    ['version: 3.8', 'version must be a string'],
    [
      'version: "2.4"',
      'version: unsupported Compose file version: 2.4; use 3.0 to 3.13 or leave it out',
    ],
    [
      'version: "3.14"',
      'version: unsupported Compose file version: 3.14; use 3.0 to 3.13 or leave it out',
    ],
  ]
  for (const [text, message] of cases) {
    await t.rejects(
      load(text),
      { code: 'INVALID_ARGUMENT', message: `stack.yml: ${message}` },
      text,
    )
  }
})

t.test('all problems are told, up to a limit', async (t) => {
  const two = 'services: {a: {frob: 1}}\nzap: 2'
  await t.rejects(load(two), {
    message:
      'stack.yml: services.a Additional property frob is not allowed\n' +
      'stack.yml: (root) Additional property zap is not allowed',
  })
  const many = Array.from({ length: 12 }, (_, index) => `k${index}: 1`).join('\n')
  await t.rejects(load(many), { message: /k9 is not allowed\nstack\.yml: and 2 more problems$/ })
})

t.test('each version has its own keys', async (t) => {
  const cases: [since: string, before: string, text: (version: string) => string][] = [
    ['3.1', '3.0', (version) => `version: "${version}"\nsecrets: {s: {external: true}}`],
    ['3.2', '3.1', (version) => service('ports: [{target: 80}]', version)],
    ['3.2', '3.1', (version) => service('volumes: [{type: tmpfs, target: /t}]', version)],
    ['3.3', '3.2', (version) => `version: "${version}"\nconfigs: {c: {external: true}}`],
    ['3.4', '3.3', (version) => `version: "${version}"\nx-a: 1`],
    ['3.4', '3.3', (version) => service('healthcheck: {start_period: 1s}', version)],
    ['3.5', '3.4', (version) => `version: "${version}"\nnetworks: {n: {name: x}}`],
    ['3.6', '3.5', (version) => service('volumes: [{type: tmpfs, tmpfs: {size: 1}}]', version)],
    ['3.7', '3.6', (version) => service('init: true', version)],
    ['3.7', '3.6', (version) => service('deploy: {rollback_config: {}}', version)],
    ['3.7', '3.6', (version) => service('x-swarmctl: {}', version)],
    [
      '3.8',
      '3.7',
      (version) => service('deploy: {placement: {max_replicas_per_node: 1}}', version),
    ],
    ['3.9', '3.8', (version) => service('deploy: {resources: {limits: {pids: 1}}}', version)],
    ['3.11', '3.10', (version) => service('build: {context: ., secrets: [x]}', version)],
    ['3.12', '3.11', (version) => service('healthcheck: {start_interval: 1s}', version)],
    ['3.13', '3.12', (version) => service('oom_score_adj: 5', version)],
  ]
  for (const [since, before, text] of cases) {
    await t.resolves(load(text(since)), `${since}: ${text(since)}`)
    await t.rejects(load(text(before)), { code: 'INVALID_ARGUMENT' }, `${before}: ${text(before)}`)
  }
  await t.rejects(load(service('init: true', '3.6')), {
    message:
      'stack.yml: services.a Additional property init is not allowed in a version 3.6 file; it came with 3.7',
  })
  t.equal((await load('version: "3"')).config.version, '3.13')
  t.equal((await load('services: {}')).config.version, '3.13')
})

t.test('what is accepted and not used is named', async (t) => {
  const cases: [text: string, warnings: string[]][] = [
    [service('hostname: h'), []],
    [service('build: ., privileged: true'), ['Ignoring unsupported options: build, privileged']],
    [service('restart: always'), []],
    [
      service('restart: always, deploy: {restart_policy: {condition: any}}'),
      ['Ignoring unsupported options: restart'],
    ],
    [
      service('container_name: c'),
      [
        'Ignoring deprecated options:\n  container_name: Setting the container name is not supported.',
      ],
    ],
    [
      service('depends_on: [b], tmpfs: /t'),
      [
        'services.a.depends_on is ignored: the services of a stack start independently',
        'services.a.tmpfs is ignored: write it under volumes with type: tmpfs',
      ],
    ],
    [
      service('networks: {n: {ipv4_address: 10.0.0.9}}'),
      ['services.a.networks.n.ipv4_address is ignored: the cluster assigns addresses'],
    ],
    [
      service('ports: ["127.0.0.1:80:80", "0.0.0.0:81:81"]'),
      ['services.a.ports.0: ignoring IP-address (127.0.0.1): the service listens on every address'],
    ],
    [
      service(
        'volumes: ["d:/v", "data:/d:z", {type: bind, source: /s, target: /t, bind: {create_host_path: true}}]',
      ),
      [
        'services.a.volumes.2.bind.create_host_path is ignored',
        'services.a.volumes.1: ignoring unknown option z',
      ],
    ],
    [
      'networks: {n: {external: {name: x}}}',
      ['network n: external.name is deprecated in favor of name'],
    ],
    ['version: "3.4"\nnetworks: {n: {external: {name: x}}}', []],
  ]
  for (const [text, warnings] of cases) {
    const loaded = await load(text)
    t.strictSame(loaded.warnings.map(formatWarning), warnings, text)
  }
})
