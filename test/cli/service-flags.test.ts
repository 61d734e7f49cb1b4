import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { ServiceSpec } from '../../src/api/service-spec.ts'
import { LIST_FLAGS } from '../../src/cli/service/list-flags.ts'
import { SCALAR_FLAGS } from '../../src/cli/service/scalar-flags.ts'
import { OUR_FLAGS } from '../support/cli/our-flags.ts'
import { type RunOptions, runCli } from '../support/cli/run-cli.ts'
import { ApiNode } from '../support/http/api-node.ts'

const MIB = 1024 * 1024
const node = await ApiNode.start()
t.teardown(() => node.stop())
const sampleData = Buffer.from('x').toString('base64')
for (const kind of ['secrets', 'configs']) {
  for (const Name of ['a', 'b']) {
    await node.call('POST', `/${kind}/create`, { body: { Name, Data: sampleData } })
  }
}
const network = async (Name: string): Promise<string> =>
  (await node.call('POST', '/networks/create', { body: { Name, Driver: 'overlay' } })).body.Id
const networkIds = { back: await network('back'), front: await network('front') }

const run = (args: string[], options?: RunOptions) =>
  runCli(['--host', node.host, ...args], options)

const stored = (name: string): ServiceSpec => node.swarm.store.view().byName('service', name)!.Spec

let count = 0
/** Creates a service with these flags and returns what the cluster stored. */
const create = async (
  flags: string[],
  rest: string[] = ['nginx'],
  options: RunOptions = {},
): Promise<ServiceSpec> => {
  const name = `s${++count}`
  const args = ['service', 'create', '--detach', '--no-resolve-image', '--name', name]
  const ran = await run([...args, ...flags, ...rest], options)
  if (ran.code !== 0) throw new Error(`${flags.join(' ')}: ${ran.err}`)
  const { ID } = node.swarm.store.view().byName('service', name)!
  t.equal(ran.out, `${ID}\n`)
  const spec = stored(name)
  await node.call('DELETE', `/services/${name}`)
  return spec
}

const at = (spec: unknown, path: string): unknown =>
  path.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown>)?.[key], spec)

const TASK = 'TaskTemplate'
const CONTAINER = 'TaskTemplate.ContainerSpec'

/** Flag(s) → where it lands → what stands there. */
const CREATE: [flags: string, path: string, value: unknown][] = [
  ['--replicas 3', 'Mode', { Replicated: { Replicas: 3 } }],
  ['--mode global', 'Mode', { Global: {} }],
  ['--mode global-job', 'Mode', { GlobalJob: {} }],
  [
    '--mode replicated-job --replicas 5 --max-concurrent 2',
    'Mode',
    { ReplicatedJob: { MaxConcurrent: 2, TotalCompletions: 5 } },
  ],
  [
    '-p 8080:80',
    'EndpointSpec.Ports',
    [{ Protocol: 'tcp', TargetPort: 80, PublishedPort: 8080, PublishMode: 'ingress' }],
  ],
  [
    '--publish 53:53/udp --publish 9000',
    'EndpointSpec.Ports',
    [
      { Protocol: 'udp', TargetPort: 53, PublishedPort: 53, PublishMode: 'ingress' },
      { Protocol: 'tcp', TargetPort: 9000, PublishMode: 'ingress' },
    ],
  ],
  [
    '--publish published=8081,target=80,protocol=tcp,mode=host',
    'EndpointSpec.Ports',
    [{ Protocol: 'tcp', TargetPort: 80, PublishedPort: 8081, PublishMode: 'host' }],
  ],
  ['--endpoint-mode dnsrr', 'EndpointSpec.Mode', 'dnsrr'],
  ['--env A=1 -e B=x=y', `${CONTAINER}.Env`, ['A=1', 'B=x=y']],
  ['-l a=b --label c', 'Labels', { a: 'b', c: '' }],
  ['--container-label a=b', `${CONTAINER}.Labels`, { a: 'b' }],
  [
    '--constraint node.role==worker --constraint node.labels.disk!=ssd',
    `${TASK}.Placement.Constraints`,
    ['node.role==worker', 'node.labels.disk!=ssd'],
  ],
  [
    '--placement-pref spread=node.labels.zone',
    `${TASK}.Placement.Preferences`,
    [{ Spread: { SpreadDescriptor: 'node.labels.zone' } }],
  ],
  ['--replicas-max-per-node 2', `${TASK}.Placement.MaxReplicas`, 2],
  ['--limit-cpu 0.5', `${TASK}.Resources.Limits.NanoCPUs`, 5e8],
  ['--limit-memory 64m', `${TASK}.Resources.Limits.MemoryBytes`, 64 * MIB],
  ['--limit-pids 100', `${TASK}.Resources.Limits.Pids`, 100],
  ['--reserve-cpu 0.25', `${TASK}.Resources.Reservations.NanoCPUs`, 25e7],
  ['--reserve-memory 32MB', `${TASK}.Resources.Reservations.MemoryBytes`, 32 * MIB],
  ['--restart-condition on-failure', `${TASK}.RestartPolicy.Condition`, 'on-failure'],
  ['--restart-delay 5s', `${TASK}.RestartPolicy.Delay`, 5e9],
  ['--restart-max-attempts 3', `${TASK}.RestartPolicy.MaxAttempts`, 3],
  ['--restart-window 1m30s', `${TASK}.RestartPolicy.Window`, 90e9],
  ...(['update', 'rollback'] as const).flatMap((prefix): [string, string, unknown][] => {
    const config = prefix === 'update' ? 'UpdateConfig' : 'RollbackConfig'
    return [
      [`--${prefix}-parallelism 2`, `${config}.Parallelism`, 2],
      [`--${prefix}-delay 10s`, `${config}.Delay`, 10e9],
      [`--${prefix}-monitor 500ms`, `${config}.Monitor`, 5e8],
      [`--${prefix}-failure-action continue`, `${config}.FailureAction`, 'continue'],
      [`--${prefix}-max-failure-ratio 0.25`, `${config}.MaxFailureRatio`, 0.25],
      [`--${prefix}-order start-first`, `${config}.Order`, 'start-first'],
    ]
  }),
  ['--update-failure-action rollback', 'UpdateConfig.FailureAction', 'rollback'],
  ['--health-cmd true', `${CONTAINER}.Healthcheck.Test`, ['CMD-SHELL', 'true']],
  ['--health-interval 10s', `${CONTAINER}.Healthcheck.Interval`, 10e9],
  ['--health-timeout 2s', `${CONTAINER}.Healthcheck.Timeout`, 2e9],
  ['--health-retries 4', `${CONTAINER}.Healthcheck.Retries`, 4],
  ['--health-start-period 3s', `${CONTAINER}.Healthcheck.StartPeriod`, 3e9],
  ['--health-start-interval 1s', `${CONTAINER}.Healthcheck.StartInterval`, 1e9],
  ['--no-healthcheck', `${CONTAINER}.Healthcheck`, { Test: ['NONE'] }],
  [
    '--mount type=bind,source=/srv,target=/data,readonly,bind-propagation=rslave',
    `${CONTAINER}.Mounts`,
    [
      {
        Type: 'bind',
        Source: '/srv',
        Target: '/data',
        ReadOnly: true,
        BindOptions: { Propagation: 'rslave' },
      },
    ],
  ],
  [
    '--mount src=data,dst=/data,volume-driver=local,volume-opt=type=nfs,volume-label=a=b,volume-nocopy',
    `${CONTAINER}.Mounts`,
    [
      {
        Type: 'volume',
        Source: 'data',
        Target: '/data',
        VolumeOptions: {
          NoCopy: true,
          Labels: { a: 'b' },
          DriverConfig: { Name: 'local', Options: { type: 'nfs' } },
        },
      },
    ],
  ],
  [
    '--mount type=tmpfs,target=/tmp,tmpfs-size=64m,tmpfs-mode=1777',
    `${CONTAINER}.Mounts`,
    [{ Type: 'tmpfs', Target: '/tmp', TmpfsOptions: { SizeBytes: 64 * MIB, Mode: 0o1777 } }],
  ],
  ['--network back', `${TASK}.Networks`, [{ Target: networkIds.back }]],
  [
    '--network name=back,alias=db,alias=store,driver-opt=a=b',
    `${TASK}.Networks`,
    [{ Target: networkIds.back, Aliases: ['db', 'store'], DriverOpts: { a: 'b' } }],
  ],
  ['--user 1000:1000', `${CONTAINER}.User`, '1000:1000'],
  ['--group 5', `${CONTAINER}.Groups`, ['5']],
  ['-w /app', `${CONTAINER}.Dir`, '/app'],
  ['--hostname h1', `${CONTAINER}.Hostname`, 'h1'],
  ['--host db:10.0.0.5 --host v6:fd00::1', `${CONTAINER}.Hosts`, ['10.0.0.5 db', 'fd00::1 v6']],
  ['--dns 10.0.0.2', `${CONTAINER}.DNSConfig.Nameservers`, ['10.0.0.2']],
  ['--dns-search example.com', `${CONTAINER}.DNSConfig.Search`, ['example.com']],
  ['--dns-option ndots:1', `${CONTAINER}.DNSConfig.Options`, ['ndots:1']],
  ['--init', `${CONTAINER}.Init`, true],
  ['--init=false', `${CONTAINER}.Init`, false],
  ['-t', `${CONTAINER}.TTY`, true],
  ['--tty=true', `${CONTAINER}.TTY`, true],
  ['--read-only', `${CONTAINER}.ReadOnly`, true],
  ['--read-only=0', `${CONTAINER}.ReadOnly`, false],
  ['--stop-signal SIGINT', `${CONTAINER}.StopSignal`, 'SIGINT'],
  ['--stop-grace-period 30s', `${CONTAINER}.StopGracePeriod`, 30e9],
  ['--entrypoint /bin/sh', `${CONTAINER}.Command`, ['/bin/sh']],
  ['--isolation default', `${CONTAINER}.Isolation`, 'default'],
  ['--oom-score-adj -5', `${CONTAINER}.OomScoreAdj`, -5],
  ['--cap-add net_admin', `${CONTAINER}.CapabilityAdd`, ['CAP_NET_ADMIN']],
  ['--cap-drop ALL', `${CONTAINER}.CapabilityDrop`, ['ALL']],
  [
    '--ulimit nofile=1024:2048 --ulimit nproc=64',
    `${CONTAINER}.Ulimits`,
    [
      { Name: 'nofile', Soft: 1024, Hard: 2048 },
      { Name: 'nproc', Soft: 64, Hard: 64 },
    ],
  ],
  ['--sysctl net.core.somaxconn=1024', `${CONTAINER}.Sysctls`, { 'net.core.somaxconn': '1024' }],
  [
    '--log-driver json-file --log-opt max-size=10m --log-opt max-file=3',
    `${TASK}.LogDriver`,
    { Name: 'json-file', Options: { 'max-size': '10m', 'max-file': '3' } },
  ],
  ...OUR_FLAGS,
  [
    '--generic-resource GPU=3',
    `${TASK}.Resources.Reservations.GenericResources`,
    [{ DiscreteResourceSpec: { Kind: 'GPU', Value: 3 } }],
  ],
  [
    '--credential-spec file://spec.json',
    `${CONTAINER}.Privileges`,
    { CredentialSpec: { File: 'spec.json' } },
  ],
]

t.test('every flag of service create lands where the API has it', async (t) => {
  for (const [flags, path, value] of CREATE) {
    t.strictSame(at(await create(flags.split(' ')), path), value, flags)
  }
  const covered = CREATE.map(([flags]) => ` ${flags} `).join('')
  const long = (flags: string) => /--[a-z-]+/.exec(flags)![0]
  const short = (flags: string) => /^-\w\b/.exec(flags)?.[0]
  const missing = SCALAR_FLAGS.map(({ flags }) => flags).filter(
    (flags) =>
      !covered.includes(` ${long(flags)}`) && !covered.includes(` ${short(flags) ?? 'none'} `),
  )
  t.strictSame(missing, [], 'no scalar flag is left out')
  const elsewhere = ['secret', 'config']
  const lists = LIST_FLAGS.filter(
    ({ name }) => !covered.includes(` --${name} `) && !elsewhere.includes(name),
  )
  t.strictSame(lists, [], 'no list flag is left out')
})

t.test('secrets and configs are bound by their ids', async (t) => {
  const view = node.swarm.store.view()
  const SecretID = view.byName('secret', 'a')!.ID
  const ConfigID = view.byName('config', 'b')!.ID
  const spec = await create([
    '--secret',
    'a',
    '--secret',
    'source=a,target=/run/key,uid=1,gid=2,mode=0400',
    '--config',
    'src=b,target=/etc/b.conf',
  ])
  const { Secrets, Configs } = spec.TaskTemplate.ContainerSpec!
  t.strictSame(Secrets, [
    { File: { Name: 'a', UID: '0', GID: '0', Mode: 0o444 }, SecretID, SecretName: 'a' },
    { File: { Name: '/run/key', UID: '1', GID: '2', Mode: 0o400 }, SecretID, SecretName: 'a' },
  ])
  t.strictSame(Configs, [
    { File: { Name: '/etc/b.conf', UID: '0', GID: '0', Mode: 0o444 }, ConfigID, ConfigName: 'b' },
  ])
  const credentials = await create(['--credential-spec', 'config://b'])
  t.match(credentials.TaskTemplate.ContainerSpec, {
    Privileges: { CredentialSpec: { Config: ConfigID } },
    Configs: [{ Runtime: {}, ConfigID, ConfigName: 'b' }],
  })
  const bad = await run(['service', 'create', '-d', '--credential-spec', 'x', 'nginx'])
  t.match(bad.err, /invalid value "x" for --credential-spec: expected file:/)
  const missing = await run(['service', 'create', '-d', '--secret', 'none', 'nginx'])
  t.strictSame([missing.code, missing.err], [1, 'swarmctl: secret not found: none\n'])
})

t.test('what follows the image belongs to the container', async (t) => {
  const words = ['nginx', '-g', 'daemon off;', '--replicas', '9', '--init=false', '--', '-x']
  const spec = await create(['--init', '--replicas', '2'], words)
  t.strictSame(spec.TaskTemplate.ContainerSpec, {
    Image: 'nginx:latest',
    Args: words.slice(1),
    Init: true,
  })
  t.strictSame(spec.Mode, { Replicated: { Replicas: 2 } })
  const grouped = await create(['-td', '-e', 'A=1'])
  t.match(grouped.TaskTemplate.ContainerSpec, { TTY: true, Env: ['A=1'] })
})

t.test('the environment comes from flags, this environment and files', async (t) => {
  const file = join(t.testdir(), 'env')
  writeFileSync(file, '# comment\nFILE=f\nBOTH=file\nHERE\nGONE\n')
  const env = { NAME: 'from here', HERE: 'h' }
  const flags = ['--env-file', file, '--env', 'NAME', '--env', 'ABSENT', '--env', 'BOTH=flag']
  const spec = await create(flags, ['nginx'], { env })
  t.strictSame(spec.TaskTemplate.ContainerSpec?.Env, [
    'FILE=f',
    'HERE=h',
    'NAME=from here',
    'ABSENT',
    'BOTH=flag',
  ])
  const missing = await run(['service', 'create', '--env-file', `${file}x`, 'nginx'])
  t.match([missing.code, missing.err], [1, /^swarmctl: can't read --env-file .*ENOENT/])
  writeFileSync(file, Buffer.from([0x41, 0x3d, 0xff]))
  const binary = await run(['service', 'create', '--env-file', file, 'nginx'])
  t.match(
    [binary.code, binary.err],
    [1, /^swarmctl: invalid --env-file .*: it is not text in UTF-8/],
  )
})

/** First line of flags on create, then flags of update, then what stands there. */
const UPDATE: [create: string, update: string, path: string, value: unknown][] = [
  ['', '--image redis:7', `${CONTAINER}.Image`, 'redis:7'],
  ['', '--replicas 4', 'Mode.Replicated.Replicas', 4],
  [
    '--generic-resource GPU=2',
    '--generic-resource-rm GPU --generic-resource-add SSD=b',
    `${TASK}.Resources.Reservations.GenericResources`,
    [{ NamedResourceSpec: { Kind: 'SSD', Value: 'b' } }],
  ],
  ['--mode replicated-job', '--max-concurrent 3', 'Mode.ReplicatedJob.MaxConcurrent', 3],
  ['', '--force', `${TASK}.ForceUpdate`, 1],
  ['-t', '--tty=false', `${CONTAINER}.TTY`, false],
  [
    '--limit-cpu 1',
    '--limit-memory 8m',
    `${TASK}.Resources.Limits`,
    {
      NanoCPUs: 1e9,
      MemoryBytes: 8 * MIB,
    },
  ],
  ['-e A=1 -e B=2', '--env-add B=3 --env-add C --env-rm A', `${CONTAINER}.Env`, ['B=3', 'C=here']],
  ['-l a=1 -l b=2', '--label-rm a --label-add b=3', 'Labels', { b: '3' }],
  ['--container-label a=1', '--container-label-rm a', `${CONTAINER}.Labels`, {}],
  [
    '-p 8080:80 -p 443:443',
    '--publish-rm 80 --publish-add 8082:81',
    'EndpointSpec.Ports',
    [
      { Protocol: 'tcp', TargetPort: 443, PublishedPort: 443, PublishMode: 'ingress' },
      { Protocol: 'tcp', TargetPort: 81, PublishedPort: 8082, PublishMode: 'ingress' },
    ],
  ],
  [
    '--constraint node.role==worker',
    '--constraint-rm node.role==worker --constraint-add node.role==manager',
    `${TASK}.Placement.Constraints`,
    ['node.role==manager'],
  ],
  [
    '--placement-pref spread=node.labels.a',
    '--placement-pref-rm spread=node.labels.a --placement-pref-add spread=node.labels.b',
    `${TASK}.Placement.Preferences`,
    [{ Spread: { SpreadDescriptor: 'node.labels.b' } }],
  ],
  [
    '--mount src=a,target=/a --mount src=b,target=/b',
    '--mount-rm /a --mount-add src=c,target=/b',
    `${CONTAINER}.Mounts`,
    [{ Type: 'volume', Source: 'c', Target: '/b' }],
  ],
  [
    '--network back',
    '--network-add name=back,alias=x --network-add front',
    `${TASK}.Networks`,
    [{ Target: networkIds.back, Aliases: ['x'] }, { Target: networkIds.front }],
  ],
  [
    '--network back --network front',
    '--network-rm back',
    `${TASK}.Networks`,
    [{ Target: networkIds.front }],
  ],
  [
    '--host a:1.1.1.1',
    '--host-rm a:1.1.1.1 --host-add b:2.2.2.2',
    `${CONTAINER}.Hosts`,
    ['2.2.2.2 b'],
  ],
  [
    '--dns 1.1.1.1',
    '--dns-rm 1.1.1.1 --dns-add 2.2.2.2',
    `${CONTAINER}.DNSConfig.Nameservers`,
    ['2.2.2.2'],
  ],
  ['--group 1', '--group-rm 1 --group-add 2', `${CONTAINER}.Groups`, ['2']],
  ['--cap-add CHOWN', '--cap-drop CHOWN', `${CONTAINER}.CapabilityAdd`, []],
  [
    '--ulimit nofile=1',
    '--ulimit-rm nofile --ulimit-add nproc=2:3',
    `${CONTAINER}.Ulimits`,
    [{ Name: 'nproc', Soft: 2, Hard: 3 }],
  ],
  [
    '--sysctl net.a=1',
    '--sysctl-rm net.a --sysctl-add net.b=2',
    `${CONTAINER}.Sysctls`,
    {
      'net.b': '2',
    },
  ],
  ['--secret a', '--secret-rm a', `${CONTAINER}.Secrets`, []],
  ['--config a', '--config-rm a', `${CONTAINER}.Configs`, []],
  [
    '--update-delay 1s',
    '--update-order start-first',
    'UpdateConfig',
    { Parallelism: 1, Delay: 1e9, Order: 'start-first' },
  ],
]

t.test('service update changes what its flags say and nothing else', async (t) => {
  for (const [before, flags, path, value] of UPDATE) {
    const name = `u${++count}`
    const words = before.split(' ').filter(Boolean)
    await run(['service', 'create', '-dq', '--no-resolve-image', '--name', name, ...words, 'nginx'])
    const spec = structuredClone(stored(name))
    const update = ['service', 'update', '--detach=true', '--no-resolve-image']
    const ran = await run([...update, ...flags.split(' '), name], { env: { C: 'here' } })
    t.strictSame([ran.code, ran.err, ran.out], [0, '', `${name}\n`], flags)
    const after = stored(name)
    t.strictSame(at(after, path), value, flags)
    const rest = (one: ServiceSpec) => {
      const copy = structuredClone(one)
      const [key, parent] = [path.split('.').at(-1)!, path.split('.').slice(0, -1).join('.')]
      const holder = (parent === '' ? copy : at(copy, parent)) as
        | Record<string, unknown>
        | undefined
      if (holder) delete holder[key]
      return JSON.parse(JSON.stringify(copy), (_, v) =>
        v && typeof v === 'object' && Object.keys(v).length === 0 ? undefined : v,
      )
    }
    if (!flags.includes('cap-')) t.strictSame(rest(after), rest(spec), `${flags}: the rest stays`)
    await run(['service', 'rm', name])
  }
  await run(['service', 'create', '-d', '--no-resolve-image', '--name', 'args', 'nginx', 'a', 'b'])
  await run(['service', 'update', '-d', '--args', 'c "d e"', 'args'])
  t.strictSame(stored('args').TaskTemplate.ContainerSpec?.Args, ['c', 'd e'])
  await run(['service', 'update', '-d', '--secret-add', 'a', '--config-add', 'b', 'args'])
  t.match(stored('args').TaskTemplate.ContainerSpec, {
    Secrets: [{ SecretName: 'a' }],
    Configs: [{ ConfigName: 'b' }],
  })
})

t.test('a flag that can’t be read is one line that names it', async (t) => {
  const cases: [flags: string[], text: RegExp, code?: number][] = [
    [['--replicas', 'x'], /invalid value "x" for --replicas: must be a whole number/],
    [['--mode', 'global', '--replicas', '2'], /replicas can only be used with replicated/, 1],
    [['--max-concurrent', '2'], /max-concurrent can only be used with replicated-job mode/, 1],
    [['--mode', 'odd'], /invalid value "odd" for --mode/, 1],
    [['--limit-cpu', 'lots'], /invalid value "lots" for --limit-cpu/],
    [['--limit-memory', '1x'], /invalid value "1x" for --limit-memory/],
    [['--update-delay', '5'], /invalid value "5" for --update-delay/],
    [['--update-order', 'up'], /must be one of start-first, stop-first/, 1],
    [['--update-max-failure-ratio', '1.5'], /must be from 0 to 1/, 1],
    [['--update-max-failure-ratio', 'x'], /must be a number/],
    [['--publish', 'a:b'], /invalid value "a:b" for --publish/],
    [['--publish', '127.0.0.1:80:80'], /a host address is not supported/],
    [['--publish', 'published=80'], /target=PORT is required/],
    [['--mount', 'type=bind,target=/x'], /source is required for type bind/, 1],
    [['--mount', 'type=disk,target=/x'], /must be one of bind, volume/, 1],
    [['--mount', 'type=,target=/x'], /type is required/],
    [['--mount', 'colour=red'], /unknown key "colour"/],
    [['--network', 'alias=x'], /name is required/],
    [['--host', 'x'], /expected host:ip/],
    [['--placement-pref', 'zone'], /expected spread=key/],
    [['--ulimit', 'nofile=x'], /invalid value "x" for --ulimit/],
    [['--init=maybe'], /invalid value "maybe" for --init: must be true or false/],
    [['--no-healthcheck', '--health-cmd', 'x'], /--no-healthcheck conflicts with --health-\*/, 1],
    [['--colour', 'red'], /^swarmctl: unknown option '--colour'; --help shows/],
    [['--replica', '2'], /unknown option '--replica' \(Did you mean --replicas\?\);/],
  ]
  for (const [flags, text, code = 125] of cases) {
    const ran = await run(['service', 'create', '-d', ...flags, 'nginx'])
    t.match(ran, { code, out: '', err: text }, flags.join(' '))
    t.match(ran.err, /^swarmctl: [^\n]+\n$/, 'one line')
  }
})

t.test(
  'an image gets the digest that its registry has for it; credentials come along',
  async (t) => {
    const home = t.testdir({
      'config.json': JSON.stringify({
        auths: { 'reg.example': { auth: Buffer.from('me:pass:word').toString('base64') } },
      }),
    })
    const ran = await run(
      ['service', 'create', '-d', '--with-registry-auth', '--name', 'app', 'reg.example/app'],
      { env: { DOCKER_CONFIG: home } },
    )
    t.equal(ran.code, 0)
    t.match(stored('app').TaskTemplate.ContainerSpec?.Image, /^reg.example\/app:latest@sha256:a+$/)
    const auth = stored('app').TaskTemplate.PullOptions!.RegistryAuth!
    t.equal(auth.length % 4, 0, 'padded, as the Engine wants it')
    t.strictSame(JSON.parse(Buffer.from(auth, 'base64url').toString()), {
      username: 'me',
      password: 'pass:word',
      serveraddress: 'reg.example',
    })
    const warned = await run(['service', 'create', '-d', 'nginx:1'])
    t.match(warned, { code: 0, err: /image nginx:1 could not be accessed on a registry/ })
    t.ok(node.swarm.store.view().get('service', warned.out.trim())?.Spec.Name, 'it got a name')
  },
)
