/** The Docker executor on a real Engine: every field of the spec is read back from the container. */
import { join } from 'node:path'
import t from 'tap'
import type { LogMessage } from '../../src/api/assignment.ts'
import type { ContainerSpec, TaskSpec } from '../../src/api/service-spec.ts'
import type { Task } from '../../src/api/task.ts'
import { DockerExecutor } from '../../src/worker/docker/docker-executor.ts'
import { EngineClient } from '../../src/worker/docker/engine-client.ts'
import type { ContainerEvent } from '../../src/worker/executor.ts'
import type { TaskWiring } from '../../src/worker/overlay-port.ts'
import type { TaskFiles } from '../../src/worker/task-files.ts'
import { eventually } from '../support/lab/eventually.ts'
import { labTest } from '../support/lab/lab-test.ts'
import { TEST_IMAGE } from '../support/lab/test-image.ts'
import { sampleNetwork, sampleTask } from '../support/objects.ts'
import { noLog } from '../support/rpc/cluster-fixture.ts'

const SECRETS_COMMAND = join(import.meta.dirname, '../support/worker/secrets-command.ts')
const IMAGE = `${TEST_IMAGE}:1`
const node = { Hostname: 'h1', Platform: { Architecture: 'x86_64', OS: 'linux' } }
const noFiles: TaskFiles = { mounts: [] }

/** What the Engine answers: read freely. */
// biome-ignore lint/suspicious/noExplicitAny: every field of it is only compared
type ContainerDetails = any
let serial = 0

const collect = async (lines: AsyncIterable<LogMessage>): Promise<LogMessage[]> => {
  const all: LogMessage[] = []
  for await (const line of lines) all.push(line)
  return all
}

const taskOf = (
  container: Partial<ContainerSpec>,
  spec: Partial<TaskSpec> = {},
  change: Partial<Task> = {},
): Task =>
  sampleTask(`task${++serial}`, 'service1', {
    NodeID: 'node1',
    Slot: 3,
    Spec: { ContainerSpec: { Image: IMAGE, ...container }, ...spec },
    Swarmctl: {
      ...sampleTask('x', 'y').Swarmctl,
      ServiceName: 'web',
      ServiceLabels: { tier: 'front' },
    },
    ...change,
  })

labTest(t, 'the Docker executor', { hosts: 1 }, async (t, lab) => {
  const host = lab.host(1)
  const engine = new EngineClient({ dockerHost: `unix://${host.dockerSocket}` })
  const executor = new DockerExecutor({ engine, log: noLog })
  const inspect = async (id: string) =>
    (await engine.request({ method: 'GET', path: `/containers/${id}/json` })) as ContainerDetails
  const create = (task: Task, wiring?: TaskWiring, files = noFiles) =>
    executor.create({ task, wiring, files, node })

  await t.test('what the Engine says of the node', async (t) => {
    const facts = await executor.facts()
    t.match(facts, {
      Hostname: 'h1',
      Platform: { OS: 'linux' },
      Engine: { EngineVersion: /^\d+\./ },
    })
    t.ok(facts.Resources.NanoCPUs >= 1e9 && facts.Resources.MemoryBytes > 1e8)
    t.ok(facts.Engine.Plugins.some(({ Type, Name }) => Type === 'Volume' && Name === 'local'))
  })

  await t.test('every field of the spec reaches the container', async (t) => {
    const task = taskOf(
      {
        Command: ['/bin/busybox', 'sleep'],
        Args: ['100'],
        Hostname: 'host-{{.Task.Slot}}',
        Env: [
          'A=1',
          'NAME={{.Service.Name}}.{{.Node.Hostname}}',
          'TIER={{index .Service.Labels "tier"}}',
        ],
        Dir: '/tmp',
        User: '1000:1000',
        Groups: ['2000', '3000'],
        Labels: { mine: 'yes', 'com.docker.swarm.task.id': 'forged' },
        StopSignal: 'SIGUSR1',
        StopGracePeriod: 7e9,
        TTY: true,
        OpenStdin: true,
        ReadOnly: true,
        Init: true,
        Isolation: 'default',
        OomScoreAdj: 321,
        Sysctls: { 'net.ipv4.ip_unprivileged_port_start': '80' },
        CapabilityAdd: ['CAP_NET_ADMIN'],
        CapabilityDrop: ['CAP_CHOWN'],
        Ulimits: [{ Name: 'nofile', Soft: 1000, Hard: 2000 }],
        Hosts: ['10.9.9.9 db.internal db'],
        DNSConfig: { Nameservers: ['10.9.9.1'], Search: ['corp.internal'], Options: ['ndots:2'] },
        Privileges: { NoNewPrivileges: true, Seccomp: { Mode: 'unconfined' } },
        Healthcheck: {
          Test: ['CMD', 'true'],
          Interval: 2e9,
          Timeout: 1e9,
          StartPeriod: 1e9,
          Retries: 5,
        },
        Mounts: [
          {
            Type: 'volume',
            Source: 'data-{{.Task.Slot}}',
            Target: '/data',
            VolumeOptions: { Labels: { v: '{{.Service.Name}}' } },
          },
          {
            Type: 'bind',
            Source: '/etc',
            Target: '/host-etc',
            ReadOnly: true,
            BindOptions: { Propagation: 'rprivate' },
          },
          { Type: 'tmpfs', Target: '/scratch', TmpfsOptions: { SizeBytes: 1048576, Mode: 0o700 } },
        ],
      },
      {
        Resources: {
          Limits: { NanoCPUs: 5e8, MemoryBytes: 64 * 2 ** 20, Pids: 50 },
          Reservations: { MemoryBytes: 32 * 2 ** 20 },
        },
        LogDriver: { Name: 'json-file', Options: { 'max-size': '1m' } },
      },
      {},
    )
    task.Swarmctl.Endpoint = {
      Ports: [
        { Protocol: 'tcp', TargetPort: 80, PublishedPort: 8099, PublishMode: 'host' },
        { Protocol: 'udp', TargetPort: 53, PublishMode: 'host' },
        { Protocol: 'tcp', TargetPort: 81, PublishedPort: 8100, PublishMode: 'ingress' },
      ],
    }
    const id = await create(task)
    const c = await inspect(id)
    t.equal(c.Name, `/web.3.${task.ID}`)
    t.match(c.Config, {
      Hostname: 'host-3',
      User: '1000:1000',
      WorkingDir: '/tmp',
      Tty: true,
      OpenStdin: true,
      StopSignal: 'SIGUSR1',
      StopTimeout: 7,
      Entrypoint: ['/bin/busybox', 'sleep'],
      Cmd: ['100'],
      Healthcheck: {
        Test: ['CMD', 'true'],
        Interval: 2e9,
        Timeout: 1e9,
        StartPeriod: 1e9,
        Retries: 5,
      },
      Labels: {
        mine: 'yes',
        'com.docker.swarm.task': '',
        'com.docker.swarm.task.id': task.ID,
        'com.docker.swarm.task.name': `web.3.${task.ID}`,
        'com.docker.swarm.node.id': 'node1',
        'com.docker.swarm.service.id': 'service1',
        'com.docker.swarm.service.name': 'web',
      },
    })
    for (const line of ['A=1', 'NAME=web.h1', 'TIER=front']) t.ok(c.Config.Env.includes(line), line)
    t.match(c.HostConfig, {
      Init: true,
      ReadonlyRootfs: true,
      OomScoreAdj: 321,
      GroupAdd: ['2000', '3000'],
      Sysctls: { 'net.ipv4.ip_unprivileged_port_start': '80' },
      CapAdd: ['CAP_NET_ADMIN'],
      CapDrop: ['CAP_CHOWN'],
      Ulimits: [{ Name: 'nofile', Soft: 1000, Hard: 2000 }],
      ExtraHosts: ['db.internal:10.9.9.9', 'db:10.9.9.9'],
      Dns: ['10.9.9.1'],
      DnsSearch: ['corp.internal'],
      DnsOptions: ['ndots:2'],
      SecurityOpt: ['no-new-privileges=true', 'seccomp=unconfined'],
      NanoCpus: 5e8,
      Memory: 64 * 2 ** 20,
      MemoryReservation: 32 * 2 ** 20,
      PidsLimit: 50,
      LogConfig: { Type: 'json-file', Config: { 'max-size': '1m' } },
      PortBindings: { '80/tcp': [{ HostPort: '8099' }], '53/udp': [{ HostPort: '' }] },
      // Newer Engines write the default out.
      RestartPolicy: { Name: /^(no)?$/ },
      Isolation: 'default',
    })
    t.notOk(c.HostConfig.PortBindings['81/tcp'], 'an ingress port is not the Engine’s')
    t.match(
      c.HostConfig.Mounts.map((m: { Type: string; Source?: string; Target: string }) => [
        m.Type,
        m.Source ?? '',
        m.Target,
      ]),
      [
        ['volume', 'data-3', '/data'],
        ['bind', '/etc', '/host-etc'],
        ['tmpfs', '', '/scratch'],
      ],
    )
    const started = await executor.start(id)
    t.match(started, { status: 'running', health: 'starting', taskId: task.ID })
    t.ok(started.pid > 0)
    t.match(
      started.ports.find((p) => p.TargetPort === 80),
      { PublishedPort: 8099, Protocol: 'tcp', PublishMode: 'host' },
    )
    t.ok(
      (started.ports.find((p) => p.TargetPort === 53)?.PublishedPort ?? 0) > 0,
      'a port of the Engine’s choice is reported',
    )
    const volume = (await engine.request({ method: 'GET', path: '/volumes/data-3' })) as {
      Labels: object
    }
    t.match(volume.Labels, { v: 'web' })
    const run = async (...command: string[]) =>
      (await host.docker(['exec', id, ...command])).stdout.trim()
    t.equal(await run('busybox', 'pwd'), '/tmp')
    t.equal(await run('busybox', 'id', '-u'), '1000')
    t.equal(await run('busybox', 'cat', '/proc/self/oom_score_adj'), '321')
    t.match(await run('busybox', 'cat', '/etc/hosts'), /10\.9\.9\.9\s+db\.internal/)
    t.match(await run('busybox', 'mount'), /tmpfs on \/scratch.*size=1024k/)
    await executor.remove(id)
    await executor.remove(id)
    t.strictSame(await executor.list('node1'), [])
  })

  await t.test('new volumes: empty, with the group and permissions asked for', async (t) => {
    const volume = (Target: string, Source: string | undefined, VolumeMode: number) => ({
      Type: 'volume' as const,
      ...(Source && { Source }),
      Target,
      VolumeOptions: { NoCopy: true },
      Swarmctl: { VolumeMode, VolumeGID: 3000 },
    })
    const start = async (VolumeMode: number) => {
      const id = await create(
        taskOf({
          Command: ['/bin/busybox', 'sleep'],
          Args: ['100'],
          User: '1000:1000',
          Groups: ['3000'],
          ReadOnly: true,
          // The image has its programs in the first folder.
          Mounts: [volume('/usr', undefined, 0o2775), volume('/files/', 'files', VolumeMode)],
        }),
      )
      await executor.start(id)
      const sh = async (script: string) =>
        (await host.docker(['exec', id, '/bin/busybox', 'sh', '-c', script])).stdout.trim()
      return { id, sh }
    }
    const first = await start(0o2770)
    t.equal(await first.sh('ls -A /usr; stat -c "%a %g" /usr'), '2775 3000')
    t.equal(await first.sh('stat -c "%a %u %g" /files'), '2770 0 3000')
    await first.sh('echo x > /usr/new; echo x > /files/new')
    t.equal(await first.sh('stat -c "%u %g" /files/new'), '1000 3000', "the group's, as its folder")
    await executor.remove(first.id)
    const second = await start(0o2777)
    t.equal(
      await second.sh('stat -c %a /files; cat /files/new'),
      '2770\nx',
      'one that holds something stays as it is',
    )
    t.equal(await second.sh('ls -A /usr'), '', 'one without a name is new each time')
    await executor.remove(second.id)
  })

  await t.test('networks: overlays first and further ones, host and none', async (t) => {
    for (const [name, subnet] of [
      ['swarmctl-1', '10.201.0.0/16'],
      ['swarmctl-2', '10.202.0.0/16'],
    ] as const)
      await host.docker(['network', 'create', '--subnet', subnet, name])
    const wiring: TaskWiring = {
      networks: [
        { dockerNetwork: 'swarmctl-1', ipv4Address: '10.201.1.7', aliases: ['one'] },
        { dockerNetwork: 'swarmctl-2', ipv4Address: '10.202.1.7', aliases: [] },
      ],
      dns: ['10.201.1.1', '10.9.9.1'],
      dnsSearch: ['net.internal'],
      dnsOptions: [],
      hostConfig: { Dns: undefined, ShmSize: 16777216 },
    }
    delete (wiring.hostConfig as { Dns?: unknown }).Dns
    const id = await create(taskOf({ DNSConfig: { Nameservers: ['10.9.9.1'] } }), wiring)
    await executor.start(id)
    const c = await inspect(id)
    t.equal(c.NetworkSettings.Networks['swarmctl-1'].IPAddress, '10.201.1.7')
    t.equal(c.NetworkSettings.Networks['swarmctl-2'].IPAddress, '10.202.1.7')
    t.ok(c.NetworkSettings.Networks['swarmctl-1'].Aliases.includes('one'))
    t.match(c.HostConfig, {
      Dns: ['10.201.1.1', '10.9.9.1'],
      DnsSearch: ['net.internal'],
      ShmSize: 16777216,
      NetworkMode: 'swarmctl-1',
    })
    await executor.remove(id)
    for (const name of ['host', 'none']) {
      const network = sampleNetwork(name, name)
      network.Spec.DriverConfiguration.Name = name === 'none' ? 'null' : name
      const task = taskOf({}, {}, { NetworksAttachments: [{ Network: network, Addresses: [] }] })
      const container = await create(task)
      t.equal((await inspect(container)).HostConfig.NetworkMode, name)
      await executor.remove(container)
    }
  })

  await t.test(
    'secrets are files on a tmpfs, read-only in the container, gone with the task',
    async (t) => {
      const path = join(host.dir, 'secrets')
      // In the host's own mount namespace, where its daemon will be.
      const secrets = async (...args: string[]) =>
        (await host.exec(process.execPath, [SECRETS_COMMAND, path, ...args])).stdout
      const mounts = async () => (await host.exec('cat', ['/proc/self/mounts'])).stdout
      const task = taskOf({ User: '1000', ReadOnly: true })
      const written = await secrets(
        'write',
        task.ID,
        JSON.stringify([
          { target: '/run/secrets/password', data: 'hunter2', mode: 0o440, uid: 1000, gid: 50 },
          { target: '/app.conf', data: 'a=b' },
        ]),
      )
      t.match(await mounts(), `${path} tmpfs`)
      t.equal((await host.exec('stat', ['-c', '%a', path])).stdout.trim(), '700')
      const id = await create(task, undefined, JSON.parse(written) as TaskFiles)
      await executor.start(id)
      const run = async (...command: string[]) =>
        (await host.docker(['exec', id, ...command], { check: false })).stdout.trim()
      t.equal(await run('cat', '/run/secrets/password'), 'hunter2')
      t.equal(await run('stat', '-c', '%a %u %g', '/run/secrets/password'), '440 1000 50')
      t.equal(await run('cat', '/app.conf'), 'a=b')
      t.not(
        (
          await host.docker(['exec', '-u', '0', id, 'sh', '-c', 'echo x > /app.conf'], {
            check: false,
          })
        ).code,
        0,
      )
      // Another run of the daemon uses the same mount and keeps what its tasks have.
      await secrets('write', 'stray', JSON.stringify([{ target: '/x', data: 'x' }]))
      await secrets('keep', task.ID)
      t.equal((await host.exec('ls', [path])).stdout.trim(), task.ID)
      t.equal((await mounts()).split(`${path} tmpfs`).length, 2, 'mounted once')
      await executor.remove(id)
      await secrets('remove', task.ID)
      t.equal((await host.exec('ls', [path])).stdout.trim(), '')
      await secrets('destroy')
      t.notMatch(await mounts(), path)
    },
  )

  await t.test('images: what can not be pulled is Docker’s error', async (t) => {
    await t.rejects(create(taskOf({ Image: 'nowhere.invalid/none:1' })), {
      code: 'NOT_FOUND',
      message: 'No such image: nowhere.invalid/none:1',
    })
    await t.rejects(
      executor.pull(taskOf({ Image: 'nowhere.invalid/none:1' }), new AbortController().signal),
    )
    await t.rejects(create(taskOf({ Env: ['A={{.No.Such}}'] })), {
      message: /expanding env failed/,
    })
  })

  await t.test(
    'events, logs, exit codes, stop, and what is left when the daemon starts again',
    async (t) => {
      const events: ContainerEvent[] = []
      const watching = new AbortController()
      let open = (): void => {}
      const opened = new Promise<void>((resolve) => {
        open = resolve
      })
      const watch = executor.watch('node1', { open, event: (e) => events.push(e) }, watching.signal)
      await opened
      const script =
        'echo out; echo err >&2; busybox head -c 20000 /dev/zero | busybox tr "\\0" x; echo; exit 3'
      const short = taskOf({ Command: ['/bin/busybox', 'sh', '-c', script] })
      const shortId = await create(short)
      t.equal(await create(short), shortId, 'created again it is the same container')
      await executor.start(shortId)
      await eventually(() => events.some((e) => e.kind === 'died'), { what: 'its end is told' })
      t.match(
        events.find((e) => e.kind === 'died'),
        { taskId: short.ID, exitCode: 3 },
      )
      const request = {
        taskId: short.ID,
        follow: true,
        stdout: true,
        stderr: true,
        since: '',
        tail: 'all',
      }
      const lines = await collect(executor.logs(shortId, request, new AbortController().signal))
      const text = lines.map(({ stream, data }) => [stream, new TextDecoder().decode(data)])
      t.strictSame(
        text.filter(([s]) => s === 'stderr'),
        [['stderr', 'err\n']],
      )
      t.strictSame(
        text.filter(([s]) => s === 'stdout'),
        [
          ['stdout', 'out\n'],
          ['stdout', `${'x'.repeat(20000)}\n`],
        ],
      )
      t.match(lines[0]?.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/)

      const terminal = taskOf({
        TTY: true,
        Command: ['/bin/busybox', 'sh', '-c', 'echo one; echo two'],
      })
      const terminalId = await create(terminal)
      await executor.start(terminalId)
      const both = await collect(executor.logs(terminalId, request, new AbortController().signal))
      t.strictSame(
        both.map(({ data }) => new TextDecoder().decode(data)),
        ['one\r\n', 'two\r\n'],
      )

      const sick = taskOf({
        Command: [
          '/bin/busybox',
          'sh',
          '-c',
          'trap "exit 0" TERM; while :; do busybox sleep 0.1; done',
        ],
        Healthcheck: { Test: ['CMD', '/bin/busybox', 'false'], Interval: 2e8, Retries: 1 },
      })
      const sickId = await create(sick)
      await executor.start(sickId)
      await eventually(() => events.some((e) => e.kind === 'health' && e.health === 'unhealthy'), {
        what: 'unhealthy is told',
      })
      await executor.stop(sickId, 5000)
      await executor.stop(sickId, 5000)
      t.match(
        (await executor.list('node1')).map(({ taskId, status, exitCode }) => ({
          taskId,
          status,
          exitCode,
        })),
        [
          { taskId: sick.ID, status: 'exited', exitCode: 0 },
          { taskId: terminal.ID, status: 'exited' },
          { taskId: short.ID, status: 'exited', exitCode: 3 },
        ],
      )
      t.strictSame(await executor.list('another'), [])
      await Promise.all([shortId, terminalId, sickId].map((id) => executor.remove(id)))
      await eventually(() => events.some((e) => e.kind === 'removed'), {
        what: 'the removal is told',
      })
      watching.abort()
      await t.rejects(watch)
    },
  )

  await t.test('an Engine in a Docker swarm, and none at all', async (t) => {
    await host.docker(['swarm', 'init', '--advertise-addr', host.ip])
    await t.rejects(executor.facts(), {
      code: 'FAILED_PRECONDITION',
      message: /docker swarm leave/,
    })
    await host.docker(['swarm', 'leave', '--force'])
    await host.killEngine()
    await t.rejects(executor.facts(), { code: 'ENGINE_UNAVAILABLE' })
  })
})
