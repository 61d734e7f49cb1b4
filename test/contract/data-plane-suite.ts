/**
 * What both data planes promise, on real hosts with real containers. What only packets can do (the client's address, VIPs, UDP
 * sessions of the kernel) stands in `Promises` by name.
 */
import type { Test } from 'tap'
import { eventually } from '../support/lab/eventually.ts'
import type { Lab } from '../support/lab/lab.ts'
import { arrives, sendFrom, sendFromHost, vxlanDatagram } from '../support/overlay/datagrams.ts'
import type { OverlayCluster, TestTask } from '../support/overlay/overlay-cluster.ts'

/** In what the planes differ (design §8). */
export interface Promises {
  /** The container sees who asked, whichever node was asked. */
  keepsClientAddress: boolean
  /** A connection to an endpoint that went without notice goes to another one. */
  retries: boolean
  /** A name stands for a virtual address; else for the ready tasks'. */
  hasVips: boolean
}

export interface Identity {
  version: string
  host: string
  remote: string
  local: string
}

const UDP_ASK = `socket(S,PF_INET,SOCK_DGRAM,0);connect(S,sockaddr_in($ARGV[1],inet_aton($ARGV[0])));
for (1..5) { syswrite(S,"ping"); vec($r='',fileno(S),1)=1; if (select($r,undef,undef,0.4)) { sysread(S,$b,999) && last } } print $b`

/** Requests from lab machines and containers. */
export class Ask {
  readonly lab: Lab

  constructor(lab: Lab) {
    this.lab = lab
  }

  /** One request from the lab's client; throws curl's words. */
  async client(url: string): Promise<Identity> {
    return JSON.parse((await this.lab.client(1).exec('curl', ['-sS', '-m5', url])).stdout)
  }

  /** One request from a host itself. */
  async host(number: number, url: string): Promise<Identity> {
    return JSON.parse((await this.lab.host(number).exec('curl', ['-sS', '-m5', url])).stdout)
  }

  /** One request from inside a task's container. */
  async task(task: TestTask, url: string): Promise<Identity> {
    return JSON.parse(await this.shell(task, `curl -sS -m5 ${url}`))
  }

  /** Which tasks answered `count` requests from inside a container, sorted. */
  async hosts(task: TestTask, url: string, count: number): Promise<string[]> {
    const script = `for i in $(seq ${count}); do curl -sS -m5 ${url} || exit 1; done`
    const lines = (await this.shell(task, script)).trim().split('\n')
    return lines.map((line) => (JSON.parse(line) as Identity).host).sort()
  }

  async shell(task: TestTask, script: string): Promise<string> {
    return (await task.node.host.docker(['exec', task.container, 'sh', '-c', script])).stdout
  }

  /** curl's exit code and how long it took: 7 is refused, 56 reset, 28 a time-out. */
  async refusal(exec: (args: string[]) => Promise<{ code: number }>, url: string) {
    const startedMs = performance.now()
    const { code } = await exec(['curl', '-sS', '-m5', url])
    return { code, ms: performance.now() - startedMs }
  }

  /** Established TCP connections in a task's network namespace. */
  async connections(task: TestTask): Promise<number> {
    const args = ['-t', String(task.pid), '-n', 'ss', '-tnH']
    const listing = (await task.node.host.exec('nsenter', args)).stdout
    return listing.split('\n').filter((line) => line.startsWith('ESTAB')).length
  }

  /** One datagram from the client, repeated until an answer comes. */
  async udp(ip: string, port: number): Promise<string> {
    const args = ['-MSocket', '-e', UDP_ASK, ip, String(port)]
    return (await this.lab.client(1).exec('perl', args)).stdout
  }
}

const REFUSED = [7, 52, 56]

/** Runs on a started cluster of three nodes and one client; leaves it without networks, services and tasks. */
export async function dataPlaneSuite(
  t: Test,
  cluster: OverlayCluster,
  promises: Promises,
): Promise<void> {
  const { lab } = cluster
  const ask = new Ask(lab)
  const [n1, n2, n3] = [cluster.node(1), cluster.node(2), cluster.node(3)]
  cluster.addNetwork('ingress', '10.201.0.0/16', { ingress: true })
  cluster.addNetwork('front', '10.202.0.0/16')
  cluster.addNetwork('back', '10.203.0.0/16')
  cluster.addNetwork('vault', '10.204.0.0/16', { internal: true })
  cluster.addService('web', {
    networks: ['front'],
    aliases: ['www'],
    ports: [
      { published: 8080, target: 80 },
      { published: 9000, target: 9000, protocol: 'udp' },
      { published: 9000, target: 9001 },
    ],
  })
  cluster.addService('told', {
    networks: ['front'],
    ports: [{ published: 8090, target: 80, proxyProtocol: 'v2' }],
  })
  cluster.addService('db', { networks: ['back'] })
  cluster.addService('safe', { networks: ['vault'] })
  cluster.addService('empty', { networks: ['front'], ports: [{ published: 8081, target: 80 }] })
  cluster.addService('rr', { networks: ['front'], mode: 'dnsrr' })
  await cluster.sync()
  const on = ['ingress', 'front']
  const web1 = await cluster.startTask('web', n1, { networks: on })
  const web2 = await cluster.startTask('web', n2, { networks: on })
  const db = await cluster.startTask('db', n2, { networks: ['back'] })
  const safe1 = await cluster.startTask('safe', n1, { networks: ['vault'] })
  const safe2 = await cluster.startTask('safe', n2, { networks: ['vault'] })
  const rr = await cluster.startTask('rr', n2, { networks: ['front'] })
  await cluster.sync()
  const all = [web1.container, web2.container].sort()
  const balanced = all.flatMap((name) => [name, name, name])

  await t.test('a service name reaches every ready task in turn', async (t) => {
    t.strictSame(await ask.hosts(web1, 'http://web/', 6), balanced)
    t.strictSame(await ask.hosts(rr, 'http://www/', 6), balanced, 'an alias too')
    const seen = await ask.task(rr, `http://${web1.addresses.get('front')}/`)
    t.equal(
      seen.remote,
      rr.addresses.get('front'),
      'a task of another node sees the asking address',
    )
  })

  await t.test('names are scoped by network and answered at once', async (t) => {
    const lookup = (task: TestTask, name: string) =>
      ask.shell(task, `nslookup ${name} | sed 1,3d | grep ^Address | sort || true`)
    const front = (task: TestTask) => `Address: ${task.addresses.get('front')}`
    const both = [front(web1), front(web2)].sort().join('\n')
    const found = (await lookup(rr, 'web')).trim()
    if (promises.hasVips) t.equal(found, `Address: ${cluster.vip('web', 'front')}`)
    else t.ok(both.split('\n').includes(found), 'one ready task in turn')
    t.equal((await lookup(rr, 'tasks.web')).trim(), both)
    t.equal((await lookup(web1, 'rr')).trim(), front(rr), 'dnsrr')
    t.equal((await lookup(web1, web2.container)).trim(), front(web2), 'a hostname')
    t.equal((await lookup(web1, 'db')).trim(), '', 'not on the network')
    t.equal((await lookup(db, 'web')).trim(), '', 'not on the network')
    const reverse = await ask.shell(web1, `nslookup ${web2.addresses.get('front')}`)
    t.match(reverse, `name = ${web2.container}.front`)
    const startedMs = performance.now()
    await ask.shell(web1, 'nslookup nosuch.example.com || true')
    t.ok(performance.now() - startedMs < 3000, 'without an upstream a name fails fast')
  })

  await t.test('a published port is served on every node', async (t) => {
    const client = lab.client(1).ip
    for (const node of cluster.nodes) {
      const seen = [
        await ask.client(`http://${node.host.ip}:8080/`),
        await ask.client(`http://${node.host.ip}:8080/`),
      ]
      t.strictSame(seen.map((one) => one.host).sort(), all, `all tasks through ${node.nodeId}`)
      if (promises.keepsClientAddress)
        t.strictSame(new Set(seen.map((one) => one.remote)), new Set([client]))
    }
    t.match(await ask.udp(n3.host.ip, 9000), /payload=ping/)
    const echo = await ask.udp(n1.host.ip, 9000)
    if (promises.keepsClientAddress) t.match(echo, ` remote=${client}:`)
    const inside = await ask.task(db, `http://${n3.host.ip}:8080/`)
    t.ok(all.includes(inside.host), 'from a container of another network')
    const own = await ask.task(web1, `http://${n1.host.ip}:8080/`)
    t.ok(all.includes(own.host), 'from a container to its own node')
  })

  await t.test('PROXY protocol: the task is told who connects, in both planes', async (t) => {
    const told = await cluster.startTask('told', n2, { networks: on, env: ['PROXY_PROTOCOL=1'] })
    await cluster.sync()
    for (const node of cluster.nodes) {
      const seen = await ask.client(`http://${node.host.ip}:8090/`)
      t.match(seen, { host: told.container, remote: lab.client(1).ip }, node.nodeId)
    }
    await cluster.removeTask(told)
    const refusal = await ask.refusal(
      (args) => lab.client(1).exec(args[0]!, args.slice(1), { check: false }),
      `http://${n1.host.ip}:8090/`,
    )
    t.ok(REFUSED.includes(refusal.code), `curl says ${refusal.code}`)
  })

  await t.test('loopback is served too', async (t) => {
    for (const number of [1, 3]) {
      const seen = [
        await ask.host(number, 'http://127.0.0.1:8080/'),
        await ask.host(number, 'http://[::1]:8080/'),
      ]
      t.strictSame(seen.map((one) => one.host).sort(), all)
      const own = await ask.host(number, `http://${lab.host(number).ip}:8080/`)
      t.ok(all.includes(own.host), 'the host asks its own address')
    }
  })

  await t.test('a task reaches itself through its service', async (t) => {
    cluster.setState(web2.container, 'draining')
    await cluster.sync()
    t.strictSame(await ask.hosts(web1, 'http://web/', 2), [web1.container, web1.container])
    t.equal((await ask.task(web1, `http://${n1.host.ip}:8080/`)).host, web1.container)
    cluster.setState(web2.container, 'ready')
    await cluster.sync()
  })

  await t.test('a service without ready tasks refuses at once', async (t) => {
    const client = (args: string[]) =>
      lab.client(1).exec(args[0] ?? '', args.slice(1), { check: false })
    for (const node of cluster.nodes) {
      const { code, ms } = await ask.refusal(client, `http://${node.host.ip}:8081/`)
      t.ok(REFUSED.includes(code), `refused, not ${code}`)
      t.ok(ms < 3000)
    }
    const host = (args: string[]) => n1.host.exec(args[0] ?? '', args.slice(1), { check: false })
    for (const url of ['http://127.0.0.1:8081/', 'http://[::1]:8081/']) {
      t.ok(REFUSED.includes((await ask.refusal(host, url)).code), url)
    }
    if (!promises.hasVips) return
    const inside = (args: string[]) =>
      n1.host.docker(['exec', web1.container, ...args], { check: false })
    const { code, ms } = await ask.refusal(inside, 'http://empty/')
    t.equal(code, 7)
    t.ok(ms < 3000)
    const closed = await ask.refusal(inside, 'http://web:81/')
    t.equal(closed.code, 7, 'a port that no task listens on')
  })

  await t.test('networks are apart; internal ones have no way out', async (t) => {
    const reaches = async (task: TestTask, target: string) =>
      (
        await task.node.host.docker(
          ['exec', task.container, 'curl', '-sS', '-m1', '-o/dev/null', `http://${target}/`],
          { check: false },
        )
      ).code === 0
    t.equal(await reaches(db, web1.addresses.get('front') ?? ''), false, 'another network')
    t.equal(await reaches(db, web2.addresses.get('front') ?? ''), false, 'on the same host')
    t.equal(await reaches(safe1, db.addresses.get('back') ?? ''), false)
    t.equal(await reaches(safe1, 'safe'), true, 'an internal network works inside')
    t.equal(await reaches(safe1, safe2.addresses.get('vault') ?? ''), true)
    t.equal(await reaches(safe1, `${lab.host(3).ip}:8080`), false, 'and not outside')
    if (promises.hasVips) t.equal(await reaches(db, cluster.vip('web', 'front')), false)
    // The client as somewhere outside: a container reaches it with its node's address.
    const ping = await ask.shell(db, `ping -c1 -W2 ${lab.client(1).ip}`)
    t.match(ping, /1 packets received/)
    const out = await safe1.node.host.docker(
      ['exec', safe1.container, 'ping', '-c1', '-W1', lab.client(1).ip],
      { check: false },
    )
    t.not(out.code, 0, 'outbound from an internal network')
  })

  await t.test('nobody gets in with the address of somebody else', async (t) => {
    const place = (task: TestTask) => ({ host: task.node.host, pid: task.pid })
    const [first, second, stranger] = [place(web1), place(web2), place(db)]
    const from = web1.addresses.get('front') ?? ''
    const to = web2.addresses.get('front') ?? ''
    const own = db.addresses.get('back') ?? ''
    t.equal(
      await arrives(second, () => sendFrom(first, { from, to })),
      true,
      'what is its own does',
    )
    t.equal(await arrives(second, () => sendFrom(stranger, { from: own, to })), false)
    t.equal(await arrives(second, () => sendFrom(stranger, { from, to })), false, 'on its host')
    const back = { from: to, to: from }
    t.equal(await arrives(first, () => sendFrom(stranger, back)), false, 'elsewhere')

    const onFirst = vxlanDatagram({ node: n2.host, addr: to }, { node: n1.host, addr: from })
    t.equal(await arrives(first, () => sendFromHost(n2.host, onFirst)), true, 'what a node wraps')
    const onSecond = vxlanDatagram({ node: n1.host, addr: from }, { node: n2.host, addr: to })
    for (const [at, wrapped] of [
      [first, onFirst],
      [second, onSecond],
    ] as const)
      for (const address of [own, n2.host.ip, n1.host.ip]) {
        const send = () => sendFrom(stranger, { ...wrapped, from: address })
        t.equal(await arrives(at, send), false, `what a container wraps, from ${address}`)
      }
    // The device's socket is bound to every address of its host.
    const toGateway = { ...onSecond, to: own.replace(/\d+$/, '1') }
    t.equal(await arrives(second, () => sendFrom(stranger, toGateway)), false, 'to its gateway')
  })

  await t.test('a change under load loses nothing', async (t) => {
    const stop = `${lab.client(1).dir}/stop`
    const rounds = 16
    // Each request is a new connection; counts requests and failures until told to stop.
    const load = (url: string) =>
      lab
        .client(1)
        .exec('sh', [
          '-c',
          `n=0; x=0; while [ ! -e ${stop} ]; do n=$((n+1)); curl -sS -m5 -o /dev/null ${url} || x=$((x+1)); done; echo $n $x`,
        ])
    const running = [n1, n3].map((node) => load(`http://${node.host.ip}:8080/`))
    for (let round = 0; round < rounds; round++) {
      const task = round % 2 === 0 ? web1 : web2
      cluster.setState(task.container, 'draining')
      await cluster.sync()
      cluster.setState(task.container, 'ready')
      await cluster.sync()
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    await lab.client(1).exec('touch', [stop])
    for (const { stdout } of await Promise.all(running)) {
      const [requests = 0, failures] = stdout.split(' ').map(Number)
      t.ok(requests > rounds, `${requests} requests`)
      t.equal(failures, 0)
    }
  })

  await t.test('a download survives its endpoint leaving rotation: drain waits', async (t) => {
    cluster.setState(web2.container, 'starting')
    await cluster.sync()
    const url = `http://${n3.host.ip}:8080/slow?seconds=5`
    const size = ['-o', '/dev/null', '-w', '%{size_download}']
    const download = lab.client(1).exec('curl', ['-sS', '-m20', ...size, url])
    await eventually(async () => (await ask.connections(web1)) > 0, { what: 'it runs' })
    cluster.setState(web2.container, 'ready')
    cluster.setState(web1.container, 'draining')
    await cluster.sync()
    const drained = await n1.drain(web1.task, web1.pid, 30_000)
    t.ok(drained > 2000, `drain waited ${drained} ms`)
    t.equal((await download).stdout, String(50 * 16))
    t.ok((await n1.drain(web1.task, web1.pid, 30_000)) < 1000, 'at once without connections')
    cluster.setState(web1.container, 'ready')
    cluster.setState(web2.container, 'starting')
    await cluster.sync()
    const connect = `IO::Socket::INET->new('${n3.host.ip}:9000') or die; sleep 8`
    const idle = lab.client(1).exec('perl', ['-MIO::Socket::INET', '-e', `my $s = ${connect}`])
    await eventually(async () => (await ask.connections(web1)) > 0, { what: 'it is connected' })
    t.ok((await n1.drain(web1.task, web1.pid, 500)) < 2000, 'the limit ends it')
    const waited = await n1.drain(web1.task, web1.pid, 30_000)
    t.ok(waited > 1000 && waited < 7000, `a silent connection held up for ${waited} ms`)
    await idle
    cluster.setState(web2.container, 'ready')
    await cluster.sync()
  })

  if (promises.retries) {
    await t.test('an endpoint that went without notice is passed over', async (t) => {
      await web2.node.host.docker(['kill', web2.container])
      for (const node of cluster.nodes) {
        for (let i = 0; i < 2; i++) {
          const seen = await ask.client(`http://${node.host.ip}:8080/`)
          t.equal(seen.host, web1.container, `through ${node.nodeId}`)
        }
      }
    })
  }

  for (const task of [web1, web2, db, safe1, safe2, rr]) await cluster.removeTask(task)
  cluster.clear()
  await cluster.sync()
}
