/** The rest of `refusals.test.ts`: what is found in other files and when a file is converted. */
import t from 'tap'
import { refusal, service } from '../support/stack/refusal.ts'

type Case = [text: string, message: string]

const check = (name: string, cases: readonly Case[]) =>
  t.test(name, async (t) => {
    for (const [text, message] of cases) t.equal(await refusal(text), message, text)
  })

check('files that it names', [
  [
    service('env_file: gone.env'),
    'stack.yml:4: services.a.env_file: gone.env: cannot be read: no such file: /w/gone.env',
  ],
  [
    service('env_file: bad.env'),
    "stack.yml:4: services.a.env_file: bad.env: is not valid: variable 'A B' contains whitespaces",
  ],
  [
    service('env_file: [{path: bad.env}]'),
    'stack.yml:4: services.a.env_file: bad.env: is not valid: line 1 is not KEY=value',
  ],
  [
    service('label_file: gone'),
    'stack.yml:4: services.a.label_file: /w/gone: cannot be read: no such file: /w/gone',
  ],
  [
    service('security_opt: ["seccomp:gone.json"]'),
    'stack.yml:4: services.a.security_opt: gone.json: cannot be read: no such file: /w/gone.json',
  ],
  [
    service('security_opt: ["seccomp:profile.json"]'),
    `stack.yml:4: services.a.security_opt: profile.json: is no JSON: Unexpected token 'o', "not json" is not valid JSON`,
  ],
  [
    service('extends: {file: gone.yml, service: b}'),
    'stack.yml:4: services.a.extends: gone.yml: cannot be read: no such file: /w/gone.yml',
  ],
  [
    service('extends: {file: other.yml, service: b}'),
    'stack.yml:4: services.a.extends: there is no service b in other.yml',
  ],
  [service('extends: {file: other.yml}'), 'stack.yml:4: services.a.extends service is required'],
  [
    service('extends: {file: other.yml, service: bad}'),
    'other.yml:4: services.bad.tty must be a boolean',
  ],
  [
    service('extends: {file: other.yml, service: loop}'),
    'other.yml:3: services.loop.extends: a service extends itself in the end',
  ],
  [service('extends: b'), 'stack.yml:4: services.a.extends: there is no service b in this file'],
  [service('extends: a'), 'stack.yml:4: services.a.extends: a service extends itself in the end'],
  [
    'include: [gone.yml]',
    'stack.yml:1: include.0: gone.yml: cannot be read: no such file: /w/gone.yml',
  ],
  ['include: [circle.yml]', 'circle.yml:1: include.0: circle.yml includes itself in the end'],
  ['include: [bad.yml]', 'bad.yml:3: services.x Additional property frob is not allowed'],
  ['include: [{env_file: x}]', 'stack.yml:1: include.0 path is required'],
  [
    'include:\n  - https://example.com/a.yml',
    'stack.yml:2: include.0: https://example.com/a.yml: only files of this machine can be included',
  ],
  [
    'include: [{path: clash.yml, env_file: gone.env}]',
    'stack.yml:1: include.0: gone.env: cannot be read: no such file: /w/gone.env',
  ],
  [
    service('tty: true', 'include: [clash.yml]'),
    'stack.yml:2: services.a: is defined by an included file as well, and not in the same way',
  ],
])

check('what a conversion finds', [
  ['services:\n  a: {tty: true}', 'stack.yml:2: services.a.image: no image specified'],
  [
    'services:\n  a: {build: .}',
    'stack.yml:2: services.a.build: a cluster does not build: build the image, push it to a registry that the nodes reach, and name it under image',
  ],
  [
    'services:\n  a: {image: Bar}',
    'stack.yml:2: services.a.image: invalid reference format: repository name (library/Bar) must be lowercase',
  ],
  [
    'services:\n  a: {image: "a b"}',
    'stack.yml:2: services.a.image: invalid reference format: a b',
  ],
  [
    service('networks: [none-such]'),
    'stack.yml:4: services.a.networks: undefined network "none-such"',
  ],
  [
    service('volumes: ["none-such:/x"]'),
    'stack.yml:4: services.a.volumes.0: undefined volume "none-such"',
  ],
  [
    service('secrets: [none-such]'),
    'stack.yml:4: services.a.secrets: undefined secret "none-such"',
  ],
  [
    `${service('secrets: [one, one]')}secrets: {one: {external: true}}`,
    'stack.yml:4: services.a.secrets: the target one is given twice, for one again: give each secret its own',
  ],
  [
    `${service('configs: [one, {source: two, target: one}]')}configs: {one: {external: true}, two: {external: true, name: b}}`,
    'stack.yml:4: services.a.configs: the target one is given twice, for one again: give each config its own',
  ],
  [
    service('configs: [none-such]'),
    'stack.yml:4: services.a.configs: undefined config "none-such"',
  ],
  [
    service('credential_spec: {config: none-such}'),
    'stack.yml:4: services.a.credential_spec: undefined config "none-such"',
  ],
  [
    service('credential_spec: {file: a, registry: b}'),
    'stack.yml:4: services.a.credential_spec: invalid credential spec: cannot specify both file and registry',
  ],
  [
    service('healthcheck: {test: x, disable: true}'),
    "stack.yml:4: services.a.healthcheck: test and disable can't be set at the same time",
  ],
  [service('deploy: {mode: some}'), 'stack.yml:4: services.a.deploy.mode: Unknown mode: some'],
  [
    service('deploy: {mode: global, replicas: 1}'),
    'stack.yml:4: services.a.deploy.mode: replicas can only be used with replicated or replicated-job mode',
  ],
  [
    service('scale: 2\n    deploy: {mode: global-job}'),
    'stack.yml:5: services.a.deploy.mode: replicas can only be used with replicated or replicated-job mode',
  ],
  [
    service('restart: often'),
    'stack.yml:4: services.a.restart: invalid restart policy "often": use no, always, unless-stopped or on-failure[:count]',
  ],
  [
    service('restart: "on-failure:x"'),
    'stack.yml:4: services.a.restart: invalid restart policy "on-failure:x": the retry count must be a number',
  ],
  [
    service('volumes: [{type: odd, target: /x}]'),
    'stack.yml:4: services.a.volumes.0.type: volume type must be volume, bind, tmpfs, npipe, image or cluster',
  ],
  [
    service('volumes: [{type: tmpfs, source: s, target: /x}]'),
    'stack.yml:4: services.a.volumes.0: a tmpfs mount has no source',
  ],
  [
    service('volumes: [{type: image, target: /x}]'),
    'stack.yml:4: services.a.volumes.0: a image mount needs a source',
  ],
  [
    service('volumes: [{type: tmpfs, target: /x, bind: {}}]'),
    'stack.yml:4: services.a.volumes.0: bind options are incompatible with type tmpfs',
  ],
  [
    service('mem_limit: 1g\n    deploy: {resources: {limits: {memory: 2g}}}'),
    'stack.yml:4: services.a.mem_limit: is not what deploy.resources says of memory; keep one of them',
  ],
  [
    service('scale: 2\n    deploy: {replicas: 3}'),
    'stack.yml:4: services.a.scale: is not what deploy.replicas says; keep one of them',
  ],
  [service('scale: 3\n    deploy: {replicas: 3}'), 'taken'],
  [
    service('networks: {n: {ipv4_address: 10.0.0.256}}', 'networks: {n: }'),
    'stack.yml:4: services.a.networks.n.ipv4_address: invalid IPv4 address: 10.0.0.256',
  ],
  [
    service(
      'networks: {n: {ipv4_address: 10.0.0.6}}\n    deploy: {replicas: 2}',
      'networks: {n: }',
    ),
    'stack.yml:4: services.a.networks: the address 10.0.0.6 is for one task: the service must have one replica at most',
  ],
  [
    service(
      'networks: {n: {ipv4_address: 10.0.0.6}}\n    deploy: {update_config: {order: start-first}}',
      'networks: {n: }',
    ),
    'stack.yml:4: services.a.networks: the address 10.0.0.6 is free only when its task has ended: not with start-first',
  ],
  [
    service('memswap_limit: 1g'),
    'stack.yml:4: services.a.memswap_limit: needs mem_limit beside it',
  ],
  [
    service('mem_limit: 1g\n    memswap_limit: 5m'),
    'stack.yml:5: services.a.memswap_limit: is memory and swap: not less than mem_limit',
  ],
  [
    service('depends_on: {b: {condition: service_healthy}}'),
    'stack.yml:4: services.a.depends_on.b: there is no service b: define it, or say required: false',
  ],
  [
    service(
      'depends_on: {b: {condition: service_healthy}}',
      '  b: {image: i, depends_on: {a: {condition: service_healthy}}}',
    ),
    'stack.yml:4: services.a.depends_on: services wait for each other: a → b → a',
  ],
  [
    service('depends_on: [b]', '  b: {image: i, profiles: [p, q]}'),
    'stack.yml:4: services.a.depends_on: b is in no active profile: name one of p, q with --profile',
  ],
])

t.test(
  'what managers refuse whatever the cluster is, a deployment refuses before it sends anything',
  async (t) => {
    const cases: Case[] = [
      [
        service("volumes: [{type: npipe, source: 'p', target: '.pipe'}]"),
        'stack.yml:4: services.a.volumes: invalid mount target, must be an absolute path: .pipe',
      ],
      [
        service('sysctls: {vm.swappiness: 1}'),
        "stack.yml:4: services.a.sysctls: ContainerSpec: sysctl 'vm.swappiness' is not allowed: it is not namespaced",
      ],
      [
        service('deploy: {endpoint_mode: dnsrr}\n    ports: ["80:80"]'),
        "stack.yml:5: services.a.ports: EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
      ],
      [
        service('deploy: {update_config: {failure_action: odd}}'),
        'stack.yml:4: services.a.deploy.update_config: unrecognized update failure action odd',
      ],
      [
        service('deploy: {restart_policy: {condition: odd}}'),
        'stack.yml:4: services.a.deploy.restart_policy.condition: invalid RestartCondition: "odd"',
      ],
      [
        service('deploy: {placement: {constraints: [node.role]}}'),
        'stack.yml:4: services.a.deploy.placement.constraints: constraint expected one operator from ==, !=',
      ],
      [
        service('mem_limit: 1k'),
        'stack.yml:2: services.a: invalid memory value 1024: Must be at least 4MiB',
      ],
    ]
    for (const [text, message] of cases) {
      t.equal(await refusal(text, { deploys: true }), message, text)
      t.equal(await refusal(text), 'taken', 'by a conversion, as by the docker CLI')
    }
  },
)
