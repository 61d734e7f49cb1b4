import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/daemon/system-clock.ts'
import { loadCredentials, storeCredentials } from '../../src/pki/credentials-file.ts'
import { createRootCA } from '../../src/pki/root-ca.ts'
import { connect } from '../../src/rpc/client.ts'
import { RpcHandlers } from '../../src/rpc/handlers.ts'
import { nodesByName, serviceOf, tasksOf, untilRunning } from '../support/lab/api.ts'
import { formCluster, joinHost } from '../support/lab/cluster.ts'
import type { CommandOptions } from '../support/lab/command.ts'
import { eventually } from '../support/lab/eventually.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'
import { expiredCredentials, readRootCA } from '../support/lab/root-key.ts'
import { daemonsLive, nodeLine, untilNodeLine, untilPs } from '../support/lab/waits.ts'

// Bad input and faults: one clear line, the API's right status, nothing changed, no daemon
// ended. Wrong tokens, a wrong CA in the token and an unreachable manager are in nodes.test.ts.

const IMAGE = 'swarmctl-test:1'
const CREATE = ['service', 'create', '--quiet', '--no-resolve-image', '--update-monitor', '1s']
const DETACHED = [...CREATE, '--detach', '--restart-delay', '200ms']
/** The manager's state directory is a file system of its own with this size: room for the log's segments and some more. */
const DISK_MIB = 48
/** Below the 1000 KB that a config may have; the log's segments of 4 MiB are full after a few of them. */
const CONFIG_BYTES = 700_000
const CONFIGS_MAX = 30
const patiently = { timeoutMs: 120_000 }

labTest(t, 'bad input and faults', { hosts: 3 }, async (t, lab) => {
  const [h1, h2, h3] = lab.hosts as [LabHost, LabHost, LabHost]
  await h1.exec('mkdir', ['-p', h1.dataDir])
  const tmpfs = ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m,mode=700`]
  await h1.exec('mount', [...tmpfs, 'tmpfs', h1.dataDir])
  await formCluster(lab, { managers: 1 })
  const pids = new Map(lab.hosts.map((host) => [host, host.daemon?.pid]))

  const cli = (host: LabHost, args: readonly string[], options: CommandOptions = {}) =>
    host.swarmctl(args, { check: false, ...patiently, ...options })
  /** Exit code 1, or 125 for a flag that can't be read; nothing on standard output (`inspect` prints its empty list), and one line that says what. */
  const refused = async (
    t: Test,
    args: readonly string[],
    words: RegExp,
    options: CommandOptions & { at?: LabHost; exitCode?: number } = {},
  ) => {
    const { at = h1, exitCode = 1, ...others } = options
    const { code, stdout, stderr } = await cli(at, args, others)
    const what = `${at.name}: ${args.join(' ')}`
    t.equal(code, exitCode, what)
    t.match(stdout, /^(\[\]\n)?$/, what)
    t.match(stderr, words, what)
    t.equal(stderr.trimEnd().split('\n').length, 1, `one line: ${stderr}`)
    t.notMatch(stderr, /\n\s+at |is undefined|\[object/, 'for a person')
  }
  const request = (path: string, body?: unknown, host = h1) =>
    host.apiRequest(path, body === undefined ? {} : { method: 'POST', body })
  const status = async (
    t: Test,
    expected: number,
    path: string,
    body: unknown,
    words: RegExp,
    host = h1,
  ) => {
    const answer = await request(path, body, host)
    t.equal(answer.status, expected, `${path}: ${answer.text}`)
    t.match(answer.json<{ message: string }>().message, words)
  }
  const KINDS = ['services', 'networks', 'secrets', 'configs', 'nodes']
  /** Ids and versions of what a user made. */
  const everything = async () => {
    const lists = await Promise.all(KINDS.map((kind) => request(`/${kind}`)))
    const objects = lists.flatMap((list) =>
      list.json<{ ID?: string; Id?: string; Version?: { Index: number } }[]>(),
    )
    return objects.map(({ ID, Id, Version }) => `${ID ?? Id} ${Version?.Index}`).sort()
  }
  /** A subtest after which the cluster's objects are what they were, and every daemon runs. */
  const harmless = (t: Test, name: string, body: (t: Test) => Promise<void>) =>
    t.test(name, async (t) => {
      const before = await everything()
      await body(t as Test)
      t.strictSame(await everything(), before, 'nothing changed')
      daemonsLive(t as Test, pids)
    })
  const spec = (name: string, more: object = {}, container: object = {}) => ({
    Name: name,
    TaskTemplate: { ContainerSpec: { Image: IMAGE, ...container }, ...more },
    Mode: { Replicated: { Replicas: 1 } },
  })

  await h1.swarmctl([...CREATE, '--name', 'web', '--publish', '8090:80', IMAGE], patiently)

  await harmless(t as Test, 'what does not exist', async (t) => {
    const create = (...flags: string[]) => ['service', 'create', '--name', 'new', ...flags, IMAGE]
    await refused(t, create('--network', 'nowhere'), /network nowhere not found/)
    await refused(t, create('--secret', 'nothing'), /secret.* nothing/)
    await refused(t, create('--config', 'nothing'), /config.* nothing/)
    await refused(t, ['node', 'inspect', 'nobody'], /nobody/)
    await refused(t, ['node', 'update', '--availability', 'drain', 'nobody'], /nobody/)
    await refused(t, ['service', 'update', '--force', 'nothing'], /service nothing not found/)
    await refused(t, ['service', 'scale', 'nothing=2'], /nothing/)
    await refused(t, ['service', 'logs', 'nothing'], /nothing/)
    await refused(t, ['service', 'update', '--secret-add', 'nothing', 'web'], /nothing/)
    await refused(t, ['network', 'rm', 'nowhere'], /nowhere/)
    await refused(t, ['secret', 'inspect', 'nothing'], /nothing/)
    const networks = { Networks: [{ Target: 'nowhere' }] }
    await status(t, 404, '/services/create', spec('new', networks), /network nowhere not found/)
    const file = { File: { Name: 'x', UID: '0', GID: '0', Mode: 292 } }
    const secrets = { Secrets: [{ SecretID: 'x', SecretName: 'nothing', ...file }] }
    await status(t, 400, '/services/create', spec('new', {}, secrets), /secret not found: nothing/)
    const configs = { Configs: [{ ConfigID: 'x', ConfigName: 'nothing', ...file }] }
    await status(t, 400, '/services/create', spec('new', {}, configs), /config not found: nothing/)
    const node = { Role: 'worker', Availability: 'drain' }
    await status(t, 404, '/nodes/nobody/update?version=1', node, /nobody/)
    for (const kind of ['services', 'nodes', 'secrets', 'configs', 'networks', 'tasks']) {
      const answer = await request(`/${kind}/nothing`)
      t.equal(answer.status, 404, `${kind}: ${answer.text}`)
    }
  })

  await harmless(t as Test, 'a port that another service has', async (t) => {
    const flags = ['service', 'create', '--name', 'new', '--publish', '8090:80', IMAGE]
    await refused(t, flags, /port '8090' is already in use by service 'web'/)
    await refused(
      t,
      flags.with(5, 'published=8090,target=80,mode=host'),
      /port '8090' is already in use by service 'web'/,
    )
    const ports = { Ports: [{ Protocol: 'tcp', TargetPort: 80, PublishedPort: 8090 }] }
    const body = { ...spec('new'), EndpointSpec: ports }
    await status(t, 400, '/services/create', body, /already in use by service 'web'/)
  })

  await harmless(t as Test, 'values out of range', async (t) => {
    const create = (flags: readonly string[]) => [
      'service',
      'create',
      '--name',
      'new',
      ...flags,
      IMAGE,
    ]
    for (const [flags, words] of [
      [['--replicas', '-1'], /replicas/],
      [['--replicas', 'many'], /many.*replicas/],
      [['--publish', '99999:80'], /99999/],
      [['--publish', '80:http'], /http/],
      [['--update-parallelism', '-1'], /parallelism/],
      [['--update-delay', 'soon'], /soon/],
      [['--env', '=x'], /=x.*--env/],
    ] as const) {
      await refused(t, create(flags), words, { exitCode: 125 })
    }
    for (const [flags, words] of [
      [['--update-max-failure-ratio', '2'], /ratio/i],
      [['--restart-condition', 'maybe'], /maybe/],
      [['--health-retries', '-1'], /retries/i],
      [['--mount', 'type=bind,target=/x'], /source/i],
      [['--limit-memory', '1k'], /memory/i],
      [['--limit-cpu', '-1'], /cpu/i],
      [['--stop-grace-period', '-3s'], /grace/i],
      [['--mode', 'sometimes'], /sometimes/],
      [['--constraint', 'node.hostname~h1'], /constraint expected one operator/],
      [['--constraint', 'colour==red'], /colour/],
    ] as const) {
      await refused(t, create(flags), words)
    }
    await refused(t, ['service', 'create', '--name', 'no spaces here', IMAGE], /name/)
    await refused(t, ['service', 'create', '--name', 'new', 'NOT An Image'], /NOT An Image/)
    const usage = await cli(h1, ['node', 'update', '--availability', 'asleep', 'h2'])
    t.match(usage, { code: 1, stderr: /asleep.*active, pause, drain.*\n$/ })
    const asleep = { Role: 'worker', Availability: 'asleep' }
    await status(t, 400, '/nodes/h2/update?version=1', asleep, /asleep|availability/i)
    await refused(t, ['network', 'create', '--subnet', '10.0.0.0/99', 'new'], /10\.0\.0\.0\/99/)
    await refused(t, ['config', 'create', 'new', '-'], /less than 1024000 bytes/, {
      input: 'x'.repeat(1_100_000),
    })
    await refused(t, ['secret', 'create', 'new', '-'], /less than 512000 bytes/, {
      input: 'x'.repeat(600_000),
    })
    const limits = { Resources: { Limits: { MemoryBytes: 1024 } } }
    await status(t, 400, '/services/create', spec('new', limits), /memory/i)
    const ports = { EndpointSpec: { Ports: [{ TargetPort: 80, PublishedPort: 99_999 }] } }
    await status(t, 400, '/services/create', { ...spec('new'), ...ports }, /port/i)
    const replicas = { Mode: { Replicated: { Replicas: -1 } } }
    await status(t, 400, '/services/create', { ...spec('new'), ...replicas }, /replicas/i)
    const placement = { Placement: { Constraints: ['colour==red'] } }
    await status(t, 400, '/services/create', spec('new', placement), /colour/)
    await status(t, 400, '/services/create', 'text', /./)
    await status(t, 400, '/configs/create', { Name: '', Data: 'eA==' }, /name/)
    t.equal((await request('/tasks?filters=%7B')).status, 400)
    t.equal((await request('/services/web/update?version=x', spec('web'))).status, 400)
  })

  await harmless(t as Test, 'a malformed stack file', async (t) => {
    const deploy = ['stack', 'deploy', '-c', '-', 'new']
    const image = `image: ${IMAGE}`
    for (const [text, words] of [
      ['services:\n  a: [\n', /-:[23]: not valid YAML/],
      ['services:\n  a:\n\timage: x\n', /line 3|tab/i],
      [`services:\n  a:\n    ${image}\n    imagine: x\n`, /services\.a.*imagine|imagine/],
      [`services:\n  a:\n    ${image}\n    ports: 80\n`, /services\.a\.ports/],
      [`services:\n  a:\n    ${image}\n    networks: [nowhere]\n`, /nowhere/],
      [`services:\n  a:\n    ${image}\n    secrets: [nothing]\n`, /nothing/],
      ['services:\n  a:\n    image: "$' + '{TAG:?say which}"\n', /TAG.*say which|say which/],
      [`services:\n  a:\n    ${image}\n    deploy: {replicas: lots}\n`, /replicas/],
      ['services:\n  a: {}\n', /image/],
      ['', /empty|services/],
    ] as const) {
      await refused(t, deploy, words, { input: text })
    }
    await refused(t, ['stack', 'deploy', '-c', '/no/such/file.yml', 'new'], /no\/such\/file\.yml/)
  })

  await t.test('an update of a stale version', async (t) => {
    const service = await serviceOf(h1, 'web')
    const node = (await nodesByName(h1)).get('h2')
    await h1.swarmctl(['service', 'update', '-q', '-d', '--label-add', 'of=now', 'web'])
    await h1.swarmctl(['node', 'update', '--label-add', 'of=now', 'h2'])
    await harmless(t as Test, 'the second of two updates of one version', async (t) => {
      const stale = `update?version=${service.Version.Index}`
      const changed = { ...service.Spec, Labels: { of: 'then' } }
      await status(t, 500, `/services/${service.ID}/${stale}`, changed, /update out of sequence/)
      const nodePath = `/nodes/${node?.ID}/update?version=${node?.Version.Index}`
      const drained = { ...node?.Spec, Availability: 'drain' }
      await status(t, 500, nodePath, drained, /update out of sequence/)
      const without = await request(`/services/${service.ID}/update`, service.Spec)
      t.equal(without.status, 400, without.text)
    })
  })

  await harmless(t as Test, 'a command on a worker', async (t) => {
    const words = /This node is not a swarm manager/
    for (const args of [
      ['service', 'ls'],
      ['service', 'create', IMAGE],
      ['node', 'ls'],
      ['secret', 'ls'],
      ['join-token', 'worker'],
    ]) {
      await refused(t, args, words, { at: h2 })
    }
    for (const path of ['/services', '/nodes', '/tasks', '/secrets', '/configs', '/swarm']) {
      const answer = await request(path, undefined, h2)
      t.equal(answer.status, 503, path)
      t.match(answer.json<{ message: string }>().message, words)
    }
    await status(t, 503, '/services/create', spec('new'), words, h2)
    const docker = await h2.dockerViaSwarmctl(['service', 'ls'], { check: false })
    t.equal(docker.code, 1)
    t.match(docker.stderr, words)
    t.equal((await h2.dockerViaSwarmctl(['ps', '-q'])).code, 0, "the Engine's half is served")
  })

  await t.test('a constraint that nobody meets: why, per node', async (t) => {
    const flags = ['--constraint', 'node.labels.disk==ssd', '--wait-limit', '3s']
    const result = await cli(h1, [...CREATE, '--name', 'picky', ...flags, IMAGE])
    t.equal(result.code, 1)
    t.match(result.stderr, /picky did not converge within 3s.*node\.labels\.disk==ssd not met/)
    await h1.swarmctl(['node', 'update', '--availability', 'drain', 'h3'])
    const perNode = [
      /Pending.*no suitable node \(2 nodes: constraint node\.labels\.disk==ssd not met; /,
      /node h3: availability is drain\)/,
    ]
    const text = await untilPs(h1, 'picky', perNode[1] as RegExp)
    t.match(text, perNode[0])
    await h1.swarmctl(['service', 'rm', 'picky'])
    await h1.swarmctl(['node', 'update', '--availability', 'active', 'h3'])
    daemonsLive(t as Test, pids)
  })

  await t.test("an image that can't be pulled", async (t) => {
    const image = 'no-such-registry.invalid/app:1'
    const flags = ['--name', 'missing', '--wait-limit', '4s', image]
    const result = await cli(h1, [...CREATE, ...flags])
    t.equal(result.code, 1)
    t.match(result.stderr, /missing did not converge within 4s.*no-such-registry\.invalid/)
    t.equal(result.stderr.trimEnd().split('\n').length, 1, result.stderr)
    t.match(await untilPs(h1, 'missing', /Rejected/), /Rejected.*no-such-registry\.invalid/)
    // The delay of 5 s holds although each attempt fails while its task still waits for its turn.
    t.ok((await tasksOf(h1, 'missing')).length <= 4, 'attempts keep their delay')
    await h1.swarmctl(['service', 'rm', 'missing'])
    daemonsLive(t as Test, pids)
  })

  await t.test('a host port that another process on the node has', async (t) => {
    const script =
      'use IO::Socket::INET; $s = IO::Socket::INET->new(LocalPort => 7070, Listen => 1) or die; sleep'
    const holder = await h2.spawn(['perl', '-e', script])
    const flags = ['--name', 'port', '--publish', 'published=7070,target=80,mode=host']
    const there = ['--constraint', 'node.hostname==h2', '--wait-limit', '5s']
    const result = await cli(h1, [...CREATE, '--restart-delay', '1s', ...flags, ...there, IMAGE])
    t.equal(result.code, 1)
    t.match(result.stderr, /port did not converge within 5s.*7070/)
    t.match(await untilPs(h1, 'port', /Failed/), /Failed.*7070.*in use/)
    await holder.kill()
    await untilRunning(h1, 'port', 1, { on: ['h2'] })
    await h1.swarmctl(['service', 'rm', 'port'])
    daemonsLive(t as Test, pids)
  })

  await t.test(
    'a published port that another process on a node has: node ls names it',
    async (t) => {
      const script =
        'use IO::Socket::INET; $s = IO::Socket::INET->new(LocalPort => 7071, Listen => 1) or die; sleep'
      const holder = await h2.spawn(['perl', '-e', script])
      await h1.swarmctl([...CREATE, '-q', '--name', 'pub', '--publish', '7071:80', IMAGE])
      await eventually(async () => /h2 .*7071/.test((await h1.swarmctl(['node', 'ls'])).stdout), {
        what: 'a note at h2',
        timeoutMs: 60_000,
      })
      await holder.kill()
      await eventually(async () => !/7071/.test((await h1.swarmctl(['node', 'ls'])).stdout), {
        what: 'no note any more',
        timeoutMs: 60_000,
      })
      await h1.swarmctl(['service', 'rm', 'pub'])
      daemonsLive(t as Test, pids)
    },
  )

  await t.test('an expired certificate', async (t) => {
    const root = await readRootCA(h1)
    const own = await loadCredentials(h3.dataDir)
    const { nodeId = '', clusterId = '' } = own ?? {}
    const expired = await expiredCredentials(root, { nodeId, clusterId })
    const foreign = {
      ...(await expiredCredentials(await createRootCA(systemClock), { nodeId, clusterId })),
      rootCAPem: root.certPem,
    }
    for (const pem of [expired, foreign]) {
      const log = { info() {}, warn() {}, error() {}, debug() {} }
      const deps = { handlers: new RpcHandlers(), clock: systemClock, log }
      const options = { ...deps, credentials: { ...pem, clusterId } }
      await t.rejects(
        connect(`${h1.ip}:2377`, options as never),
        { code: 'UNAUTHENTICATED' },
        'no manager takes it',
      )
    }

    await h3.kill9Daemon()
    await storeCredentials(h3.dataDir, expired)
    const daemon = await h3.spawnDaemon([])
    pids.set(h3, daemon.pid)
    const said = /certificate is unusable: it expired at .*Leave the cluster and join it again/
    await eventually(() => said.test(daemon.log()), { what: 'the daemon says that it expired' })
    const info = await h3.dockerViaSwarmctl(['info', '--format', '{{json .Swarm}}'])
    t.match(JSON.parse(info.stdout), { LocalNodeState: 'error', Error: said })
    await refused(t as Test, ['node', 'ls'], /certificate|not a swarm manager/, { at: h3 })
    const token = (await h1.swarmctl(['join-token', '-q', 'worker'])).stdout.trim()
    await untilNodeLine(h1, h3, /Down/)
    await h3.swarmctl(['leave', '--force'], patiently)
    t.equal((await h3.docker(['ps', '-aq'])).stdout.trim(), '')
    await h1.swarmctl(['node', 'rm', 'h3'])
    await joinHost(h3, h1, token)
    await untilNodeLine(h1, h3, /Ready/)
    daemonsLive(t as Test, pids)
  })

  await t.test('a worker that was removed while it was away leaves by itself', async (t) => {
    await h1.swarmctl([...DETACHED, '--name', 'left', '--constraint', 'node.hostname==h3', IMAGE])
    await untilRunning(h1, 'left', 1, { on: ['h3'] })
    await h3.kill9Daemon()
    await untilNodeLine(h1, h3, /Down/)
    await h1.swarmctl(['node', 'rm', '--force', 'h3'])
    const daemon = await h3.spawnDaemon([])
    pids.set(h3, daemon.pid)
    const membership = async () =>
      (await h3.dockerViaSwarmctl(['info', '--format', '{{.Swarm.LocalNodeState}}'])).stdout.trim()
    await eventually(async () => (await membership()) === 'inactive', {
      what: 'h3 has left by itself',
      timeoutMs: 60_000,
    })
    t.match(daemon.log(), /removed from the cluster while it was away: it leaves/)
    t.equal((await h3.docker(['ps', '-aq'])).stdout.trim(), '', 'its containers are gone')
    const token = (await h1.swarmctl(['join-token', '-q', 'worker'])).stdout.trim()
    await joinHost(h3, h1, token)
    await untilNodeLine(h1, h3, /Ready/)
    await h1.swarmctl(['service', 'rm', 'left'])
    daemonsLive(t as Test, pids)
  })

  await t.test('a full disk: writes are refused, and go on when there is room', async (t) => {
    const filler = join(h1.dataDir, 'filler')
    await h1.exec('dd', ['if=/dev/zero', `of=${filler}`, 'bs=64k'], { check: false })
    const Data = Buffer.alloc(CONFIG_BYTES, 'x').toString('base64')
    const written: string[] = []
    let refusal = await request('/configs')
    for (let n = 0; n < CONFIGS_MAX && refusal.status < 400; n += 1) {
      const Name = `filling-${n}`
      refusal = await request('/configs/create', { Name, Labels: {}, Data })
      if (refusal.status < 400) written.push(Name)
    }
    t.equal(refusal.status, 507, refusal.text)
    const said = /the disk of the manager is full: free some space/
    t.match(refusal.json(), { code: 'DISK_FULL', message: said })
    const names = async () =>
      (await request('/configs'))
        .json<{ Spec: { Name: string } }[]>()
        .map(({ Spec }) => Spec.Name)
        .sort()
    await harmless(t as Test, 'writes while it is full', async (t) => {
      await refused(t, ['network', 'create', 'new'], said)
      await refused(t, ['config', 'create', 'new', '-'], said, { input: 'small' })
      await refused(t, ['service', 'rm', 'web'], said)
      t.strictSame(await names(), [...written].sort())
    })
    t.match(await nodeLine(h1, h1), /Ready.*Leader/, 'it still leads and answers')
    await untilRunning(h1, 'web', 1)

    await h1.exec('rm', [filler])
    await eventually(
      async () => (await cli(h1, ['config', 'create', 'after', '-'], { input: 'x' })).code === 0,
      { what: 'a write goes on', timeoutMs: 60_000 },
    )
    await h1.swarmctl([...DETACHED, '--name', 'later', IMAGE])
    await untilRunning(h1, 'later', 1)
    daemonsLive(t as Test, pids)
    await h1.kill9Daemon()
    pids.set(h1, (await h1.spawnDaemon([])).pid)
    const found = await eventually(async () => (await names()).length > 0 && names(), {
      what: 'the state after a restart',
    })
    t.strictSame(found, [...written, 'after'].sort(), 'all that was acknowledged, nothing else')
  })
})
