import t from 'tap'
import type { Task } from '../../src/api/task.ts'
import { execInTask, nodesByName, tasksOf, untilRunning } from '../support/lab/api.ts'
import { formCluster } from '../support/lab/cluster.ts'
import { eventually } from '../support/lab/eventually.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'
import type { LabMachine } from '../support/lab/machine.ts'

// Overlay: the whole product under traffic, on both data planes. What the embedded proxy can't do
// (design §8) stands here by name: it hides the client's address, and it answers names with addresses instead of VIPs.

const CREATE = ['service', 'create', '--quiet', '--no-resolve-image']

/** Of a server outside the cluster. */
const OUTSIDE_PORT = 8099

interface Answer {
  version: string
  host: string
  remote: string
}

const ask = async (from: LabMachine, url: string): Promise<Answer> => {
  const { stdout } = await from.exec('curl', ['-s', '-m', '5', url], { timeoutMs: 15_000 })
  return JSON.parse(stdout) as Answer
}

const askMany = async (from: LabMachine, url: string, count: number): Promise<Answer[]> => {
  const answers: Answer[] = []
  for (let n = 0; n < count; n += 1) answers.push(await ask(from, url))
  return answers
}

const hostsOf = (answers: readonly Answer[]): string[] => [
  ...new Set(answers.map((answer) => answer.host)),
]

/** Asks over UDP from a machine; the answer's line. */
const askUdp = async (from: LabMachine, ip: string, port: number): Promise<string> => {
  const script = `use IO::Socket::INET; $s = IO::Socket::INET->new(Proto=>'udp',PeerAddr=>'${ip}',PeerPort=>${port}); $s->send('hi'); $SIG{ALRM}=sub{exit 1}; alarm 3; $s->recv($b, 1000); print $b`
  return (await from.exec('perl', ['-e', script], { timeoutMs: 15_000 })).stdout
}

/** Written by curl beside the answer: why and when it failed, and which connection it was. */
const CURL_NOTE =
  '%{stderr}%{errormsg}, from port %{local_port}, connected after %{time_connect} s, ended after %{time_total} s'

/** Requests one after the other from several entry points until told to stop; notes what failed. */
const keepAsking = (from: LabMachine, urls: readonly string[]) => {
  const failures: string[] = []
  const versions = new Set<string>()
  const startedMs = performance.now()
  let count = 0
  let isOver = false
  const one = async (url: string): Promise<void> => {
    let before = 'nobody'
    for (let n = 1; !isOver; n += 1) {
      const sentAt = new Date().toISOString()
      const sentMs = Math.round(performance.now() - startedMs)
      try {
        const { code, stdout, stderr } = await from.exec(
          'curl',
          ['-s', '-m', '10', '-w', CURL_NOTE, url],
          { check: false, timeoutMs: 30_000 },
        )
        if (code !== 0) throw new Error(`curl exit ${code}: ${stderr}`)
        const answer = JSON.parse(stdout) as Answer
        versions.add(answer.version)
        before = `${answer.host} of version ${answer.version}`
      } catch (error) {
        failures.push(
          `request ${n} to ${url}, sent at ${sentAt} (after ${sentMs} ms), the one before was answered by ${before}: ${(error as Error).message}`,
        )
      }
      count += 1
    }
  }
  const running = urls.map(one)
  return {
    versions,
    get count() {
      return count
    },
    async stop() {
      isOver = true
      await Promise.all(running)
      return failures
    },
  }
}

/** What became of a service's tasks, and when: to be read beside requests that failed. */
const historyOf = async (host: LabHost, service: string): Promise<string> => {
  const nodes = await nodesByName(host)
  const nameOf = (id: string) => [...nodes].find(([, node]) => node.ID === id)?.[0] ?? id
  return (await tasksOf(host, service))
    .map(({ ID, NodeID, CreatedAt, Status, NetworksAttachments }) => {
      const addresses = NetworksAttachments?.flatMap(({ Addresses }) => Addresses).join(' ')
      return `${ID} on ${nameOf(NodeID)} (${addresses}): made ${CreatedAt}, ${Status.State} since ${Status.Timestamp}`
    })
    .join('\n')
}

for (const plane of ['kernel', 'proxy'] as const) {
  labTest(t, `traffic on the ${plane} plane`, { hosts: 3, clients: 1 }, async (t, lab) => {
    const [h1, h2, h3] = lab.hosts as [LabHost, LabHost, LabHost]
    const client = lab.clients[0] as LabMachine
    await formCluster(lab, { managers: 1, daemonArgs: ['--data-plane', plane] })
    await h1.swarmctl(['network', 'create', 'front'])
    await h1.swarmctl(['network', 'create', 'back'])

    await t.test('a published port answers on every node, in turn, TCP and UDP', async (t) => {
      await h1.swarmctl([
        ...CREATE,
        ...['--name', 'web', '--replicas', '2', '--constraint', 'node.hostname!=h3'],
        ...['--publish', '8080:80', '--publish', 'published=9000,target=9000,protocol=udp'],
        // It listens some time after its container runs: no node is to send it anything before.
        ...['--env', 'START_DELAY_SECONDS=0.3', '--network', 'front', 'swarmctl-test:1'],
      ])
      await untilRunning(h1, 'web', 2)
      for (const host of lab.hosts) {
        const all: Answer[] = []
        // The manager knows of them some moments before every node's tables do.
        await eventually(
          async () => {
            const answers = await askMany(client, `http://${host.ip}:8080/`, 8)
            all.push(...answers)
            return hostsOf(answers).length === 2
          },
          { what: `both replicas answer through ${host.name}` },
        )
        t.equal(hostsOf(all).length, 2, `both replicas, and nobody else, through ${host.name}`)
        if (plane === 'kernel') {
          t.strictSame([...new Set(all.map((answer) => answer.remote))], [client.ip])
        }
        // A datagram may be lost.
        const udp = await eventually(() => askUdp(client, host.ip, 9000), {
          what: `UDP through ${host.name}`,
        })
        t.match(udp, /payload=hi/, `UDP through ${host.name}`)
        if (plane === 'kernel') t.match(udp, `remote=${client.ip}`)
      }
    })

    await t.test('loopback on a published port answers or refuses at once', async (t) => {
      for (const address of ['127.0.0.1', '[::1]']) {
        const result = await h3.exec('curl', ['-s', '-m', '5', `http://${address}:8080/`], {
          check: false,
          timeoutMs: 15_000,
        })
        t.ok([0, 7].includes(result.code), `${address}: curl exit ${result.code}`)
      }
    })

    await t.test('service names, aliases, tasks.* and several networks', async (t) => {
      await h1.swarmctl([
        ...CREATE,
        ...['--name', 'db', '--replicas', '3', '--network', 'name=back,alias=database'],
        'swarmctl-test:2',
      ])
      await h1.swarmctl([
        ...CREATE,
        ...['--name', 'app', '--mode', 'global', '--network', 'front', '--network', 'back'],
        'swarmctl-test:1',
      ])
      const apps = await untilRunning(h1, 'app', 3)
      await untilRunning(h1, 'db', 3)
      const inApp = async (task: Task, url: string) => {
        const { stdout } = await execInTask(lab.hosts, task, ['curl', '-sS', '-m', '5', url])
        return JSON.parse(stdout) as Answer
      }
      for (const app of apps) {
        for (const name of ['db', 'database', 'tasks.db', 'web']) {
          // What publishes no port is not known to listen yet, and the tables of its node may lag.
          const answer = await eventually(() => inApp(app, `http://${name}/`), {
            what: `${name} answers from ${app.NodeID}`,
          })
          t.equal(answer.version, name === 'web' ? '1' : '2', `${name} from ${app.NodeID}`)
        }
      }
      const [app] = apps as [Task, ...Task[]]
      const answers = await eventually(
        async () => {
          const nine: Answer[] = []
          for (let n = 0; n < 9; n += 1) nine.push(await inApp(app, 'http://db/'))
          return hostsOf(nine).length >= 3 && nine
        },
        { what: 'nine connections to db in a row meet every task' },
      )
      t.equal(hostsOf(answers).length, 3, 'round robin over all tasks')
      const lookup = async (name: string) =>
        new Set(
          (
            await execInTask(lab.hosts, app, ['busybox', 'nslookup', name], { check: false })
          ).stdout.match(/\b10\.\d+\.\d+\.\d+\b/g),
        )
      await eventually(async () => (await lookup('tasks.db')).size === 3, {
        what: 'tasks.db lists every task',
      })
      const answered = new Set<string>()
      for (let n = 0; n < 9; n += 1) for (const one of await lookup('db')) answered.add(one)
      t.equal(
        answered.size,
        plane === 'kernel' ? 1 : 3,
        `db is one VIP, or the tasks in rotation: ${[...answered]}`,
      )
    })

    await t.test('a service that is not on the network is not reached', async (t) => {
      const [web] = await untilRunning(h1, 'web', 2)
      const [db] = await untilRunning(h1, 'db', 3)
      const address = db?.NetworksAttachments?.find((one) => one.Network.Spec.Name === 'back')
        ?.Addresses[0]
      const ip = address?.split('/')[0] ?? ''
      t.match(ip, /^10\./)
      for (const url of [`http://${ip}/`, 'http://db/']) {
        const result = await execInTask(lab.hosts, web as Task, ['curl', '-s', '-m', '2', url], {
          check: false,
        })
        t.not(result.code, 0, url)
      }
    })

    await t.test('a scale-up, a rolling update and a scale-down lose no request', async (t) => {
      const urls = lab.hosts.map((host) => `http://${host.ip}:8080/`)
      const asking = keepAsking(client, urls)
      await h1.swarmctl(['service', 'scale', '-q', 'web=4'], { timeoutMs: 60_000 })
      const update = ['service', 'update', '-q', '--no-resolve-image', '--image', 'swarmctl-test:2']
      await h1.swarmctl([...update, '--update-delay', '0s', '--update-monitor', '1s', 'web'], {
        timeoutMs: 180_000,
      })
      await h1.swarmctl(['service', 'scale', '-q', 'web=1'], { timeoutMs: 60_000 })
      await untilRunning(h1, 'web', 1)
      const failures = await asking.stop()
      if (failures.length > 0) t.comment(await historyOf(h1, 'web'))
      t.strictSame(failures, [], `of ${asking.count} requests`)
      t.ok(asking.count > 50, `${asking.count} requests`)
      t.strictSame([...asking.versions].sort(), ['1', '2'])
    })

    await t.test(
      'a 20 s download in flight survives an update, entered at two nodes',
      async (t) => {
        await h1.swarmctl([
          ...CREATE,
          ...['--name', 'files', '--publish', '8090:80', '--constraint', 'node.hostname==h1'],
          'swarmctl-test:1',
        ])
        await untilRunning(h1, 'files', 1)
        for (const host of [h1, h2]) {
          await eventually(() => ask(client, `http://${host.ip}:8090/`), {
            what: `files answers through ${host.name}`,
          })
        }
        const downloads = [h1, h2].map((host) =>
          client.exec('curl', ['-s', '-m', '60', `http://${host.ip}:8090/slow?seconds=20`], {
            check: false,
            timeoutMs: 90_000,
          }),
        )
        await eventually(
          async () =>
            (await client.exec('ss', ['-Htn', 'state', 'established'])).stdout
              .split('\n')
              .filter((l) => l.includes(':8090')).length === 2,
          { what: 'both downloads under way' },
        )
        await h1.swarmctl(['service', 'update', '-q', '--force', 'files'], { timeoutMs: 120_000 })
        for (const download of downloads) {
          const { code, stdout } = await download
          t.equal(code, 0, `curl exit ${code}`)
          t.equal(stdout.length, 200 * 16, `all of it, ending in ${stdout.slice(-40)}`)
        }
      },
    )

    await t.test('a task that dies leaves the rotation', async (t) => {
      await h1.swarmctl(['service', 'scale', '-q', 'web=3'])
      const [task] = (await untilRunning(h1, 'web', 3)) as [Task, ...Task[]]
      const inTask = (path: string, options: { check?: boolean } = {}) =>
        execInTask(lab.hosts, task, ['curl', '-s', '-m', '5', `http://127.0.0.1${path}`], options)
      const { host: dead } = JSON.parse((await inTask('/')).stdout) as Answer
      const url = `http://${h3.ip}:8080/`
      await eventually(async () => hostsOf(await askMany(client, url, 6)).length === 3, {
        what: 'all three answer',
      })
      await inTask('/exit?code=1', { check: false })
      const answers = await eventually(() => askMany(client, url, 6), {
        what: 'six answers in a row',
      })
      const hosts = hostsOf(answers)
      t.ok(hosts.length >= 2, `the others answer: ${hosts}`)
      t.notOk(hosts.includes(dead), `${dead} is not among them`)
      await untilRunning(h1, 'web', 3)
    })

    await t.test('the node says which plane it runs', async (t) => {
      const inspected = JSON.parse((await h1.swarmctl(['node', 'inspect', 'self'])).stdout)
      t.equal(inspected[0].Description.Swarmctl.DataPlane, plane)
    })

    // What follows has no part in how a plane balances.
    if (plane === 'proxy') return

    await t.test('subnets of any size, and internal networks', async (t) => {
      await client.spawn(['busybox', 'httpd', '-f', '-p', `${OUTSIDE_PORT}`, '-h', '/etc'])
      await h1.swarmctl(['network', 'create', '--subnet', '192.168.50.0/24', 'mid'])
      await h1.swarmctl(['network', 'create', '--subnet', '192.168.60.0/27', '--internal', 'tiny'])
      for (const network of ['mid', 'tiny']) {
        await h1.swarmctl([
          ...CREATE,
          ...['--name', `on-${network}`, '--mode', 'global', '--network', network],
          'swarmctl-test:1',
        ])
        const tasks = await untilRunning(h1, `on-${network}`, 3)
        for (const task of tasks) {
          const inTask = (seconds: number, url: string) =>
            execInTask(
              lab.hosts,
              task,
              ['curl', '-sf', '-m', `${seconds}`, '-o', '/dev/null', url],
              { check: false },
            )
          await eventually(
            async () => (await inTask(5, `http://tasks.on-${network}/`)).code === 0,
            { what: `${network} on ${task.NodeID}` },
          )
          const isOpen = network === 'mid'
          const out = await inTask(isOpen ? 10 : 2, `http://${client.ip}:${OUTSIDE_PORT}/hosts`)
          t.equal(out.code === 0, isOpen, `way out of ${network}: ${out.code}`)
        }
      }
    })

    await t.test('host, bridge and none as networks of a service', async (t) => {
      for (const network of ['host', 'bridge', 'none']) {
        const args = [
          '--name',
          `net-${network}`,
          '--network',
          network,
          '--env',
          'PORT=8123',
          '--env',
          'TCP_PORT=8124',
          '--env',
          'UDP_PORT=8125',
        ]
        await h1.swarmctl([...CREATE, ...args, 'swarmctl-test:1'])
        const [task] = await untilRunning(h1, `net-${network}`, 1)
        const { stdout } = await execInTask(lab.hosts, task as Task, [
          'busybox',
          'ip',
          '-o',
          'addr',
        ])
        t.equal(/ eth0 .*inet 172\./.test(stdout), network === 'bridge', network)
        t.equal(/sw-vx0|198\.18/.test(stdout), network === 'host', network)
      }
    })
  })
}
