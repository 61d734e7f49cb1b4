import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Clock } from '../../src/api/clock.ts'
import type { Config } from '../../src/api/config.ts'
import { unavailable } from '../../src/api/errors.ts'
import type { TaskStatus } from '../../src/api/task.ts'
import {
  expandEnv,
  expandTemplate,
  taskHostname,
  templateContext,
} from '../../src/api/task-template.ts'
import { recordable } from '../../src/worker/agent-disk.ts'
import { backoffMs } from '../../src/worker/backoff.ts'
import { logMessages } from '../../src/worker/docker/container-logs.ts'
import { ContainerProcesses } from '../../src/worker/docker/container-processes.ts'
import { FileDisk } from '../../src/worker/file-disk.ts'
import { engineConcurrency, STATUS_COALESCE_MS } from '../../src/worker/limits.ts'
import { ManagerChoice } from '../../src/worker/manager-choice.ts'
import { startPatience } from '../../src/worker/patience.ts'
import { Semaphore } from '../../src/worker/semaphore.ts'
import { SharedPulls } from '../../src/worker/shared-pulls.ts'
import { StatusOutbox } from '../../src/worker/status-outbox.ts'
import { dependencyState, taskFiles } from '../../src/worker/task-files.ts'
import { sampleNode, sampleSecret } from '../support/objects.ts'
import { settle, VirtualClock } from '../support/orchestration/virtual-clock.ts'
import { agentTask } from '../support/worker/agent-bench.ts'
import { CollectedLog } from '../support/worker/memory-stream.ts'

const node = sampleNode('n1', 1).Description

t.test('placeholders', async (t) => {
  const task = agentTask('t1', { Slot: 2 })
  task.Swarmctl.ServiceLabels = { tier: 'front' }
  const context = templateContext(task, node)
  const cases: [string, string][] = [
    ['plain', 'plain'],
    ['{{.Service.Name}}-{{ .Task.Slot }}', 'web-2'],
    ['{{.Node.ID}} {{.Node.Hostname}} {{.Node.Platform.OS}}', 'n1 host-1 linux'],
    ['{{.Task.Name}} {{.Task.ID}} {{.Service.ID}}', 'web.2.t1 t1 web'],
    ['{{index .Service.Labels "tier"}}{{index .Service.Labels "none"}}', 'front'],
    ['{{.Service.Labels.tier}}', 'front'],
    ['a  {{- .Task.Slot -}}  b', 'a2b'],
    ['{{"{{"}} and }}', '{{ and }}'],
    ['{{if eq .Task.Slot "1"}}2{{else if eq .Task.Slot "2"}}1{{else}}3{{end}}', '1'],
    ['{{if .Task}}x{{end}}', 'x'],
    ['{{.Service.Labels}}', 'map[tier:front]'],
    ['{{range $key, $value := .Service.Labels}}{{$key}}={{$value}}{{end}}', 'tier=front'],
    ['{{with index .Service.Labels "none"}}a{{else}}b{{end}}', 'b'],
    ['{{join "-" .Node.Hostname .Task.Slot}}', 'host-1-2'],
    ['{{.Task.Slot | printf "%03s"}}', '002'],
  ]
  for (const [text, wanted] of cases) t.equal(expandTemplate(text, context), wanted, text)
  t.equal(expandEnv('A={{.Task.Slot}}={{.Node.ID}}', context), 'A=2=n1')
  t.equal(expandEnv('{{.Nope}}={{.Task.Slot}}', context), '{{.Nope}}=2', 'a name is no template')
  t.equal(expandEnv('{{.Nope}}', context), '{{.Nope}}', 'nor is one without a value')
  for (const text of [
    '{{.Nope}}',
    '{{if .Task}}x',
    '{{ secret "x" }}',
    '{{.Service.Labels.none}}',
    '{{upper .Task.Slot}}',
    '{{range 1000000000}}x{{end}}',
    '{{range 10000}}{{range 10000}}{{end}}{{end}}',
    '{{printf "%999999999s" .Task.Slot}}',
    '{{.Service.constructor.name}}',
  ])
    t.throws(() => expandTemplate(text, context), { code: 'INVALID_ARGUMENT' }, text)
  t.equal(
    taskHostname(
      agentTask('t1', { Spec: { ContainerSpec: { Image: 'x', Hostname: 'h{{.Nope}}' } } as never }),
      node,
    ),
    '',
  )
  t.equal(
    templateContext(agentTask('t1', { Slot: undefined as never }), node).Task.Slot,
    'n1',
    'a global task has its node for a slot',
  )
})

t.test('files of secrets and configs', async (t) => {
  const file = (Name: string, UID = '0') => ({ Name, UID, GID: '7', Mode: 0o440 })
  const config = (id: string, text: string, templating?: string): Config => ({
    ...sampleSecret(id, id),
    Spec: {
      Name: id,
      Labels: {},
      Data: Buffer.from(text).toString('base64'),
      ...(templating === undefined ? {} : { Templating: { Name: templating } }),
    },
  })
  const task = (configs: string[], uid = '0') =>
    agentTask('t1', {
      Spec: {
        ContainerSpec: {
          Image: 'x',
          Env: ['WHO={{.Service.Name}}'],
          Secrets: [
            { SecretID: 's1', SecretName: 'pw', File: file('pw', uid) },
            { SecretID: 's1', SecretName: 'pw', File: file('/etc/pw') },
          ],
          Configs: [
            ...configs.map((id) => ({ ConfigID: id, ConfigName: id, File: file(`${id}.conf`) })),
            { ConfigID: 'c9', ConfigName: 'c9', Runtime: {} },
          ],
        },
      },
    })
  const deps = {
    secrets: new Map([['s1', sampleSecret('s1', 'pw')]]),
    configs: new Map([
      ['plain', config('plain', 'a={{.Nope}}')],
      [
        'full',
        config(
          'full',
          'user={{ env "WHO" }} pw={{ secret "pw" }} x={{ config "plain.conf" }}',
          'golang',
        ),
      ],
      ['bad', config('bad', '{{ secret "other" }}', 'golang')],
      ['odd', config('odd', '', 'jinja')],
    ]),
  }
  const files = (t: ReturnType<typeof agentTask>) => taskFiles(t, deps, templateContext(t, node))
  const text = (data: Uint8Array) => Buffer.from(data).toString()
  const made = files(task(['plain', 'full']))
  t.strictSame(
    made.map(({ target, data, mode, gid }) => [target, text(data), mode, gid]),
    [
      ['/run/secrets/pw', 'secret', 0o440, 7],
      ['/etc/pw', 'secret', 0o440, 7],
      ['/plain.conf', 'a={{.Nope}}', 0o440, 7],
      ['/full.conf', 'user=web pw=secret x=a={{.Nope}}', 0o440, 7],
    ],
  )
  t.throws(() => files(task(['bad'])), {
    message: /config bad: expanding the template failed: secret "other"/,
  })
  t.throws(() => files(task(['odd'])), { message: /unknown template driver "jinja"/ })
  t.throws(() => files(task([], 'root')), { message: /UID must be a number/ })
  const here = { dependenciesHere: true, dependencyMissing: '' }
  const state = (configs: string[], isAllTold: boolean) =>
    dependencyState(task(configs), deps, isAllTold)
  t.strictSame(state(['plain'], true), here, 'a config for the Engine itself is not waited for')
  t.strictSame(state(['later'], false), { ...here, dependenciesHere: false })
  t.strictSame(state(['later'], true), {
    dependenciesHere: false,
    dependencyMissing: 'unable to get config from config store: config later not found',
  })
})

t.test('the disk: atomic files, newest wins, damage is skipped, nothing secret', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'swarmctl-disk-'))
  const path = join(directory, 'worker')
  t.teardown(() => rm(directory, { recursive: true }))
  const log = new CollectedLog()
  const clock = new VirtualClock()
  const disk = new FileDisk({ clock, log }, { path })
  t.strictSame(await disk.load(), { node: undefined, tasks: [] })
  const task = agentTask('t1', {
    Spec: { ContainerSpec: { Image: 'x' }, PullOptions: { RegistryAuth: 'tkn' } },
  })
  const status = { Timestamp: '', State: 'running', Message: '' } as const
  disk.saveTask({ version: 1, task: recordable(task), status: { ...status, State: 'ready' } })
  disk.saveTask({ version: 1, task: recordable(task), status })
  disk.saveTask({ version: 1, task: recordable(agentTask('t2')), status })
  disk.saveNode({ version: 1, index: 3, managers: [{ nodeId: 'm', addr: 'm:2377' }] })
  await disk.flush()
  disk.removeTask('t2')
  await disk.flush()
  t.equal((await stat(path)).mode & 0o777, 0o700)
  t.notMatch(await readFile(join(path, 'task-t1.json'), 'utf8'), 'tkn')
  await writeFile(join(path, 'task-t3.json'), '{"version":1,"ta')
  await writeFile(join(path, 'task-t4.json'), '{"version":2}')
  const loaded = await new FileDisk({ clock, log }, { path }).load()
  t.match(loaded, {
    node: { index: 3 },
    tasks: [{ task: { ID: 't1' }, status: { State: 'running' } }],
  })
  t.equal(loaded.tasks.length, 1)
  t.equal(log.lines.length, 2)
  await disk.clear()
  await t.rejects(readdir(path))
})

t.test('the disk: states that follow each other at once are one write', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'swarmctl-disk-'))
  const path = join(directory, 'worker')
  t.teardown(() => rm(directory, { recursive: true }))
  const clock = new VirtualClock()
  const disk = new FileDisk({ clock, log: new CollectedLog() }, { path })
  await disk.load()
  const save = (State: TaskStatus['State']) =>
    disk.saveTask({
      ...{ version: 1, task: agentTask('t1') },
      status: { Timestamp: '', Message: '', State },
    })
  const stored = async () => (await disk.load()).tasks.map(({ status }) => status.State)
  save('assigned')
  await clock.advance(60)
  save('preparing')
  t.strictSame(await readdir(path), [], 'it waits for more')
  await clock.advance(60)
  while ((await stored()).length === 0) await settle()
  t.strictSame(await stored(), ['preparing'], 'but not again for each')
  save('running')
  await disk.flush()
  t.strictSame(await stored(), ['running'])
  disk.removeTask('t1')
  await clock.advance(100)
  await disk.flush()
  t.strictSame(await readdir(path), [])
})

t.test('which manager is next', async (t) => {
  const at = (...names: string[]) => names.map((name) => ({ nodeId: name, addr: name }))
  const choice = new ManagerChoice({ managers: at('a', 'b', 'c'), asOf: 5 })
  const round = (): string[] => {
    const order: string[] = []
    for (let next = choice.next(); next !== undefined; next = choice.next()) order.push(next.addr)
    return order
  }
  choice.begin()
  t.strictSame(round(), ['a', 'b', 'c'])
  choice.begin(at('a')[0])
  t.strictSame(round(), ['b', 'c'], 'the one that was lost waits for the next round')
  choice.begin()
  choice.redirect(at('c')[0])
  t.strictSame(round(), ['c', 'a', 'b'])
  choice.begin()
  choice.redirect(at('new')[0])
  t.equal(choice.next()?.addr, 'new', 'a leader that nobody told of')
  choice.learn({ managers: [], asOf: 6 })
  choice.learn({ managers: at('y'), asOf: 4 })
  t.equal(choice.known.managers.length, 3, 'neither an empty list nor an older one')
  choice.learn({ managers: at('y'), asOf: 4 }, { isPresent: true })
  t.strictSame(choice.known, { managers: at('y'), asOf: 4 }, 'a restored state is older')
  choice.learn({ managers: at('z'), asOf: 5 })
  choice.begin(at('z')[0])
  t.strictSame(round(), ['z'], 'the only one is tried again')
  t.equal(backoffMs(1, { minMs: 100, maxMs: 8000 }, 0), 50)
  t.equal(backoffMs(30, { minMs: 100, maxMs: 8000 }, 0.999), 7996)
})

t.test('pulls are shared, given up together, and remembered for a moment', async (t) => {
  const clock = new VirtualClock()
  const begun: AbortSignal[] = []
  let finish: (error?: Error) => void = () => {}
  const pulls = new SharedPulls({
    clock,
    pull: (_task, signal) => {
      begun.push(signal)
      return new Promise((resolve, reject) => {
        finish = (error) => (error === undefined ? resolve() : reject(error))
      })
    },
  })
  const never = new AbortController().signal
  const [one, two] = [new AbortController(), new AbortController()]
  const waiting = [pulls.pull(agentTask('a'), one.signal), pulls.pull(agentTask('b'), two.signal)]
  t.equal(begun.length, 1)
  one.abort()
  await t.rejects(waiting[0]!)
  t.notOk(begun[0]?.aborted, 'somebody still waits')
  two.abort()
  await t.rejects(waiting[1]!)
  t.ok(begun[0]?.aborted)
  const again = pulls.pull(agentTask('c'), never)
  finish(new Error('denied'))
  await t.rejects(again, { message: 'denied' })
  await t.rejects(pulls.pull(agentTask('d'), never), { message: 'denied' })
  t.equal(begun.length, 2, 'just now it was denied')
  await clock.advance(6000)
  const later = pulls.pull(agentTask('e'), never)
  finish()
  await later
  t.equal(begun.length, 3)
})

t.test('a clock that is set back by hours makes nothing wait for them', async (t) => {
  const virtual = new VirtualClock()
  let offsetMs = 0
  const clock: Clock = {
    nowMs: () => virtual.nowMs() + offsetMs,
    schedule: (delayMs, run) => virtual.schedule(delayMs, run),
  }
  let pulled = 0
  const pulls = new SharedPulls({
    clock,
    pull: async () => {
      pulled += 1
      throw new Error('denied')
    },
  })
  const never = new AbortController().signal
  await t.rejects(pulls.pull(agentTask('a'), never), { message: 'denied' })
  const patiently = startPatience(clock, never)
  let asked = 0
  const refused = t.rejects(
    patiently(async () => {
      asked += 1
      throw unavailable('no leader')
    }),
    { message: 'no leader' },
  )
  await virtual.advance(1000)
  offsetMs = -3_600_000
  await t.rejects(pulls.pull(agentTask('b'), never), { message: 'denied' })
  t.equal(pulled, 2, 'what was denied before is asked for again')
  await virtual.advance(1000)
  const askedThen = asked
  await virtual.advance(10_000)
  t.equal(asked, askedThen, 'given up')
  await refused
})

t.test('a semaphore and the outbox', async (t) => {
  const semaphore = new Semaphore(2)
  let running = 0
  let most = 0
  await Promise.all(
    Array.from({ length: 6 }, () =>
      semaphore.run(async () => {
        most = Math.max(most, ++running)
        await settle()
        running -= 1
      }),
    ),
  )
  t.equal(most, 2)

  const clock = new VirtualClock()
  const patient = new Semaphore(1, { clock, holdMs: 1000 })
  const begun: string[] = []
  const hang = (name: string) => async () => {
    begun.push(name)
    if (name !== 'quick') await new Promise(() => {})
  }
  void patient.run(hang('first'))
  void patient.run(hang('second'))
  void patient.run(hang('quick'))
  await clock.advance(900)
  t.strictSame(begun, ['first'])
  await clock.advance(2000)
  t.strictSame(
    begun,
    ['first', 'second', 'quick'],
    'one that hangs holds up the others for a while',
  )
  const outbox = new StatusOutbox({ clock })
  const sent: string[][] = []
  const add = (id: string, State: 'preparing' | 'running', urgent: boolean) =>
    outbox.add(id, { Timestamp: '', State, Message: '' }, urgent)
  add('lost', 'running', true)
  outbox.connect((updates) =>
    sent.push(updates.map(({ taskId, status }) => `${taskId} ${status.State}`)),
  )
  add('a', 'preparing', false)
  await clock.advance(50)
  t.strictSame(sent, [])
  add('b', 'running', true)
  await clock.advance(0)
  t.strictSame(sent, [['a preparing', 'b running']])
  add('c', 'preparing', false)
  add('c', 'running', true)
  await clock.advance(0)
  t.strictSame(sent[1], ['c running'])
  add('d', 'preparing', false)
  await clock.advance(STATUS_COALESCE_MS)
  t.strictSame(sent[2], ['d preparing'])
  outbox.disconnect()
})

t.test('as many containers start at a time as the CPUs can carry', async (t) => {
  t.strictSame([0.5, 1, 2, 8, 64].map(engineConcurrency), [2, 2, 3, 9, 16])
})

t.test('log frames: split anywhere, long lines joined, an open line at the end', async (t) => {
  const frame = (stream: number, text: string): Buffer => {
    const header = Buffer.alloc(8)
    header[0] = stream
    header.writeUInt32BE(Buffer.byteLength(text), 4)
    return Buffer.concat([header, Buffer.from(text)])
  }
  const time = '2026-01-01T00:00:00.000000001Z'
  const bytes = Buffer.concat([
    frame(1, `${time} one\n`),
    frame(1, `${time} long`),
    frame(2, `${time} err\n`),
    frame(1, `${time} er\n`),
    frame(1, `${time} open`),
  ])
  for (const size of [1, 7, 1000]) {
    const chunks = async function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
    }
    const lines: string[] = []
    for await (const { stream, timestamp, data } of logMessages(chunks(), false))
      lines.push(`${stream} ${timestamp === time} ${Buffer.from(data)}`)
    t.strictSame(lines, [
      'stdout true one\n',
      'stderr true err\n',
      'stdout true longer\n',
      'stdout true open\n',
    ])
  }
})

t.test('log lines with what the log driver adds', async (t) => {
  const time = '2026-01-01T00:00:00.000000001Z'
  const chunks = async function* () {
    yield Buffer.from(`${time} a=1,b=x+y one two\n${time}  three\n`)
  }
  const messages: object[] = []
  for await (const { data, ...rest } of logMessages(chunks(), true, true))
    messages.push({ ...rest, text: String(Buffer.from(data)) })
  t.strictSame(messages, [
    { timestamp: time, stream: 'stdout', details: 'a=1,b=x+y', text: 'one two\n' },
    { timestamp: time, stream: 'stdout', text: 'three\n' },
  ])
})

t.test('processes of containers, as far as /proc agreed with the Engine', async (t) => {
  const procPath = await mkdtemp(join(tmpdir(), 'proc-'))
  t.teardown(() => rm(procPath, { recursive: true }))
  const process = async (pid: number, state: string, cgroup: string) => {
    await mkdir(join(procPath, String(pid)))
    await writeFile(join(procPath, String(pid), 'stat'), `${pid} (a) b) ${state} 1 1`)
    await writeFile(join(procPath, String(pid), 'cgroup'), cgroup)
  }
  await process(10, 'S', '3:cpu:/\n0::/system.slice/docker-aaa.scope\n')
  await process(11, 'S', '0::/system.slice/cron.service\n')
  await process(12, 'Z', '0::/docker/ccc\n')
  const [live, used, zombie, gone] = [
    { id: 'aaa', pid: 10 },
    { id: 'bbb', pid: 11 },
    { id: 'ccc', pid: 12 },
    { id: 'ddd', pid: 13 },
  ] as const
  const states = (processes: ContainerProcesses) =>
    Promise.all([live, used, zombie, gone].map((one) => processes.stateOf(one)))

  const here = new ContainerProcesses({ isLocal: true, procPath })
  t.strictSame(await states(here), ['alive', 'unknown', 'gone', 'gone'], 'cgroups not yet believed')
  await here.learn([live, gone])
  t.strictSame(await states(here), ['alive', 'gone', 'gone', 'gone'], 'a pid that is used again')
  t.equal(await here.stateOf({ id: 'x', pid: 0 }), 'unknown', 'one that is only listed')
  const other = new ContainerProcesses({ isLocal: true, procPath })
  await other.learn([gone])
  t.strictSame(new Set(await states(other)), new Set(['unknown']), 'another pid namespace')
  const remote = new ContainerProcesses({ isLocal: false, procPath })
  t.strictSame(new Set(await states(remote)), new Set(['unknown']), 'an Engine of another machine')
})
