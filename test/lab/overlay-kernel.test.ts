/** What the kernel plane does beyond the contract: restarts, flushed rules, dead nodes, bridges without br_netfilter, small subnets. */
import t from 'tap'
import { Ask } from '../contract/data-plane-suite.ts'
import { eventually } from '../support/lab/eventually.ts'
import type { LabHost } from '../support/lab/host.ts'
import { labTest } from '../support/lab/lab-test.ts'
import { OverlayCluster } from '../support/overlay/overlay-cluster.ts'

const BRIDGE_NETFILTER = 'net.bridge.bridge-nf-call-iptables'

/** Everything of ours that a host's kernel and Engine hold. */
async function remains(host: LabHost): Promise<string> {
  const script = `
    nft list tables | grep swarmctl
    ip -o link | grep -o ' sw-[a-z0-9]*' | sort -u
    ip rule | grep -v -e '^0:' -e '^3276[67]:'
    ip route show table all proto 94
    iptables -S | grep -i -e SWARMCTL -e 0x40000000
    iptables -t nat -S | grep -i SWARMCTL
    exit 0`
  const kernel = (await host.exec('sh', ['-c', script])).stdout
  return (
    kernel + (await host.docker(['network', 'ls', '-q', '-f', 'label=swarmctl.network'])).stdout
  )
}

/** Kernel settings that a node changes outside its own devices. Containers' devices come and go. */
const hostSettings = async (host: LabHost): Promise<string> => {
  const patterns = ['ipv4.conf.(all|default|eth0|lo).rp_filter', 'nf_conntrack_tcp_timeout_time']
  return (await host.exec('sysctl', ['-a', '-r', patterns.join('|')])).stdout
}

labTest(t, 'kernel plane', { hosts: 3, clients: 1 }, async (t, lab) => {
  const cluster = new OverlayCluster(lab, ['kernel', 'kernel', 'proxy'])
  const ask = new Ask(lab)
  const [n1, n2, n3] = [cluster.node(1), cluster.node(2), cluster.node(3)]
  try {
    // As with Engines from 27.3; the other hosts have it on.
    await n1.host.exec('sysctl', ['-w', `${BRIDGE_NETFILTER}=0`])
    await n1.host.exec('sysctl', ['-w', 'net.ipv4.conf.all.rp_filter=1'])
    const settings = await hostSettings(n1.host)
    await cluster.start()
    cluster.addNetwork('ingress', '10.201.0.0/16', { ingress: true })
    cluster.addNetwork('front', '10.202.0.0/16')
    cluster.addNetwork('flat24', '10.203.7.0/24')
    cluster.addNetwork('flat28', '10.204.9.16/28')
    cluster.addService('web', {
      networks: ['front'],
      ports: [
        { published: 8080, target: 80 },
        { published: 9000, target: 9000, protocol: 'udp' },
      ],
    })
    cluster.addService('small', { networks: ['flat24'] })
    cluster.addService('tiny', { networks: ['flat28'] })
    await cluster.sync()
    const on = ['ingress', 'front']
    const web1 = await cluster.startTask('web', n1, { networks: on })
    const web2 = await cluster.startTask('web', n2, { networks: on })
    const small1 = await cluster.startTask('small', n1, { networks: ['flat24'] })
    const small2 = await cluster.startTask('small', n2, { networks: ['flat24'] })
    const tiny1 = await cluster.startTask('tiny', n1, { networks: ['flat28'] })
    const tiny2 = await cluster.startTask('tiny', n2, { networks: ['flat28'] })
    await cluster.sync()
    const slow = (url: string) =>
      lab.client(1).exec('curl', ['-sS', '-m20', '-o/dev/null', '-w%{size_download}', url], {
        check: false,
      })

    await t.test('small subnets: every address is a route', async (t) => {
      for (const [name, first, second] of [
        ['small', small1, small2],
        ['tiny', tiny1, tiny2],
      ] as const) {
        const both = [first.container, second.container].sort()
        for (const task of [first, second]) {
          t.strictSame(await ask.hosts(task, `http://${name}/`, 2), both)
        }
        const addr = second.addresses.get(name === 'small' ? 'flat24' : 'flat28')
        const seen = await ask.task(first, `http://${addr}/`)
        t.equal(seen.host, second.container)
        t.equal(seen.remote, [...first.addresses.values()][0], 'source kept')
      }
    })

    await t.test('a mixed cluster: a proxy-plane node serves and is served', async (t) => {
      const web3 = await cluster.startTask('web', n3, { networks: on })
      await cluster.sync()
      const three = [web1, web2, web3].map((task) => task.container).sort()
      for (const node of [n1, n3]) {
        const hosts = []
        for (let i = 0; i < 3; i++) {
          hosts.push((await ask.client(`http://${node.host.ip}:8080/`)).host)
        }
        t.strictSame(hosts.sort(), three, `through ${node.nodeId}`)
      }
      t.strictSame(await ask.hosts(web1, 'http://web/', 3), three)
      t.equal((await ask.hosts(web3, 'http://web/', 6)).length, 6)
      await cluster.removeTask(web3)
    })

    await t.test(
      'connections outlive a restart of the daemon; state of before is taken over',
      async (t) => {
        const download = slow(`http://${n2.host.ip}:8080/slow?seconds=4`)
        await eventually(async () => (await translated(n2.host)) > 0, { what: 'it runs' })
        await n1.stop('close')
        await n2.stop('kill')
        t.ok((await ask.client(`http://${n2.host.ip}:8080/`)).host, 'served without a daemon')
        // A node that left meanwhile.
        await n1.host.exec('ip', ['route', 'add', '10.202.9.0/24', 'dev', 'sw-vx0', 'proto', '94'])
        await n1.start()
        await n2.start()
        await cluster.sync()
        const routes = (await n1.host.exec('ip', ['route', 'show', 'proto', '94'])).stdout
        t.notMatch(routes, '10.202.9.0/24', 'a stale route is gone')
        t.equal((await download).stdout, String(40 * 16))
        const both = [web1.container, web2.container].sort()
        t.strictSame(await ask.hosts(web1, 'http://web/', 2), both)
      },
    )

    await t.test(
      'rules that someone flushed come back, and connections do not notice',
      async (t) => {
        const download = slow(`http://${n2.host.ip}:8080/slow?seconds=2`)
        await eventually(async () => (await translated(n2.host)) > 0, { what: 'it runs' })
        await n2.host.exec('nft', ['flush', 'ruleset'])
        await eventually(
          async () =>
            (await n2.host.exec('nft', ['list', 'table', 'ip', 'swarmctl'], { check: false }))
              .code === 0,
          { what: 'the table is back' },
        )
        t.equal((await download).stdout, String(20 * 16))
        t.equal((await ask.client(`http://${n2.host.ip}:8080/`)).remote, lab.client(1).ip)
      },
    )

    await t.test('a VXLAN device that someone removed or shut comes back at once', async (t) => {
      for (const way of [
        ['del', 'sw-vx0'],
        ['set', 'sw-vx0', 'down'],
      ]) {
        await n1.host.exec('ip', ['link', ...way])
        // Far within the reconciliation's minute: only the kernel's notice can have told.
        await eventually(
          async () => /UP.*mtu/.test((await n1.host.exec('ip', ['link', 'show', 'sw-vx0'])).stdout),
          { what: `the device is back after ip link ${way.join(' ')}`, timeoutMs: 20_000 },
        )
        const { stdout } = await n1.host.exec('ip', ['link', 'show', 'sw-vx0'])
        t.match(stdout, 'UP', `after ip link ${way.join(' ')}`)
        await eventually(
          async () => (await ask.hosts(web1, 'http://web/', 4)).includes(web2.container),
          { what: 'the other node is reached' },
        )
      }
    })

    await t.test('UDP flows leave a removed endpoint', async (t) => {
      const script = `socket(S,PF_INET,SOCK_DGRAM,0);connect(S,sockaddr_in(9000,inet_aton($ARGV[0])));$|=1;
        for (1..60) { syswrite(S,"x"); vec($r='',fileno(S),1)=1; if (select($r,undef,undef,0.2)) { sysread(S,$b,999); print $b } select(undef,undef,undef,0.05) }`
      const flow = lab.client(1).exec('perl', ['-MSocket', '-e', script, n2.host.ip])
      await new Promise((resolve) => setTimeout(resolve, 1000))
      cluster.setState(web1.container, 'draining')
      await cluster.sync()
      await new Promise((resolve) => setTimeout(resolve, 1000))
      cluster.setState(web1.container, 'ready')
      cluster.setState(web2.container, 'draining')
      await cluster.sync()
      const lines = (await flow).stdout.trim().split('\n')
      const hosts = new Set(lines.map((line) => /host=(\S+)/.exec(line)?.[1]))
      t.strictSame([...hosts].sort(), [web1.container, web2.container].sort())
      t.match(lines.at(-1), `host=${web1.container}`)
      cluster.setState(web2.container, 'ready')
      await cluster.sync()
    })

    await t.test(
      'without br_netfilter ports are isolated and VIPs work all the same',
      async (t) => {
        const web4 = await cluster.startTask('web', n1, { networks: on })
        await cluster.sync()
        const three = [web1, web2, web4].map((task) => task.container).sort()
        t.strictSame(await ask.hosts(web4, 'http://web/', 3), three, 'without')
        t.strictSame(await ask.hosts(web1, 'http://web/', 3), three, 'and itself')
        const direct = await ask.task(web1, `http://${web4.addresses.get('front')}/`)
        t.equal(direct.remote, web1.addresses.get('front'), 'source kept')
        // What an Engine does that needs it for some other network.
        await n1.host.exec('sysctl', ['-w', `${BRIDGE_NETFILTER}=1`])
        await n1.stop('close')
        await n1.start()
        await cluster.sync()
        t.strictSame(await ask.hosts(web1, 'http://web/', 3), three, 'loaded later')
        await cluster.removeTask(web4)
      },
    )

    await t.test(
      'a port that another process has is named, kept from it and taken later',
      async (t) => {
        const other = await n1.host.spawn([
          'perl',
          '-MIO::Socket::INET',
          '-e',
          'my $s = IO::Socket::INET->new(LocalPort => 8085, Listen => 5, ReuseAddr => 1); while (my $c = $s->accept) { print $c "other\\n" }',
        ])
        cluster.addService('late', {
          networks: ['front'],
          ports: [{ published: 8085, target: 80 }],
        })
        const late = await cluster.startTask('late', n2, { networks: on })
        await cluster.sync()
        t.match(
          (await n1.problems()).join(),
          /published port tcp\/8085 is in use by another process/,
        )
        const seen = await lab
          .client(1)
          .exec('sh', ['-c', `curl -sS -m3 --http0.9 http://${n1.host.ip}:8085/`], { check: false })
        t.equal(seen.stdout, 'other\n', 'the process keeps its traffic')
        t.equal((await ask.client(`http://${n2.host.ip}:8085/`)).host, late.container)
        await other.kill()
        await eventually(async () => (await ask.client(`http://${n1.host.ip}:8085/`)).host, {
          what: 'served',
        })
        t.strictSame(await n1.problems(), [])
        cluster.services.delete('late')
        await cluster.removeTask(late)
      },
    )

    await t.test(
      'a dead node: connections to its tasks are reset, new ones go elsewhere',
      async (t) => {
        const open = n1.host.docker(
          [
            'exec',
            web1.container,
            'sh',
            '-c',
            `(sleep 2; echo hello) | nc ${web2.addresses.get('front')} 9001; echo ended`,
          ],
          { check: false },
        )
        await new Promise((resolve) => setTimeout(resolve, 700))
        await n2.stop('kill')
        n2.host.die()
        cluster.dead.add(n2.nodeId)
        await cluster.sync([n1, n3])
        t.match((await open).stdout, /ended/)
        const refused = await n1.host.docker(
          ['exec', web1.container, 'curl', '-sS', '-m5', `http://${web2.addresses.get('front')}/`],
          { check: false },
        )
        t.equal(refused.code, 7, 'refused at once, not a time-out')
        t.strictSame(await ask.hosts(web1, 'http://web/', 2), [web1.container, web1.container])
        t.equal((await ask.client(`http://${n3.host.ip}:8080/`)).host, web1.container)
      },
    )

    await t.test('destroy leaves nothing', async (t) => {
      t.not(await remains(n1.host), '')
      t.not(await remains(n3.host), '')
      t.not(await hostSettings(n1.host), settings)
      await t.rejects(n1.destroy(), /still uses an overlay network/)
      for (const task of [web1, small1, tiny1]) await n1.host.docker(['rm', '-f', task.container])
      await n1.stop('kill')
      await n1.start()
      await n1.destroy()
      await n3.destroy()
      t.equal(await remains(n1.host), '')
      t.equal(await remains(n3.host), '')
      t.equal(await hostSettings(n1.host), settings, 'what it changed is as before')
    })
  } finally {
    if (!t.passing()) t.comment(cluster.logs())
    await cluster.stop()
  }
})

/** Connections through the published port that a host translates. */
async function translated(entry: LabHost): Promise<number> {
  const listing = await entry.exec('conntrack', ['-L', '-p', 'tcp', '--state', 'ESTABLISHED'])
  return listing.stdout.split('\n').filter((line) => line.includes('dport=8080')).length
}
