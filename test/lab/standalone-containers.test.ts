import t from 'tap'
import type { Network } from '../../src/api/network.ts'
import type { Task } from '../../src/api/task.ts'
import { execInTask, untilRunning } from '../support/lab/api.ts'
import { formCluster } from '../support/lab/cluster.ts'
import type { CommandOptions } from '../support/lab/command.ts'
import { eventually } from '../support/lab/eventually.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'
import { untilAnswers } from '../support/lab/waits.ts'

// `docker run --network` and `network connect` on an attachable overlay give the container an address of the cluster's,
// names and reach. A manager and a worker, on both data planes, by the unmodified docker CLI.

const IMAGE = 'swarmctl-test:1'
const TIMEOUT_MS = 120_000

const docker = async (
  host: LabHost,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> =>
  (await host.dockerViaSwarmctl(args, { timeoutMs: TIMEOUT_MS, ...options })).stdout.trim()

/** What the CLI says to a command that fails. */
const refusal = async (host: LabHost, args: readonly string[]): Promise<string> => {
  const { code, stderr } = await host.dockerViaSwarmctl(args, {
    timeoutMs: TIMEOUT_MS,
    check: false,
  })
  return `${code}: ${stderr.trim()}`
}

/** Whether the container gets an answer of the server at a name or address; the answerer's hostname. */
const answererOf = async (host: LabHost, container: string, name: string): Promise<string> => {
  const curl = ['exec', container, 'curl', '-s', '-m', '3', `http://${name}/`]
  const { stdout } = await host.dockerViaSwarmctl(curl, { timeoutMs: TIMEOUT_MS, check: false })
  return stdout === '' ? '' : (JSON.parse(stdout) as { host: string }).host
}

/** The same, past our daemon. */
const answererByEngine = async (host: LabHost, container: string, name: string): Promise<string> =>
  (await host.docker(['exec', container, 'curl', '-s', '-m', '3', `http://${name}/`])).stdout

/** The rules of both tables in the container's network namespace. */
const rulesIn = async (host: LabHost, container: string): Promise<string> => {
  const pid = (await host.docker(['inspect', '--format', '{{.State.Pid}}', container])).stdout
  const show = 'iptables -t nat -S && iptables -S'
  return (await host.exec('nsenter', ['-t', pid.trim(), '-n', 'sh', '-c', show])).stdout
}

const reaches = (host: LabHost, container: string, name: string): Promise<unknown> =>
  eventually(async () => (await answererOf(host, container, name)) !== '', {
    what: `${container} on ${host.name} reaches ${name}`,
  })

const addressOf = (host: LabHost, container: string, network: string): Promise<string> =>
  docker(host, [
    ...['inspect', container, '--format'],
    `{{with index .NetworkSettings.Networks "${network}"}}{{.IPAddress}}{{end}}`,
  ])

/** Names of the containers that hold an attachment, in order. */
const attached = async (manager: LabHost): Promise<string[]> => {
  const filters = encodeURIComponent(JSON.stringify({ runtime: ['attachment'] }))
  const tasks = (await manager.apiRequest(`/tasks?filters=${filters}`)).json() as Task[]
  return tasks.map(({ Swarmctl }) => Swarmctl.ContainerName ?? '').sort()
}

const untilAttached = (manager: LabHost, wanted: string[]): Promise<unknown> =>
  eventually(async () => (await attached(manager)).join() === wanted.join(), {
    what: `attachments of ${wanted.join() || 'nobody'}`,
  })

for (const plane of ['kernel', 'proxy'] as const) {
  labTest(t, `containers that are no tasks, ${plane} plane`, { hosts: 2 }, async (t, lab) => {
    const [h1, h2] = lab.hosts as [LabHost, LabHost]
    const daemonArgs = ['--data-plane', plane]
    await formCluster(lab, { managers: 1, daemonArgs })
    const create = ['network', 'create', '--driver', 'overlay']
    await docker(h1, [...create, '--attachable', 'front'])
    await docker(h1, [...create, 'closed'])
    const service = ['service', 'create', '--detach', '--no-resolve-image', '--network', 'front']
    await docker(h1, [...service, '--name', 'web', '--replicas', '2', IMAGE])
    const tasks = await untilRunning(h1, 'web', 2)
    const network = (await h1.apiRequest('/networks/front')).json() as {
      IPAM: { Config: Network['IPAMOptions']['Configs'] }
    }
    const subnet = network.IPAM.Config[0]!.Subnet
    const address = (block: number, last: number) =>
      subnet.replace(/\.\d+\.\d+\/\d+$/, `.${block}.${last}`)

    await t.test('run: addresses, names and reach, both ways', async (t) => {
      const alias = ['--network-alias', 'me']
      await docker(h1, ['run', '-d', '--name', 'alone', '--network', 'front', ...alias, IMAGE])
      const ip = ['--ip', address(9, 77)]
      await docker(h2, ['run', '-d', '--name', 'far', '--network', 'front', ...ip, IMAGE])
      t.equal(await addressOf(h2, 'far', 'front'), address(9, 77), 'of another block: routed')
      const own = await addressOf(h1, 'alone', 'front')
      t.ok(own.startsWith(address(1, 0).slice(0, -1)), `${own} is of the node's block`)
      await docker(h2, [
        'run',
        '-d',
        '--name',
        'low',
        '--network',
        'front',
        '--ip',
        address(0, 5),
        IMAGE,
      ])
      await untilAttached(h1, ['alone', 'far', 'low'])
      await reaches(h1, 'alone', 'low')
      await reaches(h2, 'far', address(0, 5))
      await reaches(h2, 'low', 'web')
      await reaches(h2, 'low', 'alone')
      await docker(h2, ['rm', '-f', 'low'])
      await untilAttached(h1, ['alone', 'far'])
      t.equal(await answererOf(h1, 'alone', address(0, 5)), '', 'nobody has it, as before')
      const id = await docker(h1, ['inspect', 'alone', '--format', '{{.Id}}'])
      for (const name of ['far', address(9, 77), 'web', 'tasks.web', 'me', 'far.front'])
        await reaches(h1, 'alone', name)
      for (const name of ['alone', own, 'web', 'me', id.slice(0, 12)])
        await reaches(h2, 'far', name)
      for (const task of tasks)
        for (const name of ['alone', 'far', 'me']) {
          const curl = ['curl', '-s', '-m', '5', `http://${name}/`]
          await eventually(
            async () => (await execInTask(lab.hosts, task, curl)).stdout.includes('"host"'),
            { what: `a task on ${task.NodeID} reaches ${name}` },
          )
        }
    })

    await t.test('what the CLI shows of them', async (t) => {
      const names = '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}'
      t.equal(await docker(h1, ['inspect', 'alone', '--format', names]), 'front')
      const mode = '{{.HostConfig.NetworkMode}} {{json .HostConfig.Dns}}'
      t.equal(await docker(h1, ['inspect', 'alone', '--format', mode]), 'front []')
      const ps = ['ps', '--filter', 'network=front', '--format', '{{.Names}} {{.Networks}}']
      t.match(await docker(h1, ps), /^alone front$/m)
      t.match(await docker(h2, ['network', 'inspect', 'front']), /"Name": "far"/)
      t.match(await docker(h1, ['network', 'inspect', 'front']), /"Name": "alone"/)
      t.notMatch(await docker(h1, ['node', 'ps', h1.name]), /alone/)
    })

    await t.test('what is refused', async (t) => {
      const run = (name: string, ...more: string[]) => ['run', '-d', '--name', name, ...more, IMAGE]
      const closed = 'Could not attach to network closed: network closed not manually attachable'
      t.match(await refusal(h1, run('nope', '--network', 'closed')), closed)
      t.match(await refusal(h2, run('nope', '--network', 'closed')), closed, 'on a worker')
      t.match(await refusal(h2, run('nope', '--network', 'nosuch')), /network nosuch not found/)
      await docker(h2, ['rm', '-f', 'nope'], { check: false })
      const taken = ['--network', 'front', '--ip', address(9, 77)]
      t.match(await refusal(h1, run('nope', ...taken)), /address .* of network front is in use/)
      t.equal(
        await docker(h1, ['ps', '-aq', '--filter', 'name=^nope$']),
        '',
        'none was left behind',
      )
      t.strictSame(await attached(h1), ['alone', 'far'])
    })

    await t.test('a paused node keeps what it has and takes nothing new', async (t) => {
      const set = (availability: string) =>
        docker(h1, ['node', 'update', '--availability', availability, h2.name])
      await set('pause')
      const no = `node ${h2.name} is paused and takes no new containers: use another node, or set it to active`
      const run = ['run', '-d', '--name', 'nope', '--network', 'front', IMAGE]
      t.match(await refusal(h2, run), `Could not attach to network front: ${no}`)
      await docker(h2, ['restart', 'far'])
      await reaches(h1, 'alone', 'far')
      t.strictSame(await attached(h1), ['alone', 'far'])
      await set('active')
    })

    await t.test('connect and disconnect', async (t) => {
      await docker(h2, ['run', '-d', '--name', 'apart', IMAGE])
      const options = ['--alias', 'other', '--ip', address(2, 66)]
      await docker(h2, ['network', 'connect', ...options, 'front', 'apart'])
      t.equal(await addressOf(h2, 'apart', 'front'), address(2, 66))
      await untilAttached(h1, ['alone', 'apart', 'far'])
      await reaches(h1, 'alone', 'other')
      await reaches(h1, 'alone', 'apart')
      await reaches(h2, 'apart', await addressOf(h1, 'alone', 'front'))
      for (const name of ['alone', 'me', 'web']) await reaches(h2, 'apart', name)
      t.match(
        await refusal(h2, ['network', 'connect', 'front', 'apart']),
        /already exists in network front/,
      )
      t.strictSame(await attached(h1), ['alone', 'apart', 'far'])
      await docker(h2, ['network', 'disconnect', 'front', 'apart'])
      await untilAttached(h1, ['alone', 'far'])
      await eventually(async () => (await answererOf(h1, 'alone', 'other')) === '', {
        what: 'the name leaves',
      })
      t.match(
        await refusal(h2, ['network', 'disconnect', 'front', 'apart']),
        /is not connected to (the )?network front/,
      )
    })

    await t.test('one from a network of its Engine finds the names of both', async (t) => {
      await docker(h2, ['network', 'create', 'private'])
      for (const name of ['settled', 'brother'])
        await docker(h2, ['run', '-d', '--name', name, '--network', 'private', IMAGE])
      await docker(h2, ['network', 'connect', 'front', 'settled'])
      const findsBoth = async () => {
        for (const name of ['web', 'tasks.web', 'alone', 'brother'])
          await reaches(h2, 'settled', name)
      }
      await findsBoth()
      t.equal(await answererOf(h2, 'settled', 'nosuch.example'), '')
      await docker(h2, ['restart', '-t', '1', 'settled'])
      await findsBoth()
      await h2.kill9Daemon()
      await h2.spawnDaemon(daemonArgs)
      await findsBoth()
      await h2.stopDaemon()
      t.not(await answererByEngine(h2, 'settled', 'brother'), '', 'while no daemon of ours runs')
      await h2.spawnDaemon(daemonArgs)
      await findsBoth()
      t.match(await rulesIn(h2, 'settled'), /-A OUTPUT -j SWARMCTL-ASK/)
      await docker(h2, ['network', 'disconnect', 'front', 'settled'])
      await eventually(async () => !(await rulesIn(h2, 'settled')).includes('SWARMCTL'), {
        what: 'its namespace is as it was',
      })
      await reaches(h2, 'settled', 'brother')
      t.equal(await answererOf(h2, 'settled', 'web'), '')
      await docker(h2, ['rm', '-f', 'settled', 'brother'])
      await docker(h2, ['network', 'rm', 'private'])
    })

    await t.test('stop, start, restart and a restart by policy', async (t) => {
      const own = await addressOf(h1, 'alone', 'front')
      await docker(h1, ['stop', '-t', '1', 'alone'])
      await untilAttached(h1, ['far'])
      await eventually(async () => (await answererOf(h2, 'far', 'me')) === '', {
        what: 'the name of a stopped container leaves',
      })
      await docker(h1, ['start', 'alone'])
      t.equal(await addressOf(h1, 'alone', 'front'), own, 'it has its address again')
      await reaches(h2, 'far', 'me')
      await docker(h1, ['restart', '-t', '1', 'alone'])
      await reaches(h2, 'far', 'alone')
      const run = ['run', '-d', '--name', 'phoenix', '--restart', 'always', '--network', 'front']
      await docker(h2, [...run, IMAGE])
      await reaches(h1, 'alone', 'phoenix')
      const ask = ['exec', 'alone', 'curl', '-s', '-m', '3', 'http://phoenix/exit?code=1']
      await docker(h1, ask, { check: false })
      await eventually(
        async () => {
          const count = await docker(h2, ['inspect', 'phoenix', '--format', '{{.RestartCount}}'])
          return Number(count) > 0 && (await answererOf(h1, 'alone', 'phoenix')) !== ''
        },
        { what: 'it is back after its end' },
      )
      await docker(h2, ['rm', '-f', 'phoenix'])
      await untilAttached(h1, ['alone', 'far'])
    })

    await t.test('a stopped container’s address goes to somebody else', async (t) => {
      const run = (name: string) =>
        docker(h1, [
          'run',
          '-d',
          '--name',
          name,
          '--network',
          'front',
          '--ip',
          address(1, 99),
          IMAGE,
        ])
      await run('first')
      await docker(h1, ['rm', '-f', 'first'])
      const connect = ['network', 'connect', 'front', 'roaming']
      await docker(h1, ['create', '--name', 'roaming', IMAGE])
      await docker(h1, connect)
      await docker(h1, ['start', 'roaming'])
      const before = await addressOf(h1, 'roaming', 'front')
      await docker(h1, ['stop', '-t', '1', 'roaming'])
      await untilAttached(h1, ['alone', 'far'])
      const ip = ['--network', 'front', '--ip', before]
      await docker(h1, ['run', '-d', '--name', 'squatter', ...ip, IMAGE])
      await docker(h1, ['start', 'roaming'])
      const after = await addressOf(h1, 'roaming', 'front')
      t.not(after, before)
      await reaches(h2, 'far', 'roaming')
      t.equal(await answererOf(h2, 'far', after), await answererOf(h2, 'far', 'roaming'))
      await docker(h1, ['rm', '-f', 'roaming', 'squatter'])
      await untilAttached(h1, ['alone', 'far'])
    })

    await t.test('after the daemon was away', async () => {
      const run = ['run', '-d', '--name', 'lost', '--network', 'front', IMAGE]
      await docker(h2, run)
      await docker(h2, ['create', '--name', 'late', '--network', 'front', IMAGE])
      await untilAttached(h1, ['alone', 'far', 'late', 'lost'])
      await h2.kill9Daemon()
      await h2.docker(['rm', '-f', 'lost'])
      await h2.docker(['restart', '-t', '1', 'far'], { timeoutMs: TIMEOUT_MS })
      await h2.docker(['start', 'late'])
      await h2.spawnDaemon(daemonArgs)
      await untilAttached(h1, ['alone', 'far', 'late'])
      await reaches(h1, 'alone', 'far')
      await reaches(h1, 'alone', 'late')
      await reaches(h2, 'far', 'alone')
      await docker(h2, ['rm', '-f', 'late'])
      await untilAttached(h1, ['alone', 'far'])
    })

    await t.test(
      'a network with containers stays, and a node that leaves takes its own away',
      async (t) => {
        await docker(h1, ['service', 'rm', 'web'])
        await eventually(
          async () => (await refusal(h1, ['network', 'rm', 'front'])).includes('is in use by task'),
          { what: 'the network is in use by the containers' },
        )
        await docker(h2, ['swarm', 'leave'])
        const names = '{{len .NetworkSettings.Networks}}'
        t.equal((await h2.docker(['inspect', 'far', '--format', names])).stdout.trim(), '0')
        await eventually(async () => (await refusal(h1, ['node', 'rm', h2.name])).startsWith('0'), {
          what: 'the node is removed',
        })
        await untilAttached(h1, ['alone'])
        await docker(h1, ['rm', '-f', 'alone'])
        await untilAttached(h1, [])
        await docker(h1, ['network', 'rm', 'front'])
      },
    )
  })
}

labTest(
  t,
  'containers that are no tasks, over the death of the leader',
  { hosts: 3 },
  async (t, lab) => {
    const [h1, h2, h3] = lab.hosts as [LabHost, LabHost, LabHost]
    await formCluster(lab, { managers: 3 })
    await docker(h2, ['network', 'create', '--driver', 'overlay', '--attachable', 'front'])
    // Of a follower, at once: the network gets its subnet only now.
    const run = ['run', '-d', '--network', 'front', '--name']
    await docker(h3, [...run, 'stays', IMAGE])
    await docker(h2, [...run, 'ends', IMAGE])
    await reaches(h3, 'stays', 'ends')
    const address = await addressOf(h3, 'stays', 'front')
    await h1.kill9Daemon()
    await docker(h2, ['rm', '-f', 'ends'])
    await docker(h2, [...run, 'comes', IMAGE])
    await untilAttached(h2, ['comes', 'stays'])
    t.equal(await addressOf(h3, 'stays', 'front'), address)
    await reaches(h2, 'comes', 'stays')
    await reaches(h3, 'stays', 'comes')
    await h1.spawnDaemon()
    await docker(h1, [...run, 'back', IMAGE])
    await untilAttached(h1, ['back', 'comes', 'stays'])
    await reaches(h1, 'back', 'stays')
  },
)

/** The networks that the host's Engine has, by its own names. */
const engineNetworks = async (host: LabHost): Promise<string[]> => {
  const networks = (await host.engineRequest('/networks')).json() as { Name: string }[]
  return networks.map(({ Name }) => Name)
}

/** The container of the service's task on the host. */
const taskContainer = (host: LabHost, service: string): Promise<string> =>
  docker(host, ['ps', '-q', '--filter', `label=com.docker.swarm.service.name=${service}`])

labTest(t, 'networks that each node makes by itself', { hosts: 2 }, async (t, lab) => {
  const [h1, h2] = lab.hosts as [LabHost, LabHost]
  await formCluster(lab, { managers: 1 })
  const config = (host: LabHost, subnet: string) =>
    docker(host, ['network', 'create', '--config-only', '--subnet', subnet, 'conf'])
  const create = ['network', 'create', '-d', 'bridge', '--scope', 'swarm', '--attachable']
  const make = [...create, '--config-from', 'conf', 'own']
  t.match(await refusal(h1, make), /configuration network "conf" does not exist/)
  await config(h1, '192.168.51.0/24')
  await docker(h1, make)
  await docker(h1, ['network', 'create', '-d', 'overlay', '--attachable', 'front'])
  const service = ['service', 'create', '--detach', '--no-resolve-image', '--mode', 'global']
  const networks = ['--network', 'own', '--network', 'front', '--publish', '8085:80']
  await docker(h1, [...service, ...networks, '--name', 'web', IMAGE])

  await t.test(
    'a node that can’t make it rejects the task, with the Engine’s reason',
    async (t) => {
      await untilRunning(h1, 'web', 1)
      await eventually(
        async () =>
          (await docker(h1, ['service', 'ps', '--no-trunc', '--format', '{{.Error}}', 'web']))
            .split('\n')
            .some((line) => line.includes('configuration network "conf" does not exist')),
        { what: 'the task on the other node is rejected' },
      )
      await config(h2, '192.168.52.0/24')
      await untilRunning(h1, 'web', 2)
      t.equal(
        (await engineNetworks(h2)).filter((name) => name.startsWith('swarmctl-local-')).length,
        1,
      )
    },
  )

  await t.test('each node gives its own addresses, and overlays are as ever', async (t) => {
    for (const [host, subnet] of [
      [h1, /^192\.168\.51\./],
      [h2, /^192\.168\.52\./],
    ] as const) {
      const container = await taskContainer(host, 'web')
      t.match(await addressOf(host, container, 'own'), subnet)
      const shownHere = await docker(host, ['network', 'inspect', 'own'])
      t.match(shownHere, new RegExp(container))
      t.match(shownHere, /"Attachable": true/)
      const shown = ['network', 'ls', '--format', '{{.Name}} {{.Driver}} {{.Scope}}']
      const listed = (await docker(host, shown)).split('\n')
      t.strictSame(
        listed.filter((line) => /own|local-/.test(line)),
        ['own bridge swarm'],
      )
      await reaches(host, container, 'tasks.web')
      await reaches(host, container, 'web')
    }
    const run = ['run', '-d', '--name', 'near', '--network', 'own', '--network-alias', 'me', IMAGE]
    await docker(h2, run)
    await reaches(h2, 'near', await addressOf(h2, await taskContainer(h2, 'web'), 'own'))
    await reaches(h2, await taskContainer(h2, 'web'), 'me')
    await docker(h2, ['network', 'connect', 'front', 'near'])
    await reaches(h1, await taskContainer(h1, 'web'), 'near')
    await docker(h2, ['restart', '-t', '1', 'near'])
    await reaches(h2, await taskContainer(h2, 'web'), 'me')
    for (const host of [h1, h2]) t.ok(await untilAnswers(host, `http://${host.ip}:8085/`, /host/))
  })

  await t.test('it goes with the last container on it', async (t) => {
    t.match(await refusal(h1, ['network', 'rm', 'own']), /is in use by service/)
    await h2.kill9Daemon()
    await h2.spawnDaemon()
    await docker(h1, ['service', 'rm', 'web'])
    await eventually(
      async () => !(await engineNetworks(h1)).some((name) => name.includes('local-')),
      { what: 'the manager has it no more' },
    )
    await docker(h2, ['stop', '-t', '1', 'near'])
    await docker(h2, ['start', 'near'])
    t.match(await addressOf(h2, 'near', 'own'), /^192\.168\.52\./)
    await docker(h2, ['rm', '-f', 'near'])
    await eventually(
      async () => !(await engineNetworks(h2)).some((name) => name.includes('local-')),
      { what: 'nor has the worker' },
    )
    await docker(h2, ['run', '-d', '--name', 'near', '--network', 'own', IMAGE])
    t.match(await refusal(h1, ['network', 'rm', 'own']), /is in use by task/)
    await docker(h2, ['swarm', 'leave'])
    t.notOk((await engineNetworks(h2)).some((name) => name.startsWith('swarmctl-')))
    t.ok((await engineNetworks(h2)).includes('conf'))
  })
})
