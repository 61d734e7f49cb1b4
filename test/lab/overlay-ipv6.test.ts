import t from 'tap'
import { parseIpv4 } from '../../src/api/ipv4.ts'
import { formatIpv6, parseIpv6Cidr } from '../../src/api/ipv6.ts'
import { mirrorAddress } from '../../src/api/ipv6-mirror.ts'
import type { Task } from '../../src/api/task.ts'
import { isTerminal } from '../../src/api/task-state.ts'
import { execInTask, inspectTask, serviceOf, tasksOf, untilRunning } from '../support/lab/api.ts'
import { formCluster } from '../support/lab/cluster.ts'
import { eventually } from '../support/lab/eventually.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'
import type { LabMachine } from '../support/lab/machine.ts'
import { arrives, type Place, sendFrom } from '../support/overlay/datagrams.ts'

// Networks with IPv6, the whole product on both planes. As with IPv4 the embedded proxy answers names with addresses instead of VIPs.

const CREATE = ['service', 'create', '--quiet', '--no-resolve-image', '--mode', 'global']
/** What the lab's hosts and its client have outside of any overlay. */
const OUTSIDE = 'fd77::'

/** Of a server on the client. */
const OUTSIDE_PORT = 8099

const UDP_ASKER = `use Socket qw(:all); socket(S, PF_INET6, SOCK_DGRAM, 0); $SIG{ALRM} = sub { exit 1 }; alarm 3;
send(S, "hi", 0, pack_sockaddr_in6(9000, inet_pton(AF_INET6, $ARGV[0]))); recv(S, $b, 1000, 0); print $b`

interface Inspected {
  EnableIPv6: boolean
  IPAM: { Config: { Subnet: string }[] }
}

const subnetsOf = async (host: LabHost, network: string): Promise<string[]> => {
  const [inspected] = JSON.parse((await host.swarmctl(['network', 'inspect', network])).stdout) as [
    Inspected,
  ]
  return inspected.EnableIPv6 ? inspected.IPAM.Config.map(({ Subnet }) => Subnet) : []
}

const addressOn = (task: Task | undefined, network: string): string =>
  task?.NetworksAttachments?.find((one) => one.Network.Spec.Name === network)?.Addresses[0]?.split(
    '/',
  )[0] ?? ''

/** Everything of ours in the host's kernel that IPv6 adds. */
const remains = async (host: LabHost): Promise<Record<string, string>> => ({
  routes: (await host.exec('ip', ['-6', 'route', 'show', 'table', 'all', 'proto', '94'])).stdout,
  tables:
    (await host.exec('nft', ['list', 'tables', 'ip6'])).stdout.match(/.*swarmctl.*/g)?.join() ?? '',
  rules:
    (await host.exec('ip6tables-save', [])).stdout.match(/.*(SWARMCTL|0x40000000).*/g)?.join() ??
    '',
  forwarding: (await host.exec('cat', ['/proc/sys/net/ipv6/conf/all/forwarding'])).stdout.trim(),
})

for (const plane of ['kernel', 'proxy'] as const) {
  labTest(t, `IPv6 on the ${plane} plane`, { hosts: 2, clients: 1 }, async (t, lab) => {
    const [h1, h2] = lab.hosts as [LabHost, LabHost]
    const client = lab.clients[0] as LabMachine
    const machines = [h1, h2, client]
    for (const [n, machine] of machines.entries())
      await machine.exec('ip', ['addr', 'add', `${OUTSIDE}${n + 1}/64`, 'dev', 'eth0', 'nodad'])
    // The containers of one bridge reach each other directly on one host, through the host on the other.
    for (const [host, isDirect] of [
      [h1, 1],
      [h2, 0],
    ] as const)
      for (const tables of ['iptables', 'ip6tables'])
        await host.exec('sysctl', ['-w', `net.bridge.bridge-nf-call-${tables}=${isDirect}`])
    const before = await remains(h2)
    await formCluster(lab, { managers: 1, daemonArgs: ['--data-plane', plane] })
    await h1.swarmctl(['network', 'create', 'plain'])
    const service = async (name: string, on: string[]): Promise<Task[]> => {
      const attached = on.flatMap((network) => ['--network', network])
      await h1.swarmctl([
        ...CREATE,
        ...attached,
        '--env',
        'IPV6=1',
        '--name',
        name,
        'swarmctl-test:1',
      ])
      return untilRunning(h1, name, 2)
    }
    await service('alone', ['plain'])
    t.strictSame(await remains(h1), before, 'a network without IPv6 leaves all of it alone')
    const networks: Record<string, string[]> = {
      front: ['--ipv6', '--attachable'],
      other: ['--ipv6', '--subnet', 'fd00:9::/48'],
      small: ['--ipv6', '--internal', '--subnet', '10.88.0.0/24', '--subnet', 'fd00:88::/64'],
    }
    for (const [name, flags] of Object.entries(networks))
      await h1.swarmctl(['network', 'create', ...flags, name])
    const subnet6 = new Map<string, string>()
    for (const name of ['front', 'other', 'small'])
      subnet6.set(name, (await subnetsOf(h1, name))[1] ?? '')
    const twin = (network: string, addr: string): string =>
      formatIpv6(mirrorAddress(parseIpv6Cidr(subnet6.get(network)!)!, parseIpv4(addr)!))
    const web = await service('web', ['front', 'plain', 'small'])
    const app = await service('app', ['front', 'plain', 'small'])
    const foreign = await service('foreign', ['other'])
    const run = async (task: Task, ...command: string[]) =>
      execInTask(lab.hosts, task, command, { check: false, timeoutMs: 30_000 })
    const placeOf = async (task: Task): Promise<Place> => {
      const { host, container } = await inspectTask(lab.hosts, task)
      return { host, pid: container.State.Pid }
    }
    const curl = (task: Task, ...args: string[]) =>
      run(task, 'curl', '-g', '-s', '-m', '5', ...args)
    const lookup = async (task: Task, name: string): Promise<string[]> => {
      const { stdout } = await run(task, 'busybox', 'nslookup', '-type=aaaa', name)
      return [...new Set(stdout.match(/(?<=Address: )[\da-f]*:[\da-f:]+$/gm))].sort()
    }

    await t.test('addresses are twins, and the container has them', async (t) => {
      t.match(await subnetsOf(h1, 'front'), [/^10\./, /^fd[\da-f:]+::\/64$/])
      t.strictSame(await subnetsOf(h1, 'small'), ['10.88.0.0/24', 'fd00:88::/64'])
      for (const task of web) {
        const { stdout } = await run(task, 'busybox', 'ip', '-6', 'addr')
        for (const network of ['front', 'small'])
          t.match(stdout, ` ${twin(network, addressOn(task, network))}/`, network)
        const { container } = await inspectTask(lab.hosts, task)
        t.match(JSON.stringify(container.NetworkSettings), twin('front', addressOn(task, 'front')))
      }
    })

    await t.test('names have AAAA records', async (t) => {
      for (const task of app) {
        const tasks = web.map((one) => twin('front', addressOn(one, 'front')))
        const inSmall = web.map((one) => twin('small', addressOn(one, 'small')))
        const found = await lookup(task, 'tasks.web')
        t.strictSame(found, [...tasks].sort(), 'tasks.web')
        t.strictSame(await lookup(task, 'tasks.web.small'), [...inSmall].sort(), 'by network')
        t.strictSame(await lookup(task, 'alone'), [], 'on a network without IPv6')
        if (plane === 'kernel') {
          const vips = (await serviceOf(h1, 'web')).Endpoint.VirtualIPs ?? []
          const known = vips.map(({ Addr }) => Addr.split('/')[0] ?? '')
          const [vip] = await lookup(task, 'web')
          t.ok(
            known.some((addr) => twin('front', addr) === vip),
            `web is a VIP: ${vip}`,
          )
        }
        // Of a container of its own host the Engine tells the name.
        const remote = web.find(({ NodeID }) => NodeID !== task.NodeID)
        const twinOfRemote = twin('front', addressOn(remote, 'front'))
        const reverse = await run(task, 'busybox', 'nslookup', twinOfRemote)
        t.match(reverse.stdout, /name = \S+\.front/)
      }
    })

    await t.test('a service answers in turn, on every node', async (t) => {
      for (const task of [...app, ...web]) {
        const hosts = new Set<string>()
        const remotes = new Set<string>()
        for (let n = 0; n < 8; n += 1) {
          const { code, stdout } = await curl(task, '-6', 'http://web/')
          t.equal(code, 0, `web from ${task.NodeID}`)
          if (code !== 0) continue
          const answer = JSON.parse(stdout) as { host: string; remote: string }
          hosts.add(answer.host)
          remotes.add(answer.remote)
        }
        t.equal(hosts.size, 2, 'both tasks')
        if (app.includes(task))
          t.strictSame([...remotes], [twin('front', addressOn(task, 'front'))], 'who asks is seen')
      }
    })

    await t.test('every task reaches every other, TCP and UDP', async (t) => {
      for (const network of ['front', 'small'])
        for (const from of app)
          for (const to of web) {
            const addr = twin(network, addressOn(to, network))
            const tcp = await curl(from, `http://[${addr}]/`)
            t.match(tcp.stdout, `"local":"${addr}"`, `${network} TCP ${from.NodeID} ${to.NodeID}`)
            // A datagram may be lost.
            const udp = await eventually(
              async () => (await run(from, 'perl', '-e', UDP_ASKER, addr)).stdout || undefined,
              { what: `${network} UDP ${from.NodeID} ${to.NodeID}` },
            )
            t.match(udp, /payload=hi/, `${network} UDP`)
          }
    })

    await t.test('networks are isolated', async (t) => {
      for (const from of foreign) {
        t.strictSame(await lookup(from, 'web'), [])
        for (const to of web) {
          const { code } = await curl(
            from,
            '-m',
            '2',
            `http://[${twin('front', addressOn(to, 'front'))}]/`,
          )
          t.not(code, 0)
        }
      }
      const [honest, victim] = web as [Task, Task]
      const [from, to] = [honest, victim].map((task) => twin('front', addressOn(task, 'front')))
      const datagram = { from: from ?? '', to: to ?? '' }
      const send = async (task: Task) => sendFrom(await placeOf(task), datagram)
      t.equal(await arrives(await placeOf(victim), () => send(honest)), true)
      t.equal(await arrives(await placeOf(victim), async () => undefined), false, 'nothing')
      for (const stranger of foreign)
        t.equal(await arrives(await placeOf(victim), () => send(stranger)), false, 'a false sender')
      for (const task of app) {
        const own = await curl(task, `http://[${twin('front', addressOn(task, 'front'))}]/`)
        t.equal(own.code, 0)
      }
    })

    await t.test('IPv4 and networks without IPv6 are as ever', async (t) => {
      for (const from of app) {
        for (const name of ['web', 'tasks.web', 'alone'])
          t.equal((await curl(from, '-4', `http://${name}/`)).code, 0, name)
        t.not((await curl(from, '-6', 'http://alone/')).code, 0)
      }
    })

    await t.test(
      'a daemon that starts again finds it all, and IPv6 goes on meanwhile',
      async (t) => {
        const was = await remains(h2)
        const proxied = async () => (await h2.exec('ip', ['-6', 'neigh', 'show', 'proxy'])).stdout
        const answered = await proxied()
        t.not(answered, '')
        await h2.stopDaemon()
        for (const from of app)
          for (const to of web) {
            const url = `http://[${twin('front', addressOn(to, 'front'))}]/`
            t.equal((await curl(from, url)).code, 0, 'without its daemon')
          }
        await h2.spawnDaemon(['--data-plane', plane])
        await untilRunning(h1, 'web', 2)
        for (const from of app) {
          await eventually(async () => (await curl(from, '-6', 'http://web/')).code === 0, {
            what: `web from ${from.NodeID}`,
          })
        }
        const linesOf = (text: string) => text.split('\n').sort().join('\n')
        await eventually(async () => linesOf(await proxied()) === linesOf(answered), {
          what: 'the bridges answer for the same neighbours',
        })
        t.strictSame(await remains(h2), was)
      },
    )

    await t.test('a container by hand', async (t) => {
      for (const host of [h1, h2]) {
        const name = `by-hand-${host.name}`
        const flags = ['--name', name, '--network', 'front', '--env', 'IPV6=1']
        await host.dockerViaSwarmctl(['run', '-d', ...flags, 'swarmctl-test:1'], {
          timeoutMs: 60_000,
        })
        for (const task of app) {
          const answer = await eventually(
            async () => {
              const { code, stdout } = await curl(task, '-6', `http://${name}/`)
              return code === 0 ? stdout : undefined
            },
            { what: `${name} from ${task.NodeID}` },
          )
          t.match(answer, /"local":"fd/)
        }
        const back = await host.docker(['exec', name, 'curl', '-6', '-s', '-m', '5', 'http://web/'])
        t.match(back.stdout, /"remote":"fd/)
        await host.docker(['rm', '-f', name])
      }
    })

    await t.test('what is closed or gone is refused', async (t) => {
      const refused = (text: string) => [7, 56].includes(Number(text))
      for (const from of app) {
        t.ok(refused(`${(await curl(from, '-6', 'http://web:81/')).code}`), 'a closed port')
      }
    })

    await t.test('the way outside, unless the network is internal', async (t) => {
      await client.spawn(['busybox', 'httpd', '-f', '-p', `${OUTSIDE_PORT}`, '-h', '/etc'])
      const inside = await service('inside', ['small'])
      for (const [task, isOpen] of [
        ...app.map((one) => [one, true] as const),
        ...inside.map((one) => [one, false] as const),
      ]) {
        const url = `http://[${OUTSIDE}3]:${OUTSIDE_PORT}/`
        const limit = isOpen ? '10' : '2'
        const { code, stderr } = await curl(task, '-sS', '-m', limit, '-o', '/dev/null', url)
        t.equal(code === 0, isOpen, `${code} ${stderr}`)
      }
      await h1.swarmctl(['service', 'rm', 'inside'])
    })

    await t.test('a task that leaves takes its addresses out of names and VIPs', async (t) => {
      await h1.swarmctl(['node', 'update', '--availability', 'drain', 'h2'])
      const [left] = await untilRunning(h1, 'web', 1)
      const [from] = await untilRunning(h1, 'app', 1)
      const expected = [twin('front', addressOn(left, 'front'))]
      await eventually(async () => (await lookup(from!, 'tasks.web')).join() === expected.join(), {
        what: 'tasks.web is the one that stays',
      })
      for (let n = 0; n < 4; n += 1) t.equal((await curl(from!, '-6', 'http://web/')).code, 0)
      const gone = web.find(({ ID }) => ID !== left?.ID)
      await eventually(
        async () => {
          const task = (await tasksOf(h1, 'web')).find(({ ID }) => ID === gone?.ID)
          return task === undefined || isTerminal(task.Status.State) ? true : undefined
        },
        { what: 'the end of the task', timeoutMs: 60_000 },
      )
      const { code } = await curl(from!, `http://[${twin('front', addressOn(gone, 'front'))}]/`)
      t.equal(code, 7, 'its address refuses')
    })

    await t.test('leave takes everything of the node away', async (t) => {
      await h1.swarmctl(['node', 'update', '--availability', 'active', 'h2'])
      await untilRunning(h1, 'web', 2)
      t.not((await remains(h2)).routes, '', 'there was something to remove')
      await h2.swarmctl(['leave'], { timeoutMs: 60_000 })
      t.strictSame(await remains(h2), before)
      t.notMatch((await h2.exec('iptables-save', [])).stdout, /SWARMCTL|0x40000000/)
      await h1.swarmctl(['service', 'rm', 'web', 'app', 'foreign'])
      await h1.swarmctl(['network', 'rm', 'front', 'other', 'small'])
      const settled = await eventually(
        async () => {
          const { forwarding: _, ...now } = await remains(h1)
          return Object.values(now).every((text) => text === '') ? now : undefined
        },
        { what: 'the last network with IPv6 to take its rules along', timeoutMs: 60_000 },
      )
      t.ok(settled)
    })
  })
}
