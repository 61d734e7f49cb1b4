import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import t from 'tap'
import type { CliDeps } from '../../src/cli/main.ts'
import { buildProgram } from '../../src/cli/main.ts'
import { renderTable } from '../../src/cli/output.ts'
import { type RunOptions, runCli } from '../support/cli/run-cli.ts'
import { ApiNode } from '../support/http/api-node.ts'
import { NODE_ID } from '../support/http/memory-swarm.ts'
import { sampleTask } from '../support/objects.ts'

type Teardown = { teardown(end: () => Promise<void>): void }

const start = async (t: Teardown, options?: Parameters<typeof ApiNode.start>[0]) => {
  const node = await ApiNode.start(options)
  t.teardown(() => node.stop())
  const run = (line: string | string[], options: RunOptions = {}) =>
    runCli(['-H', node.host, ...(typeof line === 'string' ? line.split(' ') : line)], options)
  return { node, run }
}

/** A service with one running and one pending task. */
const withTasks = async ({ node, run }: Awaited<ReturnType<typeof start>>): Promise<string> => {
  const made = await run('service create -d --no-resolve-image --replicas 2 --name web nginx:1')
  const id = made.out.trim()
  await node.swarm.store.update((tx) => {
    const base = sampleTask('x', id)
    const status = (State: 'running' | 'pending', Message: string) => ({
      Timestamp: new Date(Date.now() - 7_200_000).toISOString(),
      State,
      Message,
      ContainerStatus: { ContainerID: 'c', PID: 1, ExitCode: 0 },
    })
    const image = { Spec: { ContainerSpec: { Image: `nginx:1@sha256:${'a'.repeat(64)}` } } }
    tx.put('task', {
      ...base,
      ...image,
      ID: 'task1'.padEnd(25, 'a'),
      NodeID: NODE_ID,
      Status: status('running', 'started'),
    })
    tx.put('task', {
      ...base,
      ...image,
      ID: 'task2'.padEnd(25, 'b'),
      Slot: 2,
      Status: { ...status('pending', ''), Err: `no suitable node: ${'because '.repeat(15)}` },
    })
  })
  return id
}

const commands = (command: Command): Command[] => [command, ...command.commands.flatMap(commands)]
const pathOf = (command: Command): string =>
  command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name()
const hasParsed = (line: string, all: readonly Command[]): boolean => {
  const words = line
    .trim()
    .replace(/^.*\| /, '')
    .split(/\s+/)
  return all.some((one) => pathOf(one) === words.slice(0, pathOf(one).split(' ').length).join(' '))
}

t.test('every command explains itself with an example that it can read', async (t) => {
  const deps = { version: '1', output: { write() {}, writeError() {} } } as unknown as CliDeps
  const all = commands(await buildProgram(deps))
  t.ok(all.length > 40)
  for (const command of all) {
    const path = pathOf(command).split(' ').slice(1)
    const help = await runCli([...path, '--help'])
    t.equal(help.code, 0)
    t.ok(command.description(), pathOf(command))
    const example = /Example:\n +(.*swarmctl .*)\n/.exec(help.out)?.[1] ?? ''
    t.ok(example, `${pathOf(command)} has an example`)
    const noun = pathOf(command).replace(/^swarmctl swarm (?!update|ca)/, 'swarmctl ')
    t.ok(example.includes(noun), `${example} is about ${noun}`)
    t.ok(hasParsed(example, all), example)
    if (command.commands.length > 0) continue
    const flags = [...example.matchAll(/ (--[a-z-]+)/g)].map((match) => match[1])
    const known = command.options.map((option) => option.long)
    t.strictSame(
      flags.filter((flag) => !known.includes(flag)),
      [],
      example,
    )
  }
})

t.test('a command alone loads as it does among all', async (t) => {
  const deps = { version: '1', output: { write() {}, writeError() {} } } as unknown as CliDeps
  const whole = await buildProgram(deps)
  for (const command of whole.commands) {
    const alone = await buildProgram(deps, ['-H', 'unix:///x', command.name()])
    t.ok(alone.commands.length < whole.commands.length, `${command.name()} loads few others`)
    const same = alone.commands.find((one) => one.name() === command.name())
    t.equal(same?.helpInformation(), command.helpInformation(), command.name())
  }
  t.equal((await buildProgram(deps, ['--help'])).commands.length, whole.commands.length)
})

t.test('the reference names every command and flag, and no other', async (t) => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/cli.md'), 'utf8')
  const deps = { version: '1', output: { write() {}, writeError() {} } } as unknown as CliDeps
  const all = commands(await buildProgram(deps))
  const leaves = all.filter((one) => one.commands.length === 0 && one.name() !== 'help')
  const unnamed = leaves.map(pathOf).filter((path) => {
    const verb = path.replace(/^swarmctl swarm (?!update|ca)/, 'swarmctl ')
    return !text.includes(`\`${verb}`)
  })
  t.strictSame(unnamed, [], 'commands')
  const flags = new Set(
    all.flatMap((one) => one.options.filter(({ hidden }) => !hidden).map(({ long }) => long!)),
  )
  const named = new Set(text.match(/--[a-z][a-z0-9]*(?:-[a-z0-9]+)*/g))
  const isFamily = (flag: string) => named.has(flag.replace(/-(?:add|rm)$/, ''))
  t.strictSame(
    [...flags].filter((flag) => !named.has(flag) && !isFamily(flag)),
    [],
    'flags',
  )
  const builtIn = new Set(['--help', '--version'])
  t.strictSame(
    [...named].filter((flag) => !flags.has(flag) && !builtIn.has(flag)),
    [],
    'nothing that is not there',
  )
})

t.test('a command line that can’t be read', async (t) => {
  const { run } = await start(t)
  t.match(await run('service'), { code: 0, err: /Usage: swarmctl service/ })
  t.match(await run('--version'), { code: 0, out: '1.2.3\n' })
  const cases: [line: string, text: RegExp, code?: number][] = [
    ['servce', /^swarmctl: unknown command 'servce' \(Did you mean service\?\); --help .*\n$/],
    ['node ls --colour', /^swarmctl: unknown option '--colour'; --help .*\n$/, 125],
    ['service create --name', /^swarmctl: option '--name <name>' argument missing; .*\n$/, 125],
    ['service frob', /^swarmctl: unknown command 'frob'.*\n$/],
    ['completion csh', /Allowed choices are bash, zsh, fish; --help .*\n$/],
    ['node ls all', /^swarmctl: too many arguments for 'ls'.*\n$/],
    ['join-token boss', /^swarmctl: .*'boss' is invalid.*\n$/],
    ['join 10.0.0.1', /^swarmctl: required option '--token <token>' not specified.*\n$/],
    ['node update --role boss h1', /^swarmctl: .*'boss' is invalid.*\n$/],
    ['service inspect', /^swarmctl: missing required argument 'service'; .*\n$/],
    [
      'stack deploy x',
      /^swarmctl: required option '-c, --compose-file <file>' not specified; .*\n$/,
    ],
  ]
  for (const [line, err, code = 1] of cases) {
    t.match(await run(line), { code, out: '', err }, line)
  }
})

t.test('a daemon that does not answer is one line with what to do', async (t) => {
  const gone = '/nowhere/no.sock'
  const ran = await runCli(['node', 'ls'], { env: { SWARMCTL_HOST: `unix://${gone}` } })
  t.match(ran, { code: 1, out: '', err: /^swarmctl: no swarmctl daemon answers at .*ENOENT.*\n$/ })
  const bad = await runCli(['-H', 'ftp://x', 'node', 'ls'])
  t.match(bad, { code: 1, err: /^swarmctl: invalid --host "ftp:\/\/x"/ })
})

t.test('nodes', async (t) => {
  const { node, run } = await start(t)
  t.strictSame((await run('node ls')).out.split('\n'), [
    `${'ID'.padEnd(27)}   HOSTNAME   STATUS   AVAILABILITY   MANAGER STATUS   ENGINE VERSION`,
    `${NODE_ID} *   host-1     Ready    Active         Leader           28.0.0`,
    `${'node2'.padEnd(25, '0')}     host-2     Ready    Active                          28.0.0`,
    '',
  ])
  t.equal((await run('node ls -q --filter role=worker')).out, `${'node2'.padEnd(25, '0')}\n`)
  t.match(await run('node ls --filter role'), { code: 125, err: /expected key=value/ })
  t.equal(
    (await run('node promote host-2')).out,
    'Node host-2 promoted to a manager in the swarm.\n',
  )
  t.equal((await run('node promote host-2')).out, 'Node host-2 is already a manager.\n')
  t.equal((await run('node demote host-2')).out, 'Manager host-2 demoted in the swarm.\n')
  const update = 'node update --availability drain --label-add zone=a --label-add old=1 host-2'
  t.equal((await run(update)).out, 'host-2\n')
  await run('node update --label-rm old --role worker host-2')
  const inspected = JSON.parse((await run('node inspect host-2')).out)
  t.match(inspected, [{ Spec: { Availability: 'drain', Role: 'worker', Labels: { zone: 'a' } } }])
  t.notOk(inspected[0].Spec.Labels.old)
  const format = ['node', 'inspect', '--format', '{{.Spec.Role}} {{json .Spec.Labels}}', 'self']
  t.equal((await run(format)).out, 'manager {}\n')
  const some = await run('node inspect self nope')
  t.match(some, { code: 1, out: /host-1/, err: 'swarmctl: node nope not found\n' })
  t.match(await run('node rm host-2'), { code: 1, err: /is not down/ })
  t.equal((await run('node rm --force host-2')).out, 'host-2\n')
  await node.swarm.store.update((tx) => {
    const one = tx.get('node', NODE_ID)!
    const ours = { ...one.Description.Swarmctl, DataPlaneNote: 'no nft: proxy' }
    tx.put('node', { ...one, Description: { ...one.Description, Swarmctl: ours } })
  })
  t.match((await run('node ls')).out, /NOTE\n.*no nft: proxy\n/)
})

t.test('services and their tasks', async (t) => {
  const started = await start(t)
  const { run } = started
  const id = await withTasks(started)
  t.equal(
    (await run('service ls')).out,
    'ID             NAME   MODE         REPLICAS   IMAGE     PORTS\n' +
      `${id.slice(0, 12)}   web    replicated   1/2        nginx:1\n`,
  )
  t.equal((await run('service ls -q')).out, `${id}\n`)
  const json = JSON.parse((await run('service ls --format json')).out)
  t.match(json, { Name: 'web', Mode: 'replicated', Replicas: '1/2', Image: 'nginx:1' })
  const template = (format: string) => run(['service', 'ls', '--format', format])
  t.equal((await template('{{.Name}}:{{.Replicas}}')).out, 'web:1/2\n')
  t.equal((await template('table {{.Name}}\\t{{.Mode}}')).out, 'NAME   MODE\nweb    replicated\n')
  t.match(await template('{{.Colour}}'), { code: 1, err: /there is no field .Colour/ })
  t.equal((await run('service ls --filter name=x')).out.split('\n').length, 2, 'heads only')
  const ps = (await run('service ps web')).out
  t.match(ps, /^task1a+ +web\.1 +nginx:1 +host-1 +Running +Running 2 hours ago/m)
  t.match(ps, /^task2b+ +web\.2 +nginx:1 +Running +Pending 2 hours ago +no suitable node.*…$/m)
  const whole = (await run('service ps --no-trunc --no-resolve web')).out
  t.match(whole, new RegExp(`^task1a{20} +${id}.1 +nginx:1@sha256:a+ +${NODE_ID}`, 'm'))
  t.match(whole, /(because ?){15}/)
  t.equal((await run('service ps -q -f desired-state=shutdown web')).out, '')
  t.equal((await run('node ps -q')).out, `${'task1'.padEnd(25, 'a')}\n`)
  t.match(await run('service ps web nope'), { code: 1, err: 'swarmctl: service nope not found\n' })
  const pretty = (await run('service inspect --pretty web')).out
  t.match(pretty, /\nID:\t\S+\nName:\tweb\nService Mode:\tReplicated\n Replicas:\t2\n/)
  t.match(pretty, /UpdateConfig:\n Parallelism:\t1\n On failure:\tpause\n Monitoring Period:\t5s\n/)
  t.match(pretty, /ContainerSpec:\n Image:\tnginx:1\n/)
  t.equal((await run('service inspect --format pretty web')).out, pretty)
  t.match(await run('service inspect --pretty --format json web'), { code: 1, err: /incompatible/ })
  t.match(
    (await run('node inspect --pretty self')).out,
    /Hostname:\thost-1\n[\s\S]*Status:\n State:\tReady\n Availability:\tActive\n/,
  )
  t.match(JSON.parse((await run('service inspect web')).out), [
    { ID: id, Spec: { UpdateConfig: { Parallelism: 1 } } },
  ])
  for (const columns of [40, 60, 80, 100]) {
    for (const line of ['service ps web', 'service ls', 'node ls', 'secret ls', 'network ls']) {
      const { out } = await run(line, { columns })
      const widest = Math.max(...out.split('\n').map((text) => text.length))
      t.ok(widest <= columns, `${line} fits ${columns} columns, is ${widest}`)
    }
  }
  t.match((await run('service ps web', { columns: 80 })).out, /^task1a{7} +web\.1/m, 'names stay')
  t.equal((await run('service rm web')).out, 'web\n')
  t.match(await run('service rm web'), { code: 1, err: 'swarmctl: service web not found\n' })
  t.equal(renderTable(['A', 'B'], [{ A: '1', B: '' }]), 'A   B\n1\n')
})

t.test('logs name the task of each line', async (t) => {
  const started = await start(t)
  const { node, run } = started
  await withTasks(started)
  const task = 'task1'.padEnd(25, 'a')
  const line = (stream: 'stdout' | 'stderr', text: string) => ({
    timestamp: '2026-01-02T03:04:05Z',
    stream,
    data: Buffer.from(text),
  })
  node.swarm.logs.set(task, [line('stdout', 'hello\n'), line('stderr', 'oh\n')])
  const name = 'web.1.task1aaaaaaa@host-1'
  const plain = await run('service logs web')
  t.strictSame(plain, { code: 0, out: `${name}    | hello\n`, err: `${name}    | oh\n` })
  t.equal((await run('service logs --raw web')).out, 'hello\n')
  t.equal((await run('service logs --no-task-ids web')).out, 'web.1@host-1    | hello\n')
  const ids = (await run('service logs --no-resolve --no-trunc web')).out
  t.match(ids, new RegExp(`^\\w+\\.1\\.${task}@${NODE_ID} +\\| hello\n$`))
  t.equal((await run('service logs --details web')).out, `${name}    |  hello\n`)
  node.swarm.logs.set(task, [{ ...line('stdout', 'hello\n'), details: 'tag=a+b,env=x%2Cy' }])
  const detailed = (await run('service logs --details web')).out
  t.equal(detailed, `${name}    | env=x%2Cy,tag=a%20b hello\n`)
  t.match((await run('service logs --raw --details web')).out, /^com\.docker\.\S+,tag=a\+b hello\n/)
  const stamped = await run(`service logs -t --since 10m ${task}`)
  t.equal(stamped.out, `2026-01-02T03:04:05Z ${name}    | hello\n`)
  t.match(await run('service logs nope'), { code: 1, err: /no such task or service: nope/ })
  t.match(await run('service logs --since x web'), { code: 1, err: /invalid --since "x"/ })
  node.swarm.logs.set(task, [new Error('node is gone')])
  t.match(await run('service logs web'), { code: 1, err: /^incomplete log stream.*gone\n$/ })
})

t.test('secrets, configs and networks', async (t) => {
  const { node, run } = await start(t)
  const file = join(t.testdir(), 'data')
  writeFileSync(file, 'from a file')
  for (const kind of ['secret', 'config'] as const) {
    const made = await run(`${kind} create -l a=b --template-driver golang one -`, { stdin: 'x' })
    t.equal(made.code, 0)
    await run(`${kind} create two ${file}`)
    const view = node.swarm.store.view()
    t.match(view.get(kind, made.out.trim())?.Spec, {
      Name: 'one',
      Labels: { a: 'b' },
      Data: 'eA==',
      Templating: { Name: 'golang' },
    })
    const data = Buffer.from(view.byName(kind, 'two')!.Spec.Data!, 'base64')
    t.equal(String(data), 'from a file')
    t.match(
      (await run(`${kind} ls`)).out,
      /^ID +NAME +(DRIVER +)?CREATED +UPDATED\n\S+ +one +Less than/,
    )
    t.equal((await run(`${kind} ls -q --filter label=a=b`)).out, made.out)
    t.match((await run(`${kind} inspect --pretty one`)).out, /Name:\tone\nLabels:\n - a=b\n/)
    t.equal((await run(`${kind} inspect --format {{.Spec.Name}} one two`)).out, 'one\ntwo\n')
    t.equal((await run(`${kind} rm one two`)).out, 'one\ntwo\n')
    t.match(await run(`${kind} create x ${file}x`), { code: 1, err: /can't read/ })
  }
  t.match(await run('secret create --driver vault key'), {
    code: 1,
    err: /secret driver vault: external secret drivers are not supported/,
  })
  t.match(await run('secret create --driver vault x -'), { code: 1, err: /must be empty/ })
  t.match(await run('secret create x'), { code: 1, err: /a file is missing/ })
  const flags = '--subnet 10.9.0.0/24 --internal --label a=b -o k=v'
  const made = await run(`network create ${flags} back`)
  t.equal(made.code, 0)
  t.match(node.swarm.store.view().get('network', made.out.trim())?.Spec, {
    Name: 'back',
    Internal: true,
    Labels: { a: 'b' },
    DriverConfiguration: { Options: { k: 'v' } },
    IPAMOptions: { Configs: [{ Subnet: '10.9.0.0/24' }] },
  })
  await run('network create --attachable side')
  const local =
    '-d bridge --subnet 10.1.0.0/16 --subnet 10.2.0.0/16 --gateway 10.2.0.1 --ip-range 10.1.8.0/24 ' +
    '--aux-address a=10.2.0.9 --ipam-driver x --ipam-opt o=1 --no-ipv4 --ipv6 --scope local ' +
    '--ingress --config-only --config-from c'
  await run(`network create ${local} lo`)
  t.match(JSON.parse(node.engine.requests('POST', /networks\/create/).at(-1)!.body), {
    Name: 'lo',
    EnableIPv4: false,
    EnableIPv6: true,
    Scope: 'local',
    Ingress: true,
    ConfigOnly: true,
    ConfigFrom: { Network: 'c' },
    IPAM: {
      Driver: 'x',
      Options: { o: '1' },
      Config: [
        { Subnet: '10.1.0.0/16', IPRange: '10.1.8.0/24' },
        { Subnet: '10.2.0.0/16', Gateway: '10.2.0.1', AuxiliaryAddresses: { a: '10.2.0.9' } },
      ],
    },
  })
  t.match(
    await run('network create --subnet 10.1.0.0/16 --subnet 10.2.0.0/16 --gateway 10.9.0.1 x'),
    { code: 1, err: /no matching subnet for --gateway 10\.9\.0\.1/ },
  )
  const connect =
    '--alias a --ip 10.0.0.5 --ip6 fd::1 --link c --link-local-ip 169.254.1.1 --driver-opt k=v --gw-priority 3'
  await run(`network connect ${connect} bridge box`)
  t.match(JSON.parse(node.engine.requests('POST', /bridge\/connect/)[0]!.body), {
    Container: 'box',
    EndpointConfig: {
      IPAMConfig: { IPv4Address: '10.0.0.5', IPv6Address: 'fd::1', LinkLocalIPs: ['169.254.1.1'] },
      Links: ['c'],
      Aliases: ['a'],
      DriverOpts: { k: 'v' },
      GwPriority: 3,
    },
  })
  await run('network disconnect --force bridge box')
  t.match(JSON.parse(node.engine.requests('POST', /bridge\/disconnect/)[0]!.body), {
    Container: 'box',
    Force: true,
  })
  t.match(await run('network prune', { stdin: 'n\n' }), { code: 0, out: /Are you sure/ })
  t.match(await run('network rm nope'), { code: 1 })
  t.match(await run('network rm --force nope'), { code: 0 })
  t.match((await run('network ls --filter scope=swarm')).out, /back +overlay +swarm\n/)
  t.match((await run('network ls')).out, /bridge +bridge +local\n/)
  t.equal((await run('network inspect --format {{.Scope}} back')).out, 'swarm\n')
  t.equal((await run('network rm back')).out, 'back\n')
})

t.test('stacks', async (t) => {
  const { node, run } = await start(t)
  const file = join(t.testdir(), 'stack.yml')
  writeFileSync(
    file,
    'services:\n  web:\n    image: nginx\n    secrets: [key]\n    ports: ["8080:80"]\n    build: .\n' +
      'secrets:\n  key:\n    file: ./stack.yml\n',
  )
  const converted = await run(`stack convert -c ${file} demo`)
  t.match(converted.err, 'Ignoring unsupported options: build')
  t.match(JSON.parse(converted.out), {
    services: [{ Name: 'demo_web' }],
    networks: [{ Name: 'demo_default' }],
  })
  t.match((await run(`stack config -c ${file}`)).out, /image: nginx/)
  const deployed = await run(`stack deploy -d --resolve-image never -c ${file} demo`)
  t.match(deployed, { code: 0, out: /demo_default[\s\S]*demo_key[\s\S]*demo_web/, err: /build/ })
  t.match(node.swarm.store.view().byName('service', 'demo_web')?.Spec, {
    TaskTemplate: { ContainerSpec: { Secrets: [{ SecretName: 'demo_key' }] } },
  })
  t.equal((await run('stack ls')).out, 'NAME   SERVICES\ndemo   1\n')
  t.match((await run('stack services demo')).out, /demo_web +replicated +0\/1/)
  t.match(await run('stack ps demo'), { code: 1, err: 'swarmctl: nothing found in stack: demo\n' })
  t.match(
    (await run('stack rm demo')).out,
    /service demo_web[\s\S]*secret demo_key[\s\S]*network demo_/,
  )
  t.match(await run('stack rm demo'), { code: 0, err: 'Nothing found in stack: demo\n' })
  t.match(await run('stack services demo'), {
    code: 0,
    out: '',
    err: 'Nothing found in stack: demo\n',
  })
  writeFileSync(file, 'services:\n  web:\n    image: [1]\n')
  t.match(await run(`stack convert -c ${file} x`), { code: 1, err: /^swarmctl: .*image[^\n]*\n$/ })
})

t.test('init starts a daemon where none answers, join and leave', async (t) => {
  const { node, run } = await start(t, { seed: false })
  const begun: string[][] = []
  const gone = '/nowhere/no.sock'
  const launcher = {
    async start(args: string[]) {
      begun.push(args)
      return { description: '/run/x/daemon.log', hasEnded: async () => false }
    },
  }
  const sleep = async () => {}
  const never = await runCli(['init', '--socket', gone, '--data-dir', '/d'], { launcher, sleep })
  t.match(never, {
    code: 1,
    err: /does not answer at unix:.* after 30 s: see \/run\/x\/daemon.log/,
  })
  t.match(begun[0]!.join(' '), `--data-dir /d --run-dir /run/swarmctl --socket ${gone} `)
  const init = await run(
    'swarm init --advertise-addr 10.0.0.1 --data-path-addr 10.0.0.2 --availability drain ' +
      '--default-addr-pool 10.20.0.0/16,10.30.7.0/16 --default-addr-pool-mask-length 24 --task-history-limit 3',
  )
  t.match(init, { code: 0, out: /swarmctl join --token SWMTKN-1-a-b 192.168.0.1:2377/ })
  const pool = await run('init --default-addr-pool 10.0.0.0')
  t.match(pool, { code: 125, err: /"10.0.0.0" for --default-addr-pool: invalid IPv4 subnet/ })
  t.match(node.swarm.calls, [
    [
      'init',
      {
        AdvertiseAddr: '10.0.0.1',
        DataPathAddr: '10.0.0.2',
        Availability: 'drain',
        DefaultAddrPool: ['10.20.0.0/16', '10.30.0.0/16'],
        SubnetSize: 24,
        Spec: { Orchestration: { TaskHistoryRetentionLimit: 3 } },
      },
    ],
  ])
  t.equal((await run('join-token -q worker')).out, 'SWMTKN-1-a-b\n')
  t.match((await run('swarm join-token manager')).out, /--token SWMTKN-1-a-c 192.168.0.1:2377\n/)
  t.match((await run('join-token --rotate -q worker')).out, /^SWMTKN-1-new-\d+\n$/)
  await run('swarm update --task-history-limit 9 --autolock')
  t.match(node.swarm.store.view().cluster()?.Spec, {
    Orchestration: { TaskHistoryRetentionLimit: 9 },
    EncryptionConfig: { AutoLockManagers: true },
  })
  t.match((await run('unlock-key -q')).out, /^SWMKEY-1-\d+\n$/)
  const key = (await run('unlock-key --rotate -q')).out
  t.match(key, /^SWMKEY-1-\d+\n$/)
  await run('swarm update --autolock=false --task-history-limit -1')
  t.equal(
    node.swarm.store.view().cluster()?.Spec.Orchestration?.TaskHistoryRetentionLimit,
    -1,
    'all are kept',
  )
  t.match(await run('unlock-key'), { code: 1, err: /no unlock key is set/ })
  t.match(await run('unlock-key --rotate'), { code: 1, err: /autolock is not turned on/ })
  t.match(await run('unlock'), { code: 1, err: /swarm is not locked/ })
  t.match(await run('swarm update --task-history-limit x'), { code: 125, err: /invalid value "x"/ })
  node.swarm.state.localNodeState = 'locked'
  t.match(await run('unlock', { stdin: 'wrong\n' }), { code: 1, err: /invalid key/ })
  t.equal((await run('unlock', { stdin: 'SWMKEY-1-right\n' })).code, 0)
  t.equal((await run('leave --force')).out, 'Node left the swarm.\n')
  for (const addr of ['fd00::9', '10.0.0.9:', '10.0.0.9']) {
    node.swarm.state.localNodeState = 'inactive'
    const joined = await run(`join --token SWMTKN-1-a-b ${addr}`)
    t.equal(joined.out, 'This node joined a swarm as a worker.\n')
    const RemoteAddrs = [addr === 'fd00::9' ? '[fd00::9]:2377' : '10.0.0.9:2377']
    t.match(node.swarm.calls.at(-1), ['join', { RemoteAddrs }])
  }
  t.match(await run('join --token x 10.0.0.9'), { code: 1, err: /already part of a swarm/ })
  t.match(await run('service ls'), { code: 1, err: /Worker nodes can't be used/ })
})

t.test('daemon passes its flags on', async (t) => {
  let got: Record<string, unknown> = {}
  const ran = await runCli(['daemon', '--data-plane', 'proxy', '--log-level', 'debug'], {
    async runDaemon(options) {
      got = options
    },
  })
  t.equal(ran.code, 0)
  t.match(got, { dataPlane: 'proxy', logLevel: 'debug', dataDir: '/var/lib/swarmctl' })
})
