import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import type { ContainerCall, ContainerExchange } from '../../src/api/container-call.ts'
import { Client } from '../../src/cli/client.ts'
import { AgentCalls } from '../../src/manager/dispatcher/agent-calls.ts'
import { ContainerCalls } from '../../src/worker/docker/container-calls.ts'
import { UsageCalls } from '../../src/worker/docker/usage-calls.ts'
import { taskUsage } from '../../src/worker/node-usage.ts'
import { asNobody } from '../support/as-nobody.ts'
import { type RunOptions, runCli } from '../support/cli/run-cli.ts'
import { ApiNode } from '../support/http/api-node.ts'
import { ContainerEngine } from '../support/http/container-engine.ts'
import { NODE_ID } from '../support/http/memory-swarm.ts'
import { sampleTask } from '../support/objects.ts'
import { MemoryStream } from '../support/worker/memory-stream.ts'

const TASK_ID = 'task1'.padEnd(25, 'a')

/** A node's socket, and behind it an agent's calls to an Engine with the container of `web.1`. */
const start = async (t: Test) => {
  const node = await ApiNode.start()
  const folder = mkdtempSync(join(tmpdir(), 'swarmctl-exec-'))
  const engine = new ContainerEngine(folder)
  await engine.start()
  t.teardown(async () => {
    await node.stop()
    await engine.stop()
    rmSync(folder, { recursive: true })
  })
  const run = (line: string | string[], options: RunOptions = {}) =>
    runCli(['-H', node.host, ...(typeof line === 'string' ? line.split(' ') : line)], options)
  const made = await run('service create -d --no-resolve-image --replicas 2 --name web nginx:1')
  await node.swarm.store.update((tx) => {
    const base = sampleTask('x', made.out.trim())
    const Status = {
      Timestamp: new Date().toISOString(),
      State: 'running',
      Message: 'started',
    } as const
    tx.put('task', { ...base, ID: TASK_ID, NodeID: NODE_ID, Status })
    tx.put('task', {
      ...base,
      ID: 'task2'.padEnd(25, 'b'),
      Slot: 2,
      Status: { ...Status, State: 'pending' },
    })
  })
  const address = () => ({ socketPath: engine.socketPath })
  const containerOf = (id: string) => (id === TASK_ID ? engine.containerId : undefined)
  const calls = new ContainerCalls({ address, containerOf })
  const usage = new UsageCalls({
    engine: { request: async () => engine.stats },
    nodeId: NODE_ID,
    containers: () => [{ taskId: TASK_ID, id: engine.containerId }],
    readHost: async () => ({
      stat: 'cpu  10 0 20 70 5 1 2 3 0 0\ncpu0 1 1 1 1\ncpu1 1 1 1 1\n',
      memory: 'MemTotal: 1000 kB\nMemAvailable: 400 kB\n',
      load: '0.5 0.25 0.1 1/2 3',
    }),
    uptimeMs: () => 1000,
  })
  const openStream = (method: string, body: unknown) => {
    const [near, far] = MemoryStream.pair()
    const { signal } = new AbortController()
    const served =
      method === 'agent.usage' ? usage.serve(body, far) : calls.serve(body, far, { signal })
    served.then(
      () => far.end(),
      (error: Error) => far.abort(error),
    )
    return near
  }
  const agents = new AgentCalls({
    store: node.swarm.store,
    connections: () => [[NODE_ID, { openStream }]],
    connectionOf: () => ({ openStream }),
  })
  node.swarm.container = (taskId: string, call: ContainerCall): ContainerExchange =>
    agents.container(taskId, call)
  node.swarm.usages.push(await agents.usage(new AbortController().signal))
  return { node, engine, run, agents }
}

t.test('exec runs a command in a task, its streams and exit code passed through', async (t) => {
  const { run, engine } = await start(t)
  t.strictSame(await run('exec web both'), { code: 0, out: 'out\n', err: 'err\n' })
  t.equal((await run('exec web exit 42')).code, 42)
  t.equal((await run(`exec ${TASK_ID} exit 7`)).code, 7)
  t.equal((await run('exec -i web.1 cat', { stdin: 'typed\n' })).out, 'typed\n')
  const flags = '-e A=1 -e HERE -u me:us -w /srv --privileged --detach-keys ctrl-x'
  const ran = await run(`exec ${flags} web env`, { env: { HERE: 'there' } })
  t.match(JSON.parse(ran.out), {
    Cmd: ['env'],
    Env: ['A=1', 'HERE=there'],
    User: 'me:us',
    WorkingDir: '/srv',
    Privileged: true,
    DetachKeys: 'ctrl-x',
    AttachStdin: false,
    Tty: false,
  })
  t.equal((await run('exec web echo-flag -x --yes')).code, 0, 'flags after the command are its own')
  t.strictSame([...engine.execs.values()].at(-1)?.config.Cmd, ['echo-flag', '-x', '--yes'])
})

t.test('exec with a terminal', async (t) => {
  const { run, engine } = await start(t)
  const raw: boolean[] = []
  const ran = await run('exec -it web echo', {
    stdin: 'hello q',
    isTerminal: true,
    onRaw: (isRaw) => raw.push(isRaw),
    onResize: (tell) => tell(),
  })
  t.equal(ran.code, 3)
  t.strictSame(raw, [true, false], 'the terminal is given back')
  t.match([...engine.execs.values()][0]?.config, { Tty: true, ConsoleSize: [24, 80] })
  t.ok(engine.resizes.includes('?h=24&w=80'))
  t.match(await run('exec -it web sh'), { code: 1, err: /input device is not a TTY/ })
})

t.test('exec that can not be', async (t) => {
  const { run, node, engine } = await start(t)
  t.match(await run('exec nope ls'), { code: 1, err: 'swarmctl: no such service or task: nope\n' })
  t.match(await run('exec web.2 ls'), { code: 1, err: /web.2 has no running task: "swarmctl why/ })
  t.match(await run('exec web'), { code: 1, err: /missing required argument 'command'/ })
  t.match(await run('exec web cut'), { code: 0, err: 'Detached: the command goes on in web\n' })
  const id = (await run('exec -d web exit 1')).code
  t.equal(id, 0, 'in the background nobody waits')
  const made = await node.call('POST', `/tasks/${TASK_ID}/exec`, {
    body: { Cmd: ['x'], User: 'of-another-container' },
  })
  const path = `/tasks/${TASK_ID}/exec/${made.body.Id}`
  t.match(await node.call('GET', `${path}/json`), { status: 404 }, 'only its own container')
  t.match(await node.call('POST', `${path}/start`), { status: 404 })
  t.match(await node.call('GET', `/tasks/${TASK_ID}/exec/..%2f..%2finfo/json`), { status: 400 })
  t.match(await node.call('POST', `/tasks/${TASK_ID}/exec`, { body: {} }), {
    status: 400,
    body: { message: 'No exec command specified' },
  })
  t.match(await node.call('GET', `/tasks/${'task2'.padEnd(25, 'b')}/container`), { status: 503 })
  t.match((await node.call('GET', `/tasks/${TASK_ID}/container`)).body, engine.inspected)
})

t.test('cp copies files and folders both ways', async (t) => {
  const { run, engine } = await start(t)
  const here = t.testdir({ file: 'text', folder: { a: 'A', '.hidden': 'H', deep: { b: 'B' } } })
  const there = (path: string) => readFileSync(join(engine.root, path), 'utf8')
  const at = (path: string) => readFileSync(join(here, path), 'utf8')
  t.strictSame(await run(`cp ${here}/file web:/tmp`), { code: 0, out: '', err: '' })
  t.equal(there('tmp/file'), 'text')
  await run(`cp ${here}/file web:/tmp/other`)
  t.equal(there('tmp/other'), 'text')
  chmodSync(join(here, 'folder/a'), 0o666)
  await run(`cp ${here}/folder web:/tmp`)
  t.equal(there('tmp/folder/deep/b'), 'B')
  t.equal(statSync(join(engine.root, 'tmp/folder/a')).mode % 0o1000, 0o666, 'whatever the umask')
  await run(`cp ${here}/folder web:/tmp/renamed`)
  t.equal(there('tmp/renamed/.hidden'), 'H')
  mkdirSync(join(engine.root, 'into'))
  await run(`cp ${here}/folder/. web.1:/into`)
  t.strictSame(readdirSync(join(engine.root, 'into')).sort(), ['.hidden', 'a', 'deep'])

  await run(`cp web:/tmp/file ${here}/back`)
  t.equal(at('back'), 'text')
  mkdirSync(join(here, 'dir'))
  await run(`cp web:/tmp/folder ${here}/dir`)
  t.equal(at('dir/folder/.hidden'), 'H')
  await run(`cp web:/tmp/folder ${here}/fresh`)
  t.equal(at('fresh/deep/b'), 'B')
  symlinkSync('/proc/mounts', join(engine.root, 'tmp/folder/mtab'))
  await run(`cp web:/tmp/folder/. ${here}/contents`)
  t.equal(readlinkSync(join(here, 'contents/mtab')), '/proc/mounts', 'a link stays one')
  t.equal(at('contents/deep/b'), 'B')
  t.equal(statSync(join(here, 'contents/a')).mode % 0o1000, 0o666)

  mkdirSync(join(engine.root, 'twin/twin'), { recursive: true })
  writeFileSync(join(engine.root, 'twin/twin/x'), 'X')
  await run(`cp web:/twin/. ${here}/twins`)
  t.equal(at('twins/twin/x'), 'X', 'a folder in a folder of its name stays one')
  await run(`cp web:/ ${here}/all`)
  t.equal(at('all/twin/twin/x'), 'X', 'all of a container in a folder of its own')
  mkdirSync(join(here, 'dir2'))
  await run(`cp web:/ ${here}/dir2`)
  t.equal(at('dir2/twin/twin/x'), 'X')

  const chunks: Uint8Array[] = []
  await run('cp web:/tmp/file -', { onBytes: (chunk) => chunks.push(chunk) })
  const archive = Buffer.concat(chunks)
  t.match(archive.subarray(0, 100).toString(), /^file/)
  mkdirSync(join(engine.root, 'from-stdin'))
  await run('cp - web:/from-stdin', { stdin: archive.toString('latin1') })
  t.equal(there('from-stdin/file'), 'text')
})

t.test('cp that can not be', async (t) => {
  const { run } = await start(t)
  const here = t.testdir({ file: 'text', folder: {} })
  writeFileSync(join(here, 'plain'), '')
  const cases: [line: string, err: RegExp][] = [
    [`cp ${here}/file ${here}/x`, /one side must be a task/],
    ['cp web:/a web:/b', /between tasks is not supported/],
    [`cp web:/nope ${here}`, /there is no \/nope in web/],
    [`cp ${here}/nope web:/tmp`, /can't read .*nope/],
    [`cp ${here}/file web:/no/where`, /no such folder in the container: \/no/],
    [`cp web:/tmp ${here}/plain`, /can't copy a folder over the file/],
    [`cp web:/tmp ${here}/no/where`, /no such folder/],
    [`cp ${here}/file web.2:/tmp`, /no running task/],
  ]
  for (const [line, err] of cases) t.match(await run(line), { code: 1, err }, line)
})

t.test('cp of what can not be read says which file, not that the daemon is gone', async (t) => {
  const { node, engine, run } = await start(t)
  const here = mkdtempSync(join(tmpdir(), 'swarmctl-copy-'))
  t.teardown(() => rmSync(here, { recursive: true }))
  const folder = join(here, 'site/private')
  mkdirSync(folder, { recursive: true })
  // Whoever it is may talk to both.
  for (const { socketPath } of [node, engine]) {
    chmodSync(dirname(socketPath), 0o755)
    chmodSync(socketPath, 0o777)
  }
  chmodSync(here, 0o755)
  const copied = await asNobody(folder, () => run(`cp ${here}/site web:/tmp`))
  t.match(copied, { code: 1, err: /^swarmctl: can't read \S*private[^:]*: EACCES: [^\n]*\n$/ })
  t.notMatch(copied.err, /no swarmctl daemon/)
})

t.test('an upload whose source breaks says what is wrong with it', async (t) => {
  const { node } = await start(t)
  const upload = (stream: Readable) => {
    const path = `/tasks/${TASK_ID}/archive?path=/tmp`
    return new Client(node.host).upload({ method: 'PUT', path, stream, source: 'standard input' })
  }
  const breaking = (error: Error) =>
    new Readable({
      read() {
        this.push('some')
        setImmediate(() => this.destroy(error))
      },
    })
  const gone = Object.assign(new Error('ENOENT: no such file'), { path: '/srv/a.tmp' })
  const code = 'INVALID_ARGUMENT'
  await t.rejects(upload(breaking(gone)), {
    ...{ code, message: "can't read /srv/a.tmp: ENOENT: no such file" },
  })
  await t.rejects(upload(breaking(new Error('Size mismatch'))), {
    ...{ code, message: "can't read standard input: Size mismatch" },
  })
})

t.test('cp writes nothing beside the folder that it was told', async (t) => {
  const { run, engine } = await start(t)
  const here = t.testdir({ outside: { keys: 'mine' }, target: {} })
  const outside = join(here, 'outside')
  mkdirSync(join(engine.root, 'bad/one'), { recursive: true })
  symlinkSync(outside, join(engine.root, 'bad/a'))
  symlinkSync('/etc/hostname', join(engine.root, 'bad/one/keys'))
  engine.nameInArchive = (name) => name.replace('one', 'a')
  const both = await run(`cp web:/bad ${here}/target`)
  t.match(both, { code: 1, err: /^swarmctl: [^\n]+\n$/ })
  t.equal(readFileSync(join(outside, 'keys'), 'utf8'), 'mine', 'through a link of the archive')

  rmSync(join(engine.root, 'bad/a'))
  rmSync(join(here, 'target'), { recursive: true })
  mkdirSync(join(here, 'target/bad'), { recursive: true })
  symlinkSync(outside, join(here, 'target/bad/a'))
  engine.nameInArchive = (name) => name.replace('bad/one/', 'bad/a/')
  const here2 = await run(`cp web:/bad ${here}/target`)
  t.match(here2, { code: 1, err: /keys is not copied: .*bad\/a is a symbolic link\n$/ })
  t.equal(readFileSync(join(outside, 'keys'), 'utf8'), 'mine', 'through a link that was here')
})

t.test('usage of every node, from the kernel and the Engine', async (t) => {
  const { node, engine, agents } = await start(t)
  const silent = { openStream: () => MemoryStream.pair()[0] }
  engine.stats = {
    cpu_stats: { cpu_usage: { total_usage: 5e9 } },
    memory_stats: { usage: 1000, limit: 4000, stats: { inactive_file: 300 } },
    networks: { eth0: { rx_bytes: 1, tx_bytes: 2 }, eth1: { rx_bytes: 10, tx_bytes: 20 } },
    blkio_stats: {
      io_service_bytes_recursive: [
        { op: 'read', value: 7 },
        { op: 'Write', value: 8 },
      ],
    },
    pids_stats: { current: 3 },
  }
  const used = await agents.usage(new AbortController().signal)
  t.strictSame(used.Nodes, [
    {
      NodeID: NODE_ID,
      AtMs: 1000,
      CPUs: 2,
      CPUTotal: (10 + 20 + 1 + 2 + 3) * 1e7,
      Memory: 600 * 1024,
      MemoryTotal: 1000 * 1024,
      Load: [0.5, 0.25, 0.1],
      Error: '',
      Tasks: [
        {
          TaskID: TASK_ID,
          CPUTotal: 5e9,
          Memory: 700,
          MemoryLimit: 4000,
          NetworkReceived: 11,
          NetworkSent: 22,
          DiskRead: 7,
          DiskWritten: 8,
          PIDs: 3,
        },
      ],
    },
  ])
  t.match((await node.call('GET', '/swarmctl/usage')).body, { Nodes: [{ NodeID: NODE_ID }] })
  const limit = new AbortController()
  const waiting = new AgentCalls({
    store: node.swarm.store,
    connections: () => [['quiet', silent]],
    connectionOf: () => silent,
  }).usage(limit.signal)
  limit.abort()
  t.match(await waiting, {
    Nodes: [{ NodeID: 'quiet', Error: /did not answer in time/, Tasks: [] }],
  })
  t.match(taskUsage('x', {}), { CPUTotal: 0, Memory: 0, PIDs: 0 }, 'a container that just ended')
})
