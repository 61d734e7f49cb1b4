/** What a comparison of random command lines with those of the docker CLI brought to light. */
import t from 'tap'
import type { ServiceSpec } from '../../src/api/service-spec.ts'
import { withoutHost } from '../../src/cli/service/address-flags.ts'
import { runCli } from '../support/cli/run-cli.ts'
import { ApiNode } from '../support/http/api-node.ts'

const node = await ApiNode.start()
t.teardown(() => node.stop())
for (const Name of ['a', 'b']) {
  for (const kind of ['secrets', 'configs']) {
    await node.call('POST', `/${kind}/create`, { body: { Name, Data: 'eA==' } })
  }
}
await node.call('POST', '/networks/create', { body: { Name: 'back', Driver: 'overlay' } })

const run = (args: string[]) => runCli(['--host', node.host, ...args])

let count = 0
/** The spec after `create` with the first flags and, where there are others, `update` with them. */
const specOf = async (created: string, ...updates: string[]): Promise<ServiceSpec> => {
  const name = `s${++count}`
  const words = (flags: string) => flags.split(' ').filter(Boolean)
  const steps = [
    ['service', 'create', '-d', '--no-resolve-image', '--name', name, ...words(created), 'nginx'],
    ...updates.map((flags) => ['service', 'update', '-d', ...words(flags), name]),
  ]
  for (const step of steps) {
    const ran = await run(step)
    if (ran.code !== 0) throw new Error(`${step.join(' ')}: ${ran.err}`)
  }
  return node.swarm.store.view().byName('service', name)!.Spec
}
const containerOf = async (...flags: [string, ...string[]]) =>
  (await specOf(...flags)).TaskTemplate.ContainerSpec

t.test('an update goes on one task at a time, whatever else is said of it', async (t) => {
  const spec = await specOf('--update-delay 5s --rollback-order start-first')
  t.match(spec, { UpdateConfig: { Parallelism: 1 }, RollbackConfig: { Parallelism: 1 } })
  t.equal((await specOf('', '--update-monitor 5s')).UpdateConfig?.Parallelism, 1)
  t.equal((await specOf('--update-parallelism 0')).UpdateConfig?.Parallelism, 0)
})

t.test('an image says its tag and goes only where it runs', async (t) => {
  t.equal((await containerOf(''))?.Image, 'nginx:latest')
  t.equal((await containerOf('', '--image docker.io/library/redis'))?.Image, 'redis:latest')
})

t.test('short flags take their value behind an equals sign too', async (t) => {
  t.match(await containerOf('-e=A=1 -tu=x -t=false'), { Env: ['A=1'], TTY: false, User: 'x' })
  const force = async (flags: string) => (await specOf('', flags)).TaskTemplate.ForceUpdate ?? 0
  t.equal(await force('--force --force=false'), 0)
  t.equal(await force('--force=false --force'), 1)
  t.equal(await force('--force --hostname --force --force=false'), 0)
  const [port] = (await specOf('-p=8090:80')).EndpointSpec!.Ports!
  t.match(port, { PublishedPort: 8090, TargetPort: 80 })
  t.match(await run(['service', 'create', '-t=maybe', 'nginx']), { code: 125, err: /"maybe" for/ })
})

t.test('numbers are read as Go reads them', async (t) => {
  const spec = await specOf('--replicas 0x10 --restart-max-attempts 010 --limit-pids +1_000')
  t.match(spec, {
    Mode: { Replicated: { Replicas: 16 } },
    TaskTemplate: {
      RestartPolicy: { MaxAttempts: 8 },
      Resources: { Limits: { Pids: 1000 } },
    },
  })
  t.equal((await specOf('--oom-score-adj -0b11')).TaskTemplate.ContainerSpec?.OomScoreAdj, -3)
})

t.test('whole numbers have a sign where Docker has signed ones', async (t) => {
  const spec = await specOf('--health-retries +3 --generic-resource GPU=+2')
  t.equal(spec.TaskTemplate.ContainerSpec?.Healthcheck?.Retries, 3)
  t.match(spec.TaskTemplate.Resources?.Reservations?.GenericResources, [
    { DiscreteResourceSpec: { Kind: 'GPU', Value: 2 } },
  ])
  t.match(await run(['service', 'create', '-d', '--replicas', '+3', 'x']), { code: 125 })
  t.match(await run(['service', 'create', '-d', '--health-retries', '-1', 'x']), { code: 1 })
})

t.test('an empty word stands for the default', async (t) => {
  const spec = await specOf(
    '--update-order start-first --update-failure-action rollback --rollback-order start-first --restart-condition none --endpoint-mode dnsrr',
    '--update-order= --update-failure-action= --rollback-order= --restart-condition= --endpoint-mode=',
  )
  t.notOk(spec.UpdateConfig?.Order)
  t.notOk(spec.UpdateConfig?.FailureAction)
  t.notOk(spec.RollbackConfig?.Order)
  t.notOk(spec.TaskTemplate.RestartPolicy?.Condition)
  t.equal(spec.EndpointSpec?.Mode, 'vip')
  t.match((await specOf('--rollback-failure-action rollback')).RollbackConfig, {
    FailureAction: 'rollback',
  })
  const secret = ['secret', 'create', '--driver=', '--template-driver=', 'empty', '-']
  t.match(await runCli(['--host', node.host, ...secret], { stdin: 'x' }), { code: 0 })
})

t.test('a node takes its words in any case', async (t) => {
  const update = ['node', 'update', '--availability', 'ACTIVE', '--role', 'Manager', 'self']
  t.match(await run(update), { code: 0, err: '' })
  t.match(await run(['node', 'update', '--availability', 'asleep', 'self']), {
    code: 1,
    err: /asleep.*active, pause, drain/,
  })
})

t.test('addresses of a network are lists between commas, too', async (t) => {
  const create = ['network', 'create', '-d', 'overlay']
  t.match(await run([...create, '--subnet=', '--gateway=', '--ip-range=', 'bare']), { code: 0 })
  const lists = ['--ipv6', '--subnet', '10.77.0.0/16,fd00:77::/64', '--gateway=']
  t.match(await run([...create, ...lists, 'listed']), { code: 0, err: '' })
  const { Spec } = node.swarm.store.view().byName('network', 'listed')!
  t.match(Spec.IPAMOptions.Configs, [{ Subnet: '10.77.0.0/16' }, { Subnet: 'fd00:77::/64' }])
})

t.test('a capability that is added takes back one that is dropped, and the reverse', async (t) => {
  const cases: [create: string, update: string, add: string[], drop: string[]][] = [
    ['--cap-add CHOWN', '--cap-drop CHOWN', [], []],
    ['--cap-drop CHOWN', '--cap-add chown', [], []],
    ['--cap-add CHOWN', '--cap-add CHOWN --cap-drop CHOWN', ['CAP_CHOWN'], []],
    ['--cap-add CHOWN', '--cap-add ALL', ['ALL'], []],
    ['--cap-add CHOWN', '--cap-add RESET --cap-add KILL', ['CAP_KILL'], []],
    ['--cap-drop CHOWN', '--cap-drop RESET', [], []],
  ]
  for (const [created, updated, add, drop] of cases) {
    const container = await containerOf(created, updated)
    t.strictSame(container?.CapabilityAdd, add, `${created}, ${updated}`)
    t.strictSame(container?.CapabilityDrop, drop, `${created}, ${updated}`)
  }
})

t.test('what an update replaces goes with all that was its own', async (t) => {
  const logged = await specOf('--log-driver json-file --log-opt max-size=1m', '--log-driver syslog')
  t.strictSame(logged.TaskTemplate.LogDriver, { Name: 'syslog' })
  const checked = await containerOf('--no-healthcheck', '--health-interval 5s')
  t.strictSame(checked?.Healthcheck, { Interval: 5e9 })
  const credentials = await containerOf('--credential-spec config://a', '--config-rm a')
  t.match(credentials?.Configs, [{ ConfigName: 'a', Runtime: {} }])
  const unchecked = await containerOf('--no-healthcheck', '--no-healthcheck=false')
  t.equal(unchecked?.Healthcheck, undefined)
  const file = await containerOf('--credential-spec config://a', '--credential-spec file://x')
  t.strictSame(file?.Configs, [])
})

t.test('what is removed is what is meant', async (t) => {
  const ports = '--publish 8080:80 --publish published=5353,target=53,protocol=udp,mode=host'
  const left = async (flag: string) => {
    const { EndpointSpec } = await specOf(ports, flag)
    await run(['service', 'rm', `s${count}`])
    return EndpointSpec?.Ports?.map(({ TargetPort }) => TargetPort)
  }
  t.strictSame(await left('--publish-rm 8080:80'), [53])
  t.strictSame(await left('--publish-rm target=53,protocol=UDP'), [80])
  t.strictSame(await left('--publish-rm target=53,protocol=udp,mode=ingress'), [80, 53])
  const limits = '--sysctl net.a=1 --sysctl net.b=2 --ulimit nofile=1 --ulimit nproc=2'
  const limited = await containerOf(limits, '--sysctl-rm net.a=1 --ulimit-rm nofile=1')
  t.strictSame(limited?.Sysctls, { 'net.b': '2' })
  t.match(limited?.Ulimits, [{ Name: 'nproc' }])
  const hosts = ['1.1.1.1 a b', '2.2.2.2 a']
  t.strictSame(withoutHost(hosts, 'b'), ['1.1.1.1 a', '2.2.2.2 a'])
  t.strictSame(withoutHost(hosts, 'a:2.2.2.2'), ['1.1.1.1 a b'])
})

t.test('mounts have every option that Docker has', async (t) => {
  const [mount] = (await containerOf(
    '--mount type=BIND,src=./here,dst=/x,ro,bind-recursive=readonly,bind-propagation=RPRIVATE',
  ))!.Mounts!
  t.strictSame(mount, {
    Type: 'bind',
    Source: `${process.cwd()}/here`,
    Target: '/x',
    ReadOnly: true,
    BindOptions: { ReadOnlyForceRecursive: true, Propagation: 'rprivate' },
  })
  const [disabled] = (await containerOf('--mount type=bind,src=/a,dst=/x,bind-recursive=disabled'))!
    .Mounts!
  t.strictSame(disabled?.BindOptions, { NonRecursive: true })
})

t.test('what would be lost, or stop every task, is refused', async (t) => {
  const create: [flags: string, err: RegExp, code?: number][] = [
    ['--secret a --secret source=b,target=a', /a was given before/],
    ['--mount dst=/x --mount src=v,dst=/x', /\/x was given before/],
    ['--publish 80:80 --publish 80:80', /given before/],
    ['--generic-resource GPU=1 --generic-resource GPU=2', /GPU was given before/],
    ['--mode global --replicas-max-per-node 2', /replicas-max-per-node can only be used with/],
    ['--mode global-job --rollback-delay 5s', /configuration is not supported for jobs/],
    ['--mount type=bind,src=/a,dst=/x,volume-nocopy', /volume-\* options can't be used with/, 125],
    ['--mount type=bind,src=/a,dst=/x,bind-recursive=writable', /need readonly/, 125],
    ['--mount type=bind,src=/a,dst=/x,ro,bind-recursive=readonly', /needs bind-prop/, 125],
    ['--host h:1.2.3', /"1\.2\.3" is no IP address/, 125],
    ['--dns fe80::1%eth0', /expected an IP address/, 125],
    ['--dns-search a..b', /expected a domain/, 125],
    ['--ulimit files=1', /expected one of core cpu/, 125],
    ['--ulimit nofile=1:2:3', /expected name=soft/, 125],
    ['--generic-resource GPU=-1', /no less than none/],
    ['--mount src=v,dst=/x,volume-opt', /"volume-opt" needs a value/, 125],
    ['--network name=back,driver-opt==2', /expected driver-opt=key=value/, 125],
    ['--mount src="v",dst=/x', /a quote may only stand around a whole field/, 125],
    ['--mount "src=v"w,dst=/x', /a quote may only stand around a whole field/, 125],
    ['--label =b', /the name is empty/, 125],
    ['--env =b', /the name is empty/, 125],
    ['--log-opt =b', /expected key=value/, 125],
    ['--network name=back,driver-opt=a', /expected driver-opt=key=value/, 125],
    ['--secret source=a,target', /"target" needs a value/, 125],
    ['--tty=tRuE', /must be true or false/, 125],
  ]
  for (const [flags, err, code = 1] of create) {
    t.match(await run(['service', 'create', '-d', ...flags.split(' '), 'x']), { code, err }, flags)
  }
  await specOf('')
  const update: [flags: string, err: RegExp, code?: number][] = [
    ['--rollback --image x', /other flags may not be combined with --rollback/],
    ['--network-rm nope', /network nope not found/],
    ['--generic-resource-rm GPU', /the service asks for no such resource/],
    ['--placement-pref-rm zone', /expected spread=key/, 125],
    ['--publish-rm x', /invalid value "x" for --publish-rm/, 125],
  ]
  for (const [flags, err, code = 1] of update) {
    const args = ['service', 'update', '-d', ...flags.split(' '), `s${count}`]
    t.match(await run(args), { code, err }, flags)
  }
})

t.test('a rollback by update is one as ever', async (t) => {
  const { Name } = await specOf('--env A=1', '--env-add A=2')
  const ran = await run(['service', 'update', '-d', '-q', '--rollback', Name])
  t.match(ran, { code: 0, err: '', out: `${Name}\n` })
  const { Spec } = node.swarm.store.view().byName('service', Name)!
  t.strictSame(Spec.TaskTemplate.ContainerSpec?.Env, ['A=1'])
})

t.test('one service that can not be scaled keeps no other from it', async (t) => {
  const [first, second] = [`s${count + 1}`, `s${count + 2}`]
  await specOf('')
  await specOf('')
  const ran = await run(['service', 'scale', '-d', `${first}=2`, 'nope=1', `${second}=3`])
  t.match(ran, { code: 1, out: `${first} scaled to 2\n${second} scaled to 3\n`, err: /nope/ })
  for (const pair of [`${first}=1=2`, `${first}=x`, '=3', `${first}=`]) {
    t.match(await run(['service', 'scale', '-d', pair]), { code: 1, err: /specifier/ }, pair)
  }
})

t.test('networks, data and nodes refuse what Docker refuses', async (t) => {
  const refused: [line: string, err: RegExp, code?: number][] = [
    ['network create --subnet 10.1.0.0/16 --aux-address a=10.9.0.9 n', /no matching subnet/],
    ['network create --subnet 10.1.0.0/16 --gateway 10.1.0.1 --gateway 10.1.0.2 n', /has 10/],
    ['network create --label =b n', /the name is empty/, 125],
    ['secret create --label =b n -', /the name is empty/, 125],
    ['node ls --filter x', /invalid --filter "x": expected key=value/, 125],
    ['node update --label-rm nope self', /key nope doesn't exist in node's labels/],
  ]
  for (const [line, err, code = 1] of refused) {
    t.match(await run(line.split(' ')), { code, err }, line)
  }
})
