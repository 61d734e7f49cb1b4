import t, { type Test } from 'tap'
import type { ContainerExchange } from '../../src/api/container-call.ts'
import { SwarmctlError } from '../../src/api/errors.ts'
import type { Task, TaskStatus } from '../../src/api/task.ts'
import type { ClusterUsage } from '../../src/api/usage.ts'
import { memorySize, trafficSize } from '../../src/cli/sizes.ts'
import { span } from '../../src/cli/why/span.ts'
import { type RunOptions, runCli } from '../support/cli/run-cli.ts'
import { ApiNode, until } from '../support/http/api-node.ts'
import { NODE_ID } from '../support/http/memory-swarm.ts'
import { sampleTask } from '../support/objects.ts'

const NODE_2 = 'node2'.padEnd(25, '0')
/** What the command takes for now. */
const NOW = Date.parse('2026-01-02T04:00:00Z')
const id = (name: string) => name.padEnd(25, 'a')

const start = async (t: Test) => {
  const node = await ApiNode.start()
  t.teardown(() => node.stop())
  const run = (line: string | string[], options: RunOptions = {}) =>
    runCli(['-H', node.host, ...(typeof line === 'string' ? line.split(' ') : line)], {
      nowMs: () => NOW,
      ...options,
    })
  return { node, run }
}

/** Puts a task of a service into the store. */
const putTask = async (
  { node }: Awaited<ReturnType<typeof start>>,
  serviceId: string,
  task: Partial<Task> & { ID: string; status: Partial<TaskStatus>; agoMs?: number },
) => {
  const { status, agoMs = 60_000, ...rest } = task
  const base = sampleTask('x', serviceId)
  const at = new Date(NOW - agoMs).toISOString()
  await node.swarm.store.update((tx) =>
    tx.put('task', {
      ...base,
      CreatedAt: at,
      Swarmctl: { ...base.Swarmctl, ServiceName: 'web' },
      ...rest,
      Status: { Timestamp: at, State: 'running', Message: 'started', ...status },
    }),
  )
}

const web = async (started: Awaited<ReturnType<typeof start>>, flags = '') =>
  (
    await started.run(
      `service create -d --no-resolve-image --name web --replicas 3 ${flags}nginx:1`,
    )
  ).out.trim()

const container = (body: object): ContainerExchange => ({
  answer: Promise.resolve({ status: 200, headers: { 'content-type': 'application/json' } }),
  send: async () => {},
  end() {},
  async *body() {
    yield Buffer.from(JSON.stringify(body))
  },
  abort() {},
})

t.test(
  'why tells of a service that can not be placed, of ended tasks, health and logs',
  async (t) => {
    const started = await start(t)
    const { run, node } = started
    const service = await web(started, '--reserve-memory 100g --constraint node.labels.disk==ssd ')
    const ContainerStatus = { ContainerID: 'c', PID: 0, ExitCode: 137 }
    await putTask(started, service, {
      ID: id('t1'),
      NodeID: NODE_ID,
      status: { ContainerStatus: { ...ContainerStatus, ExitCode: 0 } },
    })
    await putTask(started, service, {
      ID: id('t2'),
      Slot: 2,
      NodeID: '',
      status: {
        State: 'pending',
        Message: '',
        Err: 'no suitable node (2 nodes: insufficient memory)',
      },
      agoMs: 125_000,
    })
    for (const [at, State] of ['failed', 'failed', 'rejected'].entries()) {
      await putTask(started, service, {
        ID: id(`f${at}`),
        Slot: 3,
        NodeID: NODE_2,
        DesiredState: 'shutdown',
        agoMs: 300_000 + at * 1000,
        status:
          State === 'rejected'
            ? { State: 'rejected', Err: 'No such image: nginx:1' }
            : { State: 'failed', Err: 'task: non-zero exit (137)', ContainerStatus },
      })
    }
    const log = (text: string) => ({
      timestamp: '2026-01-02T03:04:05Z',
      stream: 'stderr' as const,
      data: Buffer.from(text),
    })
    node.swarm.logs.set(id('f0'), [log('starting\n'), log('panic: no database\n')])
    node.swarm.container = (taskId) => {
      if (taskId !== id('t1')) throw new SwarmctlError('UNAVAILABLE', 'gone')
      const Log = [
        { Start: '2026-01-02T03:04:05.1Z', ExitCode: 0, Output: 'fine' },
        { Start: '2026-01-02T03:04:15.1Z', ExitCode: 7, Output: 'x\ncurl: refused\n' },
      ]
      return container({ State: { Health: { Status: 'unhealthy', FailingStreak: 3, Log } } })
    }
    const told = await run('why web')
    t.equal(told.code, 0)
    t.match(told.out, /^service web: 1 of 3 tasks run, not as it should be\n/)
    t.match(told.out, /web\.2: waits for 2m5s for a node: no suitable node \(2 nodes: insufficient/)
    t.match(told.out, /web\.1: is unhealthy on host-1/)
    t.match(
      told.out,
      /web\.3: ended 3 times: exit code 137: killed \(SIGKILL\).*\(2 times\); No such/,
    )
    t.match(
      told.out,
      /NODE +TASKS +CPU +MEMORY +VERDICT\n +host-1 +1 +0 of \d+ +0B of \S+ +constraint node\.labels\.disk ?== ?ssd not met; resources: insufficient memory/,
    )
    t.match(told.out, /web\.3 +3 +5m ago +host-2 +exit code 137/)
    t.match(
      told.out,
      /web\.1 on host-1: unhealthy, 3 failed in a row\n +03:04:05 ok: fine\n +03:04:15 exit code 7: curl: refused/,
    )
    t.match(
      told.out,
      /Last lines of web\.3\.f0a+ on host-2\n {2}starting\n {2}panic: no database\n/,
    )

    const json = JSON.parse((await run('why --format json web')).out)
    t.match(json, { Kind: 'service', AsItShouldBe: false, Restarts: [{ Task: 'web.3', Count: 3 }] })
    t.equal(
      (await run(['why', '--format', '{{range .Placement}}{{.Node}} {{end}}', 'web'])).out,
      'host-1 host-2 \n',
    )
    const task = await run('why web.2')
    t.match(task.out, /^task web\.2: is pending, not as it should be\n/)
    t.notMatch(task.out, /unhealthy/, 'of the others nothing')
    t.match((await run(`why ${id('f0')}`)).out, /^task f0a+: is failed[\s\S]*panic/)
    t.match(await run('why nope'), { code: 1, err: /no such service, task or node: nope/ })
  },
)

t.test(
  'a service whose tasks end again and again is not well while one of them runs',
  async (t) => {
    const started = await start(t)
    const service = await web(started)
    for (const Slot of [1, 2, 3])
      await putTask(started, service, { ID: id(`r${Slot}`), Slot, NodeID: NODE_ID, status: {} })
    const verdict = async () => (await started.run('why web')).out.split('\n')[0]
    const failed = (name: string, agoMs: number) =>
      putTask(started, service, {
        ...{ ID: id(name), Slot: 3, NodeID: NODE_ID, DesiredState: 'shutdown', agoMs },
        status: { State: 'failed', Err: 'task: non-zero exit (1)' },
      })
    await failed('e1', 10_000)
    t.equal(await verdict(), 'service web: 3 of 3 tasks run, as it should be')
    await failed('e2', 61_000)
    t.equal(await verdict(), 'service web: 3 of 3 tasks run, not as it should be')
    await failed('e1', 61_000)
    t.equal(await verdict(), 'service web: 3 of 3 tasks run, as it should be', 'it has calmed down')
  },
)

t.test(
  'why of a task that is started again soon, and of an ended one that was unhealthy',
  async (t) => {
    const started = await start(t)
    const service = await web(started)
    for (const Slot of [1, 2]) {
      await putTask(started, service, { ID: id(`r${Slot}`), Slot, NodeID: NODE_ID, status: {} })
    }
    const failed = (DesiredState: 'ready' | 'shutdown') =>
      putTask(started, service, {
        ...{ ID: id('r3'), Slot: 3, NodeID: NODE_ID, DesiredState },
        status: { State: 'rejected', Err: 'No such image: nosuch:1' },
      })
    await failed('ready')
    const waiting = await started.run('why web')
    t.match(waiting.out, /web\.3: ended once: No such image/)
    t.notMatch(waiting.out, /not started again/, 'it waits out its delay')
    await failed('shutdown')
    t.match((await started.run('why web')).out, /web\.3: ended and is not started again/)

    await putTask(started, service, { ID: id('r3'), Slot: 3, NodeID: NODE_ID, status: {} })
    await putTask(started, service, {
      ...{ ID: id('e0'), Slot: 3, NodeID: NODE_ID, DesiredState: 'shutdown', agoMs: 600_000 },
      status: { State: 'failed', Err: 'unhealthy container' },
    })
    started.node.swarm.container = (taskId) => {
      if (taskId !== id('e0')) throw new SwarmctlError('UNAVAILABLE', 'gone')
      return container({ State: { Health: { Status: 'unhealthy', FailingStreak: 3, Log: [] } } })
    }
    const well = await started.run('why web')
    t.match(well.out, /^service web: 3 of 3 tasks run, as it should be\n/)
    t.notMatch(well.out, 'unhealthy, 3 failed')
  },
)

t.test('why of what is well, paused, scaled to nothing, or waiting on its node', async (t) => {
  const started = await start(t)
  const { run, node } = started
  const service = await web(started)
  for (const Slot of [1, 2, 3]) {
    await putTask(started, service, { ID: id(`r${Slot}`), Slot, NodeID: NODE_ID, status: {} })
  }
  t.match((await run('why web')).out, /^service web: 3 of 3 tasks run, as it should be\n/)
  t.match((await run('why web')).out, /host-2 +0 .* takes one more\n/)
  const states: [Partial<TaskStatus>, RegExp][] = [
    [{ State: 'new' }, /waits for 1m to get its networks/],
    [{ State: 'assigned' }, /host-1 has not taken it for 1m/],
    [{ State: 'preparing' }, /host-1 prepares it for 1m \(image, networks, volumes\)/],
    [{ State: 'starting' }, /is starting on host-1 for 1m/],
    [{ State: 'complete', Message: 'finished' }, /ended and is not started again.*exit code 0/],
  ]
  for (const [status, text] of states) {
    const ended = status.State === 'complete'
    await putTask(started, service, {
      ID: id('r3'),
      Slot: 3,
      NodeID: NODE_ID,
      DesiredState: ended ? 'shutdown' : 'running',
      status,
    })
    t.match((await run('why web')).out, text)
  }
  await node.swarm.store.update((tx) => {
    const now = tx.get('service', service)!
    tx.put('service', { ...now, UpdateStatus: { State: 'paused', Message: 'two tasks failed' } })
  })
  t.match((await run('why web')).out, /the update is paused: two tasks failed/)
  await run('service scale -d web=0')
  t.match((await run('why web')).out, /it wants no tasks/)
})

t.test('why of a node', async (t) => {
  const started = await start(t)
  const { run, node } = started
  await node.swarm.store.update((tx) => {
    const one = tx.get('node', NODE_ID)!
    tx.put('node', { ...one, Swarmctl: { ...one.Swarmctl, ObservedRole: 'manager' } })
  })
  const service = await web(started, '--constraint node.role==manager ')
  t.match(
    (await run('why host-1')).out,
    /^node host-1: ready, active, 0 tasks run, as it should be/,
  )
  await putTask(started, service, {
    ID: id('x'),
    NodeID: NODE_2,
    DesiredState: 'shutdown',
    status: { State: 'failed', Err: 'task: non-zero exit (1)' },
  })
  await run('node update --availability drain host-2')
  await node.swarm.store.update((tx) => {
    const one = tx.get('node', NODE_2)!
    const ours = { ...one.Description.Swarmctl, EngineError: 'does not answer' }
    const Status = { ...one.Status, State: 'down' as const, Message: 'heartbeat failure' }
    tx.put('node', { ...one, Status, Description: { ...one.Description, Swarmctl: ours } })
  })
  const { out } = await run('why host-2')
  t.match(out, /^node host-2: down, drain, 0 tasks run, not as it should be/)
  t.match(out, /it is down: heartbeat failure/)
  t.match(
    out,
    /availability is drain: it keeps no tasks. "swarmctl node update --availability active/,
  )
  t.match(out, /its Docker Engine: does not answer/)
  t.match(out, /web\.1: task: non-zero exit \(1\)/)
  t.match(out, /SERVICE +TASKS +VERDICT\n +web +0 +is down; Docker Engine: .*constraint/)
  t.match((await run('why self')).out, /^node host-1/)
})

const usage = (atMs: number, cpuNs: number, bytes: number): ClusterUsage => ({
  Nodes: [
    {
      NodeID: NODE_ID,
      AtMs: atMs,
      CPUs: 2,
      CPUTotal: cpuNs * 2,
      Memory: 2 ** 30,
      MemoryTotal: 2 ** 32,
      Load: [1, 1, 1],
      Error: '',
      Tasks: [
        {
          TaskID: id('t1'),
          CPUTotal: cpuNs,
          Memory: 100 * 2 ** 20,
          MemoryLimit: 200 * 2 ** 20,
          NetworkReceived: bytes,
          NetworkSent: bytes * 2,
          DiskRead: bytes,
          DiskWritten: 0,
          PIDs: 4,
        },
      ],
    },
  ],
})

t.test('top', async (t) => {
  const started = await start(t)
  const { run, node } = started
  const service = await web(started)
  await putTask(started, service, { ID: id('t1'), NodeID: NODE_ID, status: {} })
  const sleep = async () => {}
  const looks = () => {
    node.swarm.usages.splice(0, 9, usage(1000, 1e9, 1000), usage(3000, 2e9, 5000))
  }
  looks()
  t.equal(
    (await run('top --no-stream', { sleep })).out,
    'NODE     CPUS   TASKS   CPU %    MEM USAGE / LIMIT   MEM %    NET IN/S   NET OUT/S   DISK READ/S   DISK WRITE/S   PIDS   NOTE\n' +
      'host-1   2      1       50.00%   1GiB / 4GiB         25.00%   2kB        4kB         2kB           0B             4\n' +
      'host-2          0       --       0B / 0B             --       0B         0B          0B            0B             0      is ready, and not connected\n' +
      '\n' +
      'SERVICE   TASKS   CPU %    MEM USAGE / LIMIT   MEM %    NET IN/S   NET OUT/S   DISK READ/S   DISK WRITE/S   PIDS\n' +
      'web       1       50.00%   100MiB / 200MiB     50.00%   2kB        4kB         2kB           0B             4\n',
  )
  looks()
  const format = ['top', '--no-stream', '--format', '{{.Name}} {{.Node}} {{.CPUPerc}}']
  t.equal((await run(format, { sleep })).out, 'web.1 host-1 50.00%\n')
  looks()
  t.match(
    JSON.parse((await run('top --no-stream --by node --format json host-1', { sleep })).out),
    { Name: 'host-1', CPUs: '2', MemUsage: '1GiB / 4GiB' },
  )
  looks()
  t.match((await run('top --no-stream --by task web', { sleep })).out, /^ID +TASK.*\nt1a+ +web\.1/)
  for (const ref of ['t1a', service, service.slice(0, 24)]) {
    looks()
    const shown = await run(`top --no-stream --by task --no-trunc ${ref}`, { sleep })
    t.match(shown.out, /^ID +TASK.*\nt1a+ +web\.1 /, `by an id: ${ref}`)
  }
  t.match(await run('top --no-stream nope', { sleep }), { code: 1, err: /nothing that runs is/ })
  // Again and again until Ctrl-C; counters that went back (a new container) have no rate.
  node.swarm.usages.splice(0, 9, usage(1000, 1e9, 9), usage(3000, 2e9, 9), usage(4000, 1, 9))
  const stop = new AbortController()
  let rounds = 0
  const ran = await run('top --by task', {
    signal: stop.signal,
    async sleep() {
      if (++rounds < 3) return
      stop.abort()
      throw new Error('aborted')
    },
  })
  t.equal(ran.code, 130)
  t.match(ran.out, /50\.00%[\s\S]*web\.1 +host-1 +--/)

  const again = new AbortController()
  const empty = { ...usage(4000, 1, 9), Nodes: [] }
  node.swarm.usages.splice(0, 9, usage(1000, 1e9, 9), usage(3000, 2e9, 9), empty, empty)
  rounds = 0
  const watched = await run('top --by task web', {
    signal: again.signal,
    async sleep() {
      if (++rounds < 3) return
      again.abort()
      throw new Error('aborted')
    },
  })
  t.match(watched, { code: 130, err: '' }, 'it waits while a service has no task')
})

t.test('events', async (t) => {
  const { run, node } = await start(t)
  const stop = new AbortController()
  const watching = (flags: string[]) => run(['events', ...flags], { signal: stop.signal })
  const all = [
    watching([]),
    watching(['--format', 'json', '--filter', 'type=secret']),
    watching(['--format', '{{.Type}}/{{.Action}} {{.Actor.Attributes.name}}']),
  ]
  await until(() => node.engine.eventReaders === 3)
  await run('secret create key -', { stdin: 'x' })
  node.engine.emit(
    '{"Type":"container","Action":"start","Actor":{"ID":"c1","Attributes":{"name":"n","image":"i"}},"scope":"local","time":1767323045,"timeNano":1767323045123456789}\n',
  )
  await until(() => node.engine.eventReaders === 3)
  node.engine.endEvents()
  const [plain, json, template] = await Promise.all(all)
  t.match(plain!.out, /^\S+Z secret create \S+ \(name=key\)\n/)
  t.match(plain!.out, /2026-01-02T03:04:05\.123456789Z container start c1 \(image=i, name=n\)\n$/)
  t.match(JSON.parse(json!.out.split('\n')[0]!), { Type: 'secret', Action: 'create' })
  t.match(template!.out, /^secret\/create key\ncontainer\/start n\n$/)
  void run('events --since 10m --until 5m -f event=create')
  await until(() => node.engine.eventReaders === 1)
  node.engine.endEvents()
  const asked = node.engine.seen.map(({ url }) => url).findLast((url) => url.includes('/events'))!
  const query = new URLSearchParams(asked.split('?')[1])
  t.equal(query.get('since'), String(NOW / 1000 - 600))
  t.match(query.get('filters'), /"event"/)
  t.match(await run('events --since x'), { code: 1, err: /invalid --since "x"/ })
})

t.test('version', async (t) => {
  const { run } = await start(t)
  t.match(
    (await run('version')).out,
    /^swarmctl:\n Version: +1\.2\.3\n[\s\S]*\nDaemon:\n API version: /,
  )
  const format = ['version', '--format', '{{.Client.Version}}']
  t.equal((await run(format)).out, '1.2.3\n')
  const gone = await runCli(['version'], { env: { SWARMCTL_HOST: 'unix:///nowhere/no.sock' } })
  t.match(gone, { code: 1, out: /Version: +1\.2\.3/, err: /no swarmctl daemon answers/ })
})

t.test('completion', async (t) => {
  const started = await start(t)
  const { run, node } = started
  const service = await web(started)
  await putTask(started, service, { ID: id('t1'), NodeID: NODE_ID, status: {} })
  await run('secret create key -', { stdin: 'x' })
  const words = async (...line: string[]) => {
    const ran = await runCli(['__complete', ...line], { env: { SWARMCTL_HOST: node.host } })
    return ran.out
      .split('\n')
      .filter(Boolean)
      .map((text) => text.split('\t')[0])
  }
  t.strictSame(await words('ser'), ['service'])
  t.strictSame(await words('service', 'ro'), ['rollback'])
  t.strictSame(await words('service', 'inspect', ''), ['web'])
  t.strictSame(await words('node', 'inspect', 'host-1', ''), ['host-1', 'host-2'], 'variadic')
  t.strictSame(await words('service', 'scale', ''), ['web='])
  t.strictSame(await words('service', 'logs', 'web'), ['web', 'web.1'])
  t.strictSame(await words('secret', 'rm', ''), ['key'])
  t.strictSame(await words('network', 'rm', 'brid'), ['bridge'])
  t.strictSame(await words('service', 'create', '--secret', ''), ['key'])
  t.strictSame(await words('service', 'update', '--secret-rm', ''), ['key'])
  t.strictSame(await words('node', 'update', '--role', ''), ['worker', 'manager'])
  t.strictSame(await words('node', 'update', '--role=ma'), ['--role=manager'])
  t.strictSame(await words('service', 'update', '--update-order', 'sta'), ['start-first'])
  t.strictSame(await words('service', 'create', '--restart-condition='), [
    '--restart-condition=none',
    '--restart-condition=on-failure',
    '--restart-condition=any',
  ])
  t.strictSame(await words('service', 'create', '--update-failure-action', 'r'), ['rollback'])
  t.strictSame(await words('service', 'create', '--schedule-concurrency', 'f'), ['forbid'])
  t.ok((await words('service', 'create', '--lim')).includes('--limit-cpu'))
  t.strictSame(await words('exec', 'we'), ['web', 'web.1'])
  t.strictSame(await words('cp', ''), ['web:', 'web.1:', ':files'])
  t.strictSame(await words('apply', '--filename', ''), [':files'])
  t.strictSame(await words('backup', '--passphrase-file', ''), [':files'])
  t.strictSame(await words('completion', ''), ['bash', 'zsh', 'fish'])
  t.strictSame(await words('service', 'rm', '--', 'x', 'nope'), [])
  const down = await runCli(['__complete', 'service', 'rm', ''], {
    env: { SWARMCTL_HOST: 'unix:///nowhere/no.sock' },
  })
  t.strictSame(down, { code: 0, out: '', err: '' }, 'no cluster, no names, no error')
  for (const shell of ['zsh', 'fish']) t.match((await run(`completion ${shell}`)).out, /__complete/)
  t.match(await run('completion ksh'), { code: 1, err: /'ksh' is invalid/ })
})

t.test('sizes and times', async (t) => {
  t.strictSame([0, 1023, 1536, 2 ** 30].map(memorySize), ['0B', '1023B', '1.5KiB', '1GiB'])
  t.strictSame([0, 999, 1234, 5_670_000].map(trafficSize), ['0B', '999B', '1.23kB', '5.67MB'])
  t.strictSame([0, 999, 61_000, 3_600_000, 90_061_000].map(span), [
    '0s',
    '0s',
    '1m1s',
    '1h',
    '1d1h',
  ])
})
