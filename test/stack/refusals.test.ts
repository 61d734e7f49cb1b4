/** Every refusal of a stack file with its exact message: file, line, key and reason, in one line. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the templates under test
import t from 'tap'
import { refusal, service } from '../support/stack/refusal.ts'

type Case = [text: string, message: string]

const check = (name: string, cases: readonly Case[]) =>
  t.test(name, async (t) => {
    for (const [text, message] of cases) t.equal(await refusal(text), message, text)
  })

check('YAML', [
  ['', 'stack.yml: must be a mapping, the file is empty'],
  ['- a', 'stack.yml: must be a mapping'],
  ['a: 1\na: 2', 'stack.yml:2: a: mapping key "a" already defined at line 1'],
  [
    'x-a: &a {}\nb:\n  <<: *a\n  <<: *a',
    'stack.yml:4: b.<<: mapping key "<<" already defined at line 3',
  ],
  ['a:\n  1: x', 'stack.yml:2: a: the key 1 must be a string; quote it'],
  ['a: 1\nb: *none', 'stack.yml:2: b: unknown anchor "none" referenced'],
  ['a:\n  b: &a [*a]', 'stack.yml:2: a.b.0: an anchor contains its own alias'],
  ['a:\n  <<: text', 'stack.yml:1: a: "<<" needs a mapping or a list of mappings'],
  ['a:\n - .inf', 'stack.yml:2: a.0: .inf is not a number that a stack file can hold'],
  ['services:\n\ta: 1', 'stack.yml:2: not valid YAML: Tabs are not allowed as indentation'],
])

check('variables', [
  [
    service('hostname: "${"'),
    'stack.yml:4: services.a.hostname: invalid interpolation format: "${"; you may need to escape any $ with another $',
  ],
  [
    service('command: [a, "$(b)"]'),
    'stack.yml:4: services.a.command.1: invalid interpolation format: "$(b)"; you may need to escape any $ with another $',
  ],
  [
    service('hostname: "${X:?say it}"'),
    'stack.yml:4: services.a.hostname: required variable X is missing a value: say it',
  ],
  [
    service('hostname: "${X?}"'),
    'stack.yml:4: services.a.hostname: required variable X is missing a value',
  ],
  [
    service('deploy: {replicas: "${N}"}'),
    'stack.yml:4: services.a.deploy.replicas: error while interpolating: invalid integer: x',
  ],
  [
    service('tty: "$N"'),
    'stack.yml:4: services.a.tty: error while interpolating: invalid boolean: x',
  ],
  [
    service('deploy: {update_config: {max_failure_ratio: "$N"}}'),
    'stack.yml:4: services.a.deploy.update_config.max_failure_ratio: error while interpolating: invalid number: x',
  ],
])

check('keys and types', [
  ['frob: 1', 'stack.yml:1: (root) Additional property frob is not allowed'],
  [
    'service: {}',
    'stack.yml:1: (root) Additional property service is not allowed; did you mean services?',
  ],
  [
    'version: "three"',
    'stack.yml:1: version unsupported Compose file version: three; leave it out',
  ],
  ['version: [3]', 'stack.yml:1: version must be a string or number'],
  ['name: [a]', 'stack.yml:1: name must be a string'],
  ['services:', 'stack.yml:1: services must be a mapping'],
  ['services:\n  a:', 'stack.yml:2: services.a must be a mapping'],
  [
    'services:\n  "a b": {image: i}',
    'stack.yml:2: services Additional property a b is not allowed',
  ],
  [
    service('enviroment: {A: 1}'),
    'stack.yml:4: services.a Additional property enviroment is not allowed; did you mean environment?',
  ],
  [
    service('deploy: {replica: 3}'),
    'stack.yml:4: services.a.deploy Additional property replica is not allowed; did you mean replicas?',
  ],
  [service('environment: 5'), 'stack.yml:4: services.a.environment must be a mapping or list'],
  [
    service('environment: {A: [1]}'),
    'stack.yml:4: services.a.environment.A must be a string, number, boolean or null',
  ],
  [service('labels:'), 'stack.yml:4: services.a.labels must be a mapping or list'],
  [service('labels: [a: b]'), 'stack.yml:4: services.a.labels.0 must be a string'],
  [service('cap_add: NET_ADMIN'), 'stack.yml:4: services.a.cap_add must be a list'],
  [service('cap_add: [A, A]'), 'stack.yml:4: services.a.cap_add array items[0,1] must be unique'],
  [service('command: {a: b}'), 'stack.yml:4: services.a.command must be a null, string or list'],
  [service('read_only: maybe'), 'stack.yml:4: services.a.read_only must be a boolean'],
  [service('read_only: 1'), 'stack.yml:4: services.a.read_only must be a boolean'],
  [service('oom_score_adj: lots'), 'stack.yml:4: services.a.oom_score_adj must be an integer'],
  [service('cpu_shares: lots'), 'stack.yml:4: services.a.cpu_shares must be a number'],
  [service('stop_grace_period: 5'), 'stack.yml:4: services.a.stop_grace_period must be a string'],
  [
    service('stop_grace_period: 5 s'),
    'stack.yml:4: services.a.stop_grace_period invalid duration "5 s"; write it as 30s, 1m30s or 500ms',
  ],
  [
    service('deploy: {replicas: 1.5}'),
    'stack.yml:4: services.a.deploy.replicas must be an integer',
  ],
  [
    service('deploy: {replicas: -1}'),
    'stack.yml:4: services.a.deploy.replicas: -1 is out of range',
  ],
  [
    service('deploy: {resources: {limits: {cpus: abc}}}'),
    'stack.yml:4: services.a.deploy.resources.limits.cpus failed to parse abc as a rational number',
  ],
  [
    service('deploy: {resources: {limits: {cpus: 0.0000000001}}}'),
    'stack.yml:4: services.a.deploy.resources.limits.cpus 1e-10 CPUs: value is too precise',
  ],
  [
    service('deploy: {resources: {limits: {memory: 5}}}'),
    'stack.yml:4: services.a.deploy.resources.limits.memory must be a string',
  ],
  [
    service('deploy: {resources: {limits: {memory: lots}}}'),
    "stack.yml:4: services.a.deploy.resources.limits.memory: invalid size: 'lots'; write it as 512M or 1g",
  ],
  [
    service('deploy: {resources: {limits: {memory: 5q}}}'),
    "stack.yml:4: services.a.deploy.resources.limits.memory: invalid size: '5q': unknown unit 'q'",
  ],
  [
    service('deploy: {update_config: {order: random}}'),
    'stack.yml:4: services.a.deploy.update_config.order must be one of the following: "start-first", "stop-first"',
  ],
  [
    service('cgroup: shared'),
    'stack.yml:4: services.a.cgroup must be one of the following: "host", "private"',
  ],
  [service('gpus: some'), 'stack.yml:4: services.a.gpus must be one of the following: "all"'],
  [
    service('gpus: [{count: few}]'),
    'stack.yml:4: services.a.gpus.0.count must be a number or all, not few',
  ],
  [
    service('deploy: {resources: {reservations: {devices: [{count: 1}]}}}'),
    'stack.yml:4: services.a.deploy.resources.reservations.devices.0 capabilities is required',
  ],
  [
    service('devices: ["a:b:c:d"]'),
    'stack.yml:4: services.a.devices.0 invalid device "a:b:c:d"; write it as /dev/x:/dev/y:rwm',
  ],
  [
    service('devices: ["/a:/b:q"]'),
    'stack.yml:4: services.a.devices.0 invalid device "/a:/b:q": q is not made of r, w and m',
  ],
  [
    service('blkio_config: {device_read_bps: [{path: /d}]}'),
    'stack.yml:4: services.a.blkio_config.device_read_bps.0 rate is required',
  ],
  [service('depends_on: {b: {}}'), 'stack.yml:4: services.a.depends_on.b condition is required'],
  [
    service('env_file: [{path: one.env, format: odd}]'),
    'stack.yml:4: services.a.env_file.0.format: unsupported format odd: use raw, or none',
  ],
  [
    service('gpus: [{count: 1, device_ids: [a]}]'),
    'stack.yml:4: services.a.gpus.0: count and device_ids conflict; use only one of them',
  ],
  [
    service(
      'deploy: {resources: {reservations: {devices: [{capabilities: [gpu], count: all, device_ids: [a]}]}}}',
    ),
    'stack.yml:4: services.a.deploy.resources.reservations.devices.0: count and device_ids conflict; use only one of them',
  ],
  [
    service('depends_on: {b: {condition: ready}}'),
    'stack.yml:4: services.a.depends_on.b.condition must be one of the following: "service_started", "service_healthy", "service_completed_successfully"',
  ],
  [service('ports:'), 'stack.yml:4: services.a.ports must be a list'],
  [service('ports: [80, 80]'), 'stack.yml:4: services.a.ports array items[0,1] must be unique'],
  [
    service('ports: ["x:80"]'),
    'stack.yml:4: services.a.ports.0 invalid port "x:80": x is no port number',
  ],
  [
    service('ports: ["80:"]'),
    'stack.yml:4: services.a.ports.0 invalid port "80:": no container port',
  ],
  [
    service('ports: ["80/xyz"]'),
    'stack.yml:4: services.a.ports.0 invalid port "80/xyz": protocol must be tcp, udp or sctp',
  ],
  [
    service('ports: ["1-3:80-81"]'),
    'stack.yml:4: services.a.ports.0 invalid port "1-3:80-81": ranges 1-3 and 80-81 differ in length',
  ],
  [
    service('ports: ["9-8"]'),
    'stack.yml:4: services.a.ports.0 invalid port "9-8": invalid range 9-8',
  ],
  [service('ports: ["1.2.3:80:80"]'), 'stack.yml:4: services.a.ports.0 invalid IP address: 1.2.3'],
  [service('ports: [{target: x}]'), 'stack.yml:4: services.a.ports.0.target must be an integer'],
  [
    service('ports: [{target: 80, published: x}]'),
    'stack.yml:4: services.a.ports.0.published: invalid port "x": x is no port number',
  ],
  [
    service('ports: [{target: 80, host_ip: x}]'),
    'stack.yml:4: services.a.ports.0.host_ip: invalid IP address: x',
  ],
  [service('volumes: [{source: s}]'), 'stack.yml:4: services.a.volumes.0 type is required'],
  [
    service('volumes: [{type: bind, target: /x}]'),
    'stack.yml:4: services.a.volumes.0: a bind mount needs a source',
  ],
  [service('volumes: [""]'), 'stack.yml:4: services.a.volumes.0: invalid empty volume spec'],
  [
    service('volumes: [":/x"]'),
    'stack.yml:4: services.a.volumes.0: invalid spec: :/x: empty section between colons',
  ],
  [
    service('volumes: ["aa:/b:ro:x"]'),
    'stack.yml:4: services.a.volumes.0: invalid spec: aa:/b:ro:x: too many colons',
  ],
  [
    service('secrets: [{source: s, mode: rw}]'),
    'stack.yml:4: services.a.secrets.0.mode must be a number such as 0440, not rw',
  ],
  [
    service('secrets: [{source: s, mode: -1}]'),
    'stack.yml:4: services.a.secrets.0.mode: -1 is out of range',
  ],
  [
    service('command: "a \'b"'),
    `stack.yml:4: services.a.command: invalid command "'b": closing quote missing at its end`,
  ],
  [
    service('x-swarmctl: {drain: 3s}'),
    'stack.yml:4: services.a.x-swarmctl: Additional property drain is not allowed; known: drain_limit, schedule, depends_on, autoscale',
  ],
  [
    service('x-swarmctl: {drain_limit: soon}'),
    'stack.yml:4: services.a.x-swarmctl.drain_limit: invalid duration "soon"; write it as 30s, 1m30s or 500ms',
  ],
  [
    service('x-swarmctl: {schedule: {cron: "@daily"}}'),
    'stack.yml:4: services.a.x-swarmctl.schedule: a schedule needs the mode replicated-job',
  ],
  [
    'services:\n  a:\n    image: i\n    depends_on: {b: {condition: service_completed_successfully}}\n  b: {image: i, deploy: {mode: replicated-job}, x-swarmctl: {schedule: {cron: "@daily"}}}\n',
    "stack.yml:4: services.a.depends_on.b: b has a schedule: a deployment can't wait until it completes",
  ],
  [
    service('deploy: {mode: replicated-job}\n    x-swarmctl: {schedule: {cron: daily}}'),
    'stack.yml:5: services.a.x-swarmctl.schedule: "daily" is no schedule: write five fields such as "*/5 * * * *", six with seconds first, or @daily',
  ],
  [
    service(
      'deploy: {mode: replicated-job}\n    x-swarmctl: {schedule: {cron: "@daily", zone: X}}',
    ),
    'stack.yml:5: services.a.x-swarmctl.schedule: Additional property zone is not allowed; known: cron, time_zone, concurrency_policy, starting_deadline, suspend, completed_history_limit, failed_history_limit',
  ],
])

check('keys of other products', [
  [
    service('volume_driver: x'),
    'stack.yml:4: services.a.volume_driver: is not supported: define a volume under the top-level volumes key and set its driver there',
  ],
  [
    service('volumes_from: [b]'),
    'stack.yml:4: services.a.volumes_from: is not supported: define a volume under the top-level volumes key and name it in each service',
  ],
  [
    service('models: [m]'),
    'stack.yml:4: services.a.models: is not supported: a cluster runs containers only; run the model as a service',
  ],
  [
    'models:\n  m: {model: ai/small}',
    'stack.yml:1: models: is not supported: a cluster runs containers only; run the model as a service',
  ],
  [
    service('provider: {type: t}'),
    'stack.yml:4: services.a.provider: is not supported: a cluster runs containers only; create what it provides beforehand',
  ],
  [
    service('use_api_socket: true'),
    "stack.yml:4: services.a.use_api_socket: is not supported: mount the Engine's socket under volumes",
  ],
  [
    service('pre_start: []'),
    'stack.yml:4: services.a.pre_start: is not supported: give the step a service of its own and name it in depends_on',
  ],
  [
    service('post_start: []'),
    "stack.yml:4: services.a.post_start: is not supported: make it a part of the image's entrypoint",
  ],
  [
    service('pre_stop: []'),
    'stack.yml:4: services.a.pre_stop: is not supported: let the process act on stop_signal',
  ],
])

check('networks, volumes, secrets and configs', [
  [
    'networks:\n  n: {ipam: {config: [{gate: x}]}}',
    'stack.yml:2: networks.n.ipam.config.0 Additional property gate is not allowed',
  ],
  [
    'networks:\n  n: {external: {name: a}, name: b}',
    'stack.yml:2: networks.n: external.name and name conflict; use only name',
  ],
  [
    'volumes:\n  v: {external: true, driver: nfs}',
    'stack.yml:2: volumes.v: conflicting parameters "external" and "driver" specified',
  ],
  [
    'volumes:\n  v: {external: true, driver_opts: {a: b}}',
    'stack.yml:2: volumes.v: conflicting parameters "external" and "driver_opts" specified',
  ],
  [
    'volumes:\n  v: {external: true, labels: [a]}',
    'stack.yml:2: volumes.v: conflicting parameters "external" and "labels" specified',
  ],
  ['secrets:\n  s: {}', 'stack.yml:2: secrets.s: needs a file, environment, or external: true'],
  [
    'configs:\n  c: {}',
    'stack.yml:2: configs.c: needs a file, environment or content, or external: true',
  ],
  [
    'secrets:\n  s: {file: a, driver: d}',
    'stack.yml:2: secrets.s: driver and file conflict; use only one of them',
  ],
  [
    'configs:\n  c: {file: a, content: b}',
    'stack.yml:2: configs.c: file and content conflict; use only one of them',
  ],
  [
    'secrets:\n  s: {content: b}',
    'stack.yml:2: secrets.s Additional property content is not allowed',
  ],
  [
    'secrets:\n  s: {file: gone}',
    'stack.yml:2: secrets.s.file: cannot read /w/gone: no such file: /w/gone',
  ],
  [
    'secrets:\n  s: {environment: GONE}',
    'stack.yml:2: secrets.s.environment: the variable GONE is not set',
  ],
])
