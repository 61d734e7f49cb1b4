import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { nodesByName, tasksOf, untilRunning } from '../support/lab/api.ts'
import { formCluster } from '../support/lab/cluster.ts'
import { eventually } from '../support/lab/eventually.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'

// The CLI: what reaches into tasks on other nodes and tells why something does not run.

const CREATE = [
  ...['service', 'create', '--quiet', '--no-resolve-image', '--update-monitor', '1s'],
  ...['--restart-delay', '200ms', '--stop-grace-period', '1s'],
]
const IMAGE = 'swarmctl-test:1'
const BYTES = 3 << 20

const digest = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex')

labTest(t, 'cli tools', { hosts: 3 }, async (t, lab) => {
  const [h1, h2, h3] = lab.hosts as [LabHost, LabHost, LabHost]
  await formCluster(lab, { managers: 2 })
  const folder = mkdtempSync(join(tmpdir(), 'swarmctl-cli-tools-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  await h1.swarmctl([...CREATE, '--name', 'web', '--replicas', '3', IMAGE])
  const tasks = await untilRunning(h1, 'web', 3)
  const nodeOf = new Map(tasks.map((task) => [task.Slot, task.NodeID]))
  t.equal(new Set(nodeOf.values()).size, 3, 'a task on each node')
  const nodes = await nodesByName(h1)
  const slotAt = (host: LabHost) =>
    [...nodeOf].find(([, node]) => node === nodes.get(host.name)?.ID)?.[0]
  const far = `web.${slotAt(h3)}`
  // Whoever leads, one of these goes through the other manager.
  const managers = [h1, h2]

  await t.test('exec', async (t) => {
    const input = randomBytes(BYTES)
    for (const manager of managers) {
      for (const slot of [1, 2, 3]) {
        const task = tasks.find(({ Slot }) => Slot === slot)!
        const ran = await manager.swarmctl(['exec', `web.${slot}`, 'hostname'])
        t.equal(ran.stdout.trim(), task.Status.ContainerStatus?.ContainerID.slice(0, 12))
      }
      const sum = await manager.swarmctl(['exec', '-i', far, 'sha256sum'], { input })
      t.equal(sum.stdout.split(' ')[0], digest(input), 'input arrives whole, and its end')
      const out = await manager.swarmctl(
        ['exec', far, 'sh', '-c', 'seq 1 200000; echo e >&2; exit 3'],
        {
          check: false,
        },
      )
      t.equal(out.code, 3)
      t.equal(out.stdout.length, 1_288_895)
      t.equal(out.stderr, 'e\n')
    }
    const flags = ['-e', 'A=1', '-u', '7:8', '-w', '/tmp']
    const words = ['sh', '-c', 'echo $A $(id -u):$(id -g) $PWD']
    t.equal((await h1.swarmctl(['exec', ...flags, far, ...words])).stdout, '1 7:8 /tmp\n')
    const none = await h1.swarmctl(['exec', far, 'nope'], { check: false })
    // Docker says the one or the other, by its version.
    t.ok([126, 127].includes(none.code), `exit code ${none.code}`)
    const early = await h1.swarmctl(['exec', '-i', far, 'head', '-c', '5'], {
      input: `first${'x'.repeat(BYTES)}`,
    })
    t.equal(early.stdout, 'first', 'a command may end before its input does')
    await h1.swarmctl(['exec', '-d', far, 'sh', '-c', 'echo later > /tmp/later'])
    await eventually(
      async () =>
        (await h1.swarmctl(['exec', far, 'cat', '/tmp/later'], { check: false })).code === 0,
      { what: 'a command in the background' },
    )
  })

  await t.test('exec with a terminal', async (t) => {
    const [file, ...before] = h1.swarmctlCommand as [string, ...string[]]
    const line = [file, ...before, '-H', `unix://${h1.swarmctlSocket}`, 'exec', '-it', far]
    const command = `stty rows 33 cols 99; ${line.join(' ')} sh -c 'tty; sleep 1; stty size; read x; echo got $x; exit 9'`
    const ran = await h1.exec('script', ['-qec', command, '/dev/null'], {
      input: 'typed\n',
      check: false,
    })
    t.equal(ran.code, 9, ran.stdout)
    t.match(ran.stdout, /\/dev\/pts\/\d+\r\n/)
    t.match(ran.stdout, /33 99\r\n/, 'the size is passed on')
    t.match(ran.stdout, /got typed\r\n/)
  })

  await t.test('cp', async (t) => {
    const source = join(folder, 'source')
    mkdirSync(join(source, 'deep'), { recursive: true })
    const data = randomBytes(BYTES)
    writeFileSync(join(source, 'data'), data)
    writeFileSync(join(source, 'deep', 'small'), 'small')
    for (const [at, manager] of managers.entries()) {
      await manager.swarmctl(['cp', source, `${far}:/tmp/copy${at}`])
      const sum = await h1.swarmctl(['exec', far, 'sha256sum', `/tmp/copy${at}/data`])
      t.equal(sum.stdout.split(' ')[0], digest(data))
      const back = join(folder, `back${at}`)
      await manager.swarmctl(['cp', `${far}:/tmp/copy${at}`, back])
      t.equal(digest(readFileSync(join(back, 'data'))), digest(data))
      t.equal(readFileSync(join(back, 'deep', 'small'), 'utf8'), 'small')
    }
    await h1.swarmctl(['cp', `web:/etc/.`, join(folder, 'etc')])
    t.match(readFileSync(join(folder, 'etc', 'hostname'), 'utf8'), /^[0-9a-f]{12}\n$/)
    const none = await h1.swarmctl(['cp', `${far}:/nope`, folder], { check: false })
    t.match(none, { code: 1, stderr: /there is no \/nope/ })
  })

  await t.test('top', async (t) => {
    await h1.swarmctl(['exec', '-d', far, 'sh', '-c', 'while test ! -e /tmp/stop; do :; done'])
    const look = async (manager: LabHost, by: string) =>
      (await manager.swarmctl(['top', '--no-stream', '--by', by, '--format', 'json'])).stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, string>)
    const used = await look(h2, 'task')
    t.strictSame(used.map(({ Name }) => Name).sort(), ['web.1', 'web.2', 'web.3'])
    t.equal(used[0]?.Name, far, 'the busy one first')
    t.ok(Number.parseFloat(used[0]?.CPUPerc ?? '') > 0, used[0]?.CPUPerc ?? '')
    t.match(used[0]?.MemUsage, /^[\d.]+[KM]iB \/ /)
    t.match(await look(h1, 'service'), [{ Name: 'web', Tasks: '3' }])
    t.match(
      (await look(h1, 'node')).map(({ Name }) => Name).sort(),
      [h1.name, h2.name, h3.name].sort(),
    )
    await h1.swarmctl(['exec', far, 'touch', '/tmp/stop'])
  })

  await t.test('events', async (t) => {
    const format = '{{.Type}} {{.Action}} {{.Actor.Attributes.name}}'
    const flags = ['--filter', 'type=config', '--format', format]
    const watching = await Promise.all(
      managers.map((host) => host.spawnSwarmctl(['events', ...flags])),
    )
    await eventually(
      async () => {
        await h1.swarmctl(['config', 'create', 'seen', '-'], { input: 'x' })
        await h1.swarmctl(['config', 'rm', 'seen'])
        const seen = watching.map(({ logFile }) => readFileSync(logFile, 'utf8'))
        return seen.every((text) => /^config create seen\nconfig remove seen$/m.test(text))
      },
      { what: 'both managers tell of a config', timeoutMs: 30_000 },
    )
    for (const one of watching) await one.stop()
    const past = await h1.swarmctl([
      'events',
      '--since',
      '10m',
      '--until',
      '0s',
      '-f',
      'type=container',
    ])
    t.match(past.stdout, /^\S+Z container start [0-9a-f]{64} \(.*com\.docker\.swarm\.task\.id=/m)
  })

  await t.test('why', async (t) => {
    await h1.swarmctl([
      ...CREATE,
      '-d',
      '--name',
      'bad',
      '--constraint',
      `node.hostname==${h3.name}`,
      'swarmctl-test:bad',
    ])
    await h1.swarmctl([...CREATE, '-d', '--name', 'large', '--reserve-memory', '900g', IMAGE])
    await h1.swarmctl([
      ...CREATE,
      '-d',
      '--name',
      'well',
      '--replicas',
      '1',
      'swarmctl-test:health',
    ])
    await eventually(
      async () =>
        (await tasksOf(h1, 'bad')).filter(({ Status }) => Status.State === 'failed').length >= 2,
      { what: 'two failures', timeoutMs: 30_000 },
    )
    await untilRunning(h1, 'well', 1)
    const why = async (ref: string) => (await h2.swarmctl(['why', ref])).stdout
    const bad = await why('bad')
    t.match(bad, /service bad: [01] of 1 tasks run, not as it should be/)
    t.match(bad, /bad\.1: ended \d+ times: exit code 1/)
    t.match(bad, /Last lines of bad\.1\.\S+ on \S+\n {2}failing version=bad/)
    t.match(bad, new RegExp(`${h1.name} .* constraint node.hostname==${h3.name} not met`))
    const large = await why('large')
    t.match(large, /large\.1: waits for .* no suitable node .*insufficient memory/)
    for (const host of lab.hosts)
      t.match(large, new RegExp(`${host.name} +0 .*insufficient memory`))
    const well = await why('well')
    t.match(well, /service well: 1 of 1 tasks run, as it should be/)
    t.match(well, /well\.1 on \S+: healthy/)
    t.match(await why('web'), /3 of 3 tasks run, as it should be/)
    t.match(await why(h3.name), /^node \S+: ready, active, .*as it should be/)
    await h1.swarmctl(['node', 'update', '--availability', 'drain', h3.name])
    t.match(await why(h3.name), /availability is drain/)
  })
})
