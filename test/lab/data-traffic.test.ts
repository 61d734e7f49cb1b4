import t from 'tap'
import type { Task } from '../../src/api/task.ts'
import { execInTask, untilRunning } from '../support/lab/api.ts'
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

/** Requests one after the other from several entry points until told to stop; counts what failed. */
const keepAsking = (from: LabMachine, urls: readonly string[]) => {
  const failures: string[] = []
  const versions = new Set<string>()
  let count = 0
  let isOver = false
  const one = async (url: string): Promise<void> => {
    while (!isOver) {
      const { code, stdout } = await from.exec('curl', ['-s', '-m', '10', url], {
        check: false,
        timeoutMs: 30_000,
      })
      count += 1
      if (code === 0) versions.add((JSON.parse(stdout) as Answer).version)
      else failures.push(`${url}: curl exit ${code}`)
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
        ...['--network', 'front', 'swarmctl-test:1'],
      ])
      await untilRunning(h1, 'web', 2)
      for (const host of lab.hosts) {
        const answers = await askMany(client, `http://${host.ip}:8080/`, 8)
        t.equal(hostsOf(answers).length, 2, `both replicas answer through ${host.name}`)
        if (plane === 'kernel') {
          t.strictSame([...new Set(answers.map((answer) => answer.remote))], [client.ip])
        }
        const udp = await askUdp(client, host.ip, 9000)
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
      const inApp = (task: Task, url: string) =>
        execInTask(lab.hosts, task, ['curl', '-s', '-m', '5', url], { check: false })
      for (const app of apps) {
        for (const name of ['db', 'database', 'tasks.db', 'web']) {
          const { code, stdout } = await inApp(app, `http://${name}/`)
          t.equal(code, 0, `${name} from ${app.NodeID}`)
          t.equal((JSON.parse(stdout) as Answer).version, name === 'web' ? '1' : '2')
        }
      }
      const [app] = apps as [Task, ...Task[]]
      const answers: Answer[] = []
      for (let n = 0; n < 9; n += 1)
        answers.push(JSON.parse((await inApp(app, 'http://db/')).stdout))
      t.equal(hostsOf(answers).length, 3, 'round robin over all tasks')
      const lookup = async (name: string) =>
        new Set(
          (
            await execInTask(lab.hosts, app, ['busybox', 'nslookup', name], { check: false })
          ).stdout.match(/\b10\.\d+\.\d+\.\d+\b/g),
        )
      t.equal((await lookup('tasks.db')).size, 3, 'tasks.db lists every task')
      const answered = new Set<string>()
      for (let n = 0; n < 9; n += 1) for (const one of await lookup('db')) answered.add(one)
      t.equal(answered.size, plane === 'kernel' ? 1 : 3, 'db is one VIP, or the tasks in rotation')
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

    await t.test('a rolling update and a scale-down lose no request', async (t) => {
      await h1.swarmctl(['service', 'scale', '-q', 'web=4'])
      const urls = lab.hosts.map((host) => `http://${host.ip}:8080/`)
      const asking = keepAsking(client, urls)
      const update = ['service', 'update', '-q', '--no-resolve-image', '--image', 'swarmctl-test:2']
      await h1.swarmctl([...update, '--update-delay', '0s', '--update-monitor', '1s', 'web'], {
        timeoutMs: 180_000,
      })
      await h1.swarmctl(['service', 'scale', '-q', 'web=1'], { timeoutMs: 60_000 })
      await untilRunning(h1, 'web', 1)
      const failures = await asking.stop()
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
          t.match(stdout, /end|done|20/, stdout.slice(-40))
        }
      },
    )

    await t.test('a task that dies leaves the rotation', async (t) => {
      await h1.swarmctl(['service', 'scale', '-q', 'web=3'])
      const tasks = await untilRunning(h1, 'web', 3)
      await execInTask(
        lab.hosts,
        tasks[0] as Task,
        ['curl', '-s', '-m', '2', 'http://127.0.0.1/exit?code=1'],
        { check: false },
      )
      const answers = await eventually(() => askMany(client, `http://${h3.ip}:8080/`, 6), {
        what: 'six answers in a row',
      })
      t.ok(hostsOf(answers).length >= 2)
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
          const result = await execInTask(
            lab.hosts,
            task,
            ['curl', '-s', '-m', '5', `http://tasks.on-${network}/`],
            { check: false },
          )
          t.equal(result.code, 0, `${network} on ${task.NodeID}`)
          const out = await execInTask(
            lab.hosts,
            task,
            ['curl', '-s', '-m', '2', '-o', '/dev/null', `http://${client.ip}:${OUTSIDE_PORT}/`],
            { check: false },
          )
          t.equal(out.code === 0, network === 'mid', `way out of ${network}: ${out.code}`)
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
