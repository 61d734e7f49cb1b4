import t from 'tap'
import { execInTask, inspectTask, nodesByName, untilRunning } from '../support/lab/api.ts'
import { formCluster, joinHost } from '../support/lab/cluster.ts'
import { eventually } from '../support/lab/eventually.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'

// Nodes: daemon, init, join, tokens, leave, node verbs, resume, reboot.

const CREATE = ['service', 'create', '--quiet', '--no-resolve-image']

labTest(t, 'nodes join, work, resume and leave', { hosts: 3 }, async (t, lab) => {
  const [h1, h2, h3] = lab.hosts as [LabHost, LabHost, LabHost]
  await formCluster(lab, { managers: 1, workers: 1 })

  await t.test('init starts the daemon when none answers, and passes its flags on', async (t) => {
    const host = ['-H', 'unix:///run/elsewhere/api.sock']
    const flags = ['--data-dir', '/run/other-state', '--run-dir', '/run/other']
    const engine = ['--docker-host', `unix://${h3.dockerSocket}`]
    const run = (args: string[]) =>
      h3.exec(h3.swarmctlCommand[0] as string, [...host, ...args], { timeoutMs: 60_000 })
    const init = await run(['init', ...flags, ...engine])
    t.match(init.stdout, /swarmctl join --token SWMTKN-1-/)
    t.match(init.stderr, /log file \/run\/other\/daemon\.log/)
    t.match((await run(['node', 'ls'])).stdout, /h3 +Ready +Active +Leader/)
    await run(['leave', '--force'])
    const left = async () => (await h3.exec('ls', ['/run/other-state'])).stdout
    t.equal(await left(), 'daemon.lock\n', 'nothing is left of it; its daemon runs on')
    // The brackets keep the pattern from finding its own command line.
    await h3.exec('pkill', ['-f', '[d]aemon --data-dir /run/other-state'])
    await eventually(async () => (await left()) === '', { what: 'its daemon has ended' })
  })

  await h3.spawnDaemon([])

  await t.test(
    'a wrong token and a token of another cluster are refused with one line',
    async (t) => {
      const token = (await h1.swarmctl(['join-token', '-q', 'worker'])).stdout.trim()
      const other = token.replace(/-[0-9a-z]{50}-/, `-${'0'.repeat(50)}-`)
      const wrong = token.replace(/[0-9a-z]{25}$/, '0'.repeat(25))
      for (const [bad, words] of [
        [other, /CA|another/],
        [wrong, /token/],
        ['nonsense', /token/],
      ] as const) {
        const result = await h3.swarmctl(['join', '--token', bad, `${h1.ip}:2377`], {
          check: false,
        })
        t.not(result.code, 0)
        t.match(result.stderr, words)
        t.equal(result.stderr.trim().split('\n').length, 1, result.stderr)
      }
      const unreachable = await h3.swarmctl(['join', '--token', token, `${h1.ip}:2399`], {
        check: false,
      })
      t.equal(unreachable.code, 1)
      t.match(unreachable.stderr, /2399/)
      const info = (await h3.dockerViaSwarmctl(['info', '--format', '{{.Swarm.LocalNodeState}}']))
        .stdout
      t.equal(info.trim(), 'inactive', 'nothing changed')
    },
  )

  await t.test('a rotated token admits nobody, the new one does', async (t) => {
    const old = (await h1.swarmctl(['join-token', '-q', 'worker'])).stdout.trim()
    const rotated = (await h1.swarmctl(['join-token', '-q', '--rotate', 'worker'])).stdout.trim()
    t.not(rotated, old)
    const refused = await h3.swarmctl(['join', '--token', old, `${h1.ip}:2377`], { check: false })
    t.equal(refused.code, 1)
    await joinHost(h3, h1, rotated)
    const nodes = await nodesByName(h1)
    t.strictSame([...nodes.keys()].sort(), ['h1', 'h2', 'h3'])
    t.equal(nodes.get('h1')?.ManagerStatus?.Leader, true)
    t.equal(nodes.get('h3')?.Spec.Role, 'worker')
    for (const [name, node] of nodes)
      t.equal(node.Description.Swarmctl?.DataPlane, 'kernel', `auto on ${name}`)
  })

  await t.test('a worker says that it is no manager', async (t) => {
    const result = await h2.swarmctl(['node', 'ls'], { check: false })
    t.equal(result.code, 1)
    t.match(result.stderr, /not a swarm manager/)
    const second = await h2.swarmctl(['init'], { check: false })
    t.match(second.stderr, /already part of a swarm/)
  })

  await t.test('node verbs: ls, inspect, update, labels, ps', async (t) => {
    await h1.swarmctl(['node', 'update', '--label-add', 'disk=ssd', '--label-add', 'x=1', 'h2'])
    await h1.swarmctl(['node', 'update', '--label-rm', 'x', 'h2'])
    t.strictSame((await nodesByName(h1)).get('h2')?.Spec.Labels, { disk: 'ssd' })
    const inspected = JSON.parse((await h1.swarmctl(['node', 'inspect', 'self'])).stdout)
    t.equal(inspected[0].Description.Hostname, 'h1')
    const ls = (await h1.swarmctl(['node', 'ls'])).stdout
    t.match(ls, /h1 +Ready +Active +Leader/)
    const quiet = (await h1.swarmctl(['node', 'ls', '-q'])).stdout.trim().split('\n')
    t.equal(quiet.length, 3)
    const unknown = await h1.swarmctl(['node', 'inspect', 'nobody'], { check: false })
    t.equal(unknown.code, 1)
    t.match(unknown.stderr, /nobody/)
  })

  await t.test('drain empties a node, pause keeps what it has, active takes again', async (t) => {
    await h1.swarmctl([...CREATE, '--name', 'spread', '--replicas', '3', 'swarmctl-test:1'])
    await h1.swarmctl(['node', 'update', '--availability', 'drain', 'h3'])
    await untilRunning(h1, 'spread', 3, { on: ['h1', 'h2'] })
    await eventually(async () => (await h3.docker(['ps', '-q'])).stdout.trim() === '', {
      what: 'no container on the drained node',
    })
    t.match((await h1.swarmctl(['node', 'ls'])).stdout, /h3 +Ready +Drain/)
    await h1.swarmctl(['node', 'update', '--availability', 'pause', 'h2'])
    await h1.swarmctl(['node', 'update', '--availability', 'active', 'h3'])
    await h1.swarmctl(['service', 'scale', '-q', 'spread=6'])
    const tasks = await untilRunning(h1, 'spread', 6)
    const nodes = await nodesByName(h1)
    const onH2 = tasks.filter((task) => task.NodeID === nodes.get('h2')?.ID).length
    t.ok(onH2 >= 1 && onH2 <= 2, `a paused node keeps its tasks and gets none: ${onH2}`)
    t.match((await h1.swarmctl(['node', 'ps', 'h2'])).stdout, /spread\./)
    await h1.swarmctl(['node', 'update', '--availability', 'active', 'h2'])
    await h1.swarmctl(['service', 'rm', 'spread'])
  })

  await t.test('a daemon killed with -9 resumes; its containers never stopped', async (t) => {
    await h1.swarmctl([...CREATE, '--name', 'steady', '--mode', 'global', 'swarmctl-test:1'])
    const before = await untilRunning(h1, 'steady', 3)
    const started = async (task: (typeof before)[0]) =>
      (await inspectTask(lab.hosts, task)).container.State.StartedAt
    const times = await Promise.all(before.map(started))
    await h2.kill9Daemon()
    await h2.spawnDaemon(['--data-path-port', '5000'])
    const format = '{{.Swarm.LocalNodeState}}: {{.Swarm.Error}}'
    const said = await eventually(
      async () => {
        const { stdout } = await h2.dockerViaSwarmctl(['info', '--format', format])
        return stdout.startsWith('error: ') && stdout
      },
      { what: 'a daemon with another port takes no part' },
    )
    t.match(said, /this daemon has 5000: start it with --data-path-port 4789/)
    await h2.stopDaemon()
    await h2.spawnDaemon([])
    await eventually(async () => (await nodesByName(h1)).get('h2')?.Status.State === 'ready', {
      what: 'h2 ready again',
    })
    await h1.kill9Daemon()
    await h1.spawnDaemon([])
    const after = await untilRunning(h1, 'steady', 3)
    t.strictSame(after.map((task) => task.ID).sort(), before.map((task) => task.ID).sort())
    t.strictSame(await Promise.all(before.map(started)), times)
  })

  await t.test('after a reboot the node comes back by itself', async (t) => {
    await h2.reboot()
    await h2.spawnDaemon([])
    await eventually(async () => (await nodesByName(h1)).get('h2')?.Status.State === 'ready', {
      what: 'h2 ready after the reboot',
    })
    // Until the node has told, the manager still shows what ran before.
    const answer = await eventually(
      async () => {
        const tasks = await untilRunning(h1, 'steady', 3)
        const nodes = await nodesByName(h1)
        const onH2 = tasks.find((task) => task.NodeID === nodes.get('h2')?.ID)
        return onH2 && (await execInTask(lab.hosts, onH2, ['hostname'])).stdout
      },
      { what: "the rebooted node's task", timeoutMs: 60_000 },
    )
    t.match(answer, /\S/, 'its task runs again')
  })

  await t.test('leave takes everything of the node away', async (t) => {
    const network = ['network', 'create', 'back']
    await h1.swarmctl(network)
    await h1.swarmctl([
      ...CREATE,
      ...['--name', 'wide', '--mode', 'global', '--network', 'back', '--publish', '8088:80'],
      'swarmctl-test:1',
    ])
    await untilRunning(h1, 'wide', 3)
    t.match((await h3.exec('ip', ['-o', 'link'])).stdout, /sw-/, 'there was something to remove')
    await h3.swarmctl(['leave'], { timeoutMs: 60_000 })
    t.equal((await h3.docker(['ps', '-aq'])).stdout.trim(), '')
    t.notMatch((await h3.docker(['network', 'ls'])).stdout, /swarmctl/)
    t.notMatch((await h3.exec('ip', ['-o', 'link'])).stdout, /sw-/)
    t.notMatch((await h3.exec('ip', ['rule'])).stdout, /lookup 9\d\d/)
    t.notMatch((await h3.exec('nft', ['list', 'tables'])).stdout, /swarmctl/)
    t.notMatch((await h3.exec('cat', ['/proc/mounts'])).stdout, /swarmctl-secrets/)
    t.notMatch((await h3.exec('iptables-save', [])).stdout, /0x40000000/)
    await eventually(async () => (await nodesByName(h1)).get('h3')?.Status.State === 'down', {
      what: 'h3 down',
    })
    const refused = await h1.swarmctl(['node', 'rm', 'h2'], { check: false })
    t.equal(refused.code, 1, 'a node that is up is not removed without --force')
    await h1.swarmctl(['node', 'rm', 'h3'])
    t.notOk((await nodesByName(h1)).has('h3'))
    const last = await h1.swarmctl(['leave'], { check: false })
    t.equal(last.code, 1)
    t.match(last.stderr, /--force/)
  })

  await t.test('node rm --force makes the node forget the cluster', async (t) => {
    await h1.swarmctl(['node', 'rm', '--force', 'h2'])
    await eventually(
      async () =>
        (
          await h2.dockerViaSwarmctl(['info', '--format', '{{.Swarm.LocalNodeState}}'])
        ).stdout.trim() === 'inactive',
      { what: 'h2 inactive' },
    )
    t.equal((await h2.docker(['ps', '-aq'])).stdout.trim(), '')
  })

  await t.test("an Engine in Docker's own swarm is refused with what to do", async (t) => {
    await h3.docker(['swarm', 'init', '--advertise-addr', h3.ip])
    const token = (await h1.swarmctl(['join-token', '-q', 'worker'])).stdout.trim()
    for (const args of [['init'], ['join', '--token', token, `${h1.ip}:2377`]]) {
      const result = await h3.swarmctl(args, { check: false })
      t.equal(result.code, 1)
      t.match(result.stderr, /docker swarm leave/)
    }
  })
})
