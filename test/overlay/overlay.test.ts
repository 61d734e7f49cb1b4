/** The overlay's order of things, with the kernel and the Engine as recordings. */
import { statSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import t from 'tap'
import type { Network } from '../../src/api/network.ts'
import type { Task } from '../../src/api/task.ts'
import { createBody } from '../../src/overlay/bridges.ts'
import { proxyChains } from '../../src/overlay/firewall.ts'
import { bridgeNetwork, forwardingTable } from '../../src/overlay/forwarding-table.ts'
import { probeDataPlane } from '../../src/overlay/probe.ts'
import { RetiredAddresses } from '../../src/overlay/retired-addresses.ts'
import { apply, FakeHost, message, started } from '../support/overlay/fake-host.ts'
import { endpoint, network, node, service, view } from '../support/overlay/views.ts'

const webWith = (addrs: string[], nodes = [node(1), node(2)]) =>
  view({
    nodes,
    networks: [network('front', 1, '10.1.0.0/16')],
    services: [service('web', { vips: [{ networkId: 'front', addr: '10.1.0.5' }] })],
    endpoints: addrs.map((addr) => endpoint(`t${addr}`, 'web', 'n2', { front: addr })),
  })

t.test(
  'a burst of changes is two transactions: the first, and one with all the rest',
  async (t) => {
    const host = new FakeHost()
    const overlay = await started(host)
    await apply(overlay, message(webWith(['10.1.2.1'])))
    t.equal(host.nft().length, 1, 'the full table')
    t.match(host.nft()[0], /^table ip swarmctl\ndelete table/)
    host.ran.length = 0
    const addrs = Array.from({ length: 30 }, (_, at) => `10.1.2.${at + 1}`)
    const first = apply(overlay, message(webWith(addrs.slice(0, 2))))
    await new Promise((resolve) => setImmediate(resolve))
    const others = addrs
      .slice(2)
      .map((_, at) => apply(overlay, message(webWith(addrs.slice(0, at + 3)))))
    await Promise.all([first, ...others])
    t.equal(host.nft().length, 2)
    t.match(host.nft()[1], '10.1.0.5 . 29 : 10.1.2.30', 'what the last one asked for')
    t.notMatch(host.nft()[1], 'delete table')
    await overlay.close()
  },
)

t.test('held only when the kernel holds it, after however many attempts', async (t) => {
  const host = new FakeHost()
  const overlay = await started(host)
  await apply(overlay, message(webWith(['10.1.2.1'])))
  let failures = 3
  host.answer = (command) =>
    command === 'nft -f -' && failures-- > 0 ? { code: 1, stderr: 'No buffer space' } : null
  let isApplied = false
  const applied = apply(overlay, message(webWith(['10.1.2.1', '10.1.2.2']))).then(() => {
    isApplied = true
  })
  // The difference fails, so does the full replacement: the retry is scheduled behind the periodic look.
  while (host.timers.length < 2) await new Promise((resolve) => setImmediate(resolve))
  t.equal(isApplied, false)
  t.match(overlay.problems(), [/No buffer space/])
  host.timers.pop()?.()
  while (failures > 0) await new Promise((resolve) => setImmediate(resolve))
  while (host.timers.length < 2 && !isApplied) await new Promise((resolve) => setImmediate(resolve))
  if (!isApplied) host.timers.pop()?.()
  await applied
  t.strictSame(overlay.problems(), [])
  await overlay.close()
})

t.test(
  'a published port serves nobody before its rules, which keep the client’s address',
  async (t) => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.resume().on('end', () => socket.end('a task'))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const TargetPort = (server.address() as AddressInfo).port
    const free = createServer()
    await new Promise<void>((resolve) => free.listen(0, resolve))
    const PublishedPort = (free.address() as AddressInfo).port
    await new Promise((resolve) => free.close(resolve))
    const said = (): Promise<string> =>
      new Promise((resolve) => {
        let text = ''
        const socket = connect({ port: PublishedPort, host: '127.0.0.1', allowHalfOpen: true })
        socket.on('data', (data) => {
          text += data
        })
        socket.on('end', () => {
          socket.destroy()
          resolve(text)
        })
        socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
        socket.end()
      })
    const host = new FakeHost()
    const overlay = await started(host)
    const port = { Protocol: 'tcp', TargetPort, PublishedPort, PublishMode: 'ingress' } as const
    const before: string[] = []
    host.answer = async (command, input) => {
      if (command === 'nft -f -' && input.includes(`tcp . ${PublishedPort} : goto`))
        before.push(await said())
      return null
    }
    const published = view({
      nodes: [node(1), node(2)],
      networks: [network('front', 1, '10.1.0.0/16')],
      services: [service('web', { ports: [port] })],
      endpoints: [endpoint('t1', 'web', 'n2', { front: '127.0.0.1' })],
    })
    await apply(overlay, message(published))
    t.strictSame(before, ['ECONNRESET'])
    t.equal(await said(), 'a task')
    await overlay.close()

    const refusing = new FakeHost()
    const without = await started(refusing)
    refusing.answer = (command) =>
      command === 'nft -f -' ? { code: 1, stderr: 'No buffer space' } : null
    const applied = apply(without, message(published)).catch(() => {})
    while (refusing.timers.length < 2) await new Promise((resolve) => setImmediate(resolve))
    t.equal(await said(), 'a task', 'a host that takes no rules serves it all the same')
    await without.close()
    await applied
    server.close()
  },
)

t.test('the first encrypted network sets the devices anew, the last one ends theirs', async (t) => {
  const host = new FakeHost()
  const overlay = await started(host)
  const before = webWith(['10.1.2.1'])
  await apply(overlay, message(before))
  host.ran.length = 0
  const vault = network('vault', 2, '10.2.0.0/16', { encrypted: true })
  const both = { ...before, networks: new Map([...before.networks, ['vault', vault]]) }
  await apply(overlay, message(both))
  const lines = host.ran.map((one) => one.input).join('\n')
  t.match(lines, 'link add sw-vx1 type vxlan id 4243')
  t.match(lines, /fdb replace \S+ dev sw-vx1 dst 127.255.255.255 port \d+ self/)
  // A device forgets its neighbours when its address is set.
  t.match(lines, /neigh replace 169.254.77.2 lladdr \S+ dev sw-vx0/)
  host.ran.length = 0
  host.links.push({ ifname: 'sw-vx1', mtu: 1450, address: '' })
  await apply(overlay, message(before))
  t.ok(host.ran.some((one) => one.command === 'ip link del sw-vx1'))
  await overlay.close()
})

t.test("encrypted networks that can't be had are named, and keep nobody waiting", async (t) => {
  const host = new FakeHost()
  const overlay = await started(host)
  host.answer = (_command, input) =>
    input.includes('sw-vx1') && input.includes('link add')
      ? { code: 1, stderr: 'RTNETLINK answers: Address already in use' }
      : null
  const vault = network('vault', 2, '10.2.0.0/16', { encrypted: true })
  const { networks, ...rest } = webWith(['10.1.2.1'])
  const of = { ...rest, networks: new Map([...networks, ['vault', vault]]) }
  await apply(overlay, message(of))
  t.match(overlay.problems(), [/encrypted networks reach no other node.*UDP port 4790/])
  const lines = host.ran.map((one) => one.input).join('\n')
  t.match(lines, 'route replace 10.1.2.0/24 via 169.254.77.2 dev sw-vx0')
  t.notMatch(lines, /route replace 10\.2\./, 'no way at all rather than a plain one')
  await overlay.close()
})

t.test('close leaves the kernel alone and rejects who waits', async (t) => {
  const host = new FakeHost()
  const overlay = await started(host)
  await apply(overlay, message(webWith(['10.1.2.1'])))
  host.ran.length = 0
  await overlay.close()
  t.strictSame(host.ran, [])
  await t.rejects(apply(overlay, message(webWith([]))), { code: 'UNAVAILABLE' })
})

t.test('after a restart the last view serves until a manager sends one', async (t) => {
  const path = `${t.testdir()}/view.json`
  const before = new FakeHost().overlay(path)
  await before.start()
  await before.setSelf({ nodeId: 'n1', index: 1 })
  await apply(before, message(webWith(['10.1.2.1'])))
  await before.close()
  const host = new FakeHost()
  const after = host.overlay(path)
  await after.start()
  await after.setSelf({ nodeId: 'n1', index: 1 })
  t.match(host.nft().at(-1), '10.1.0.5 . 0 : 10.1.2.1')
  await apply(after, message(webWith([])))
  t.match(host.nft().at(-1), 'delete element ip swarmctl vip { 10.1.0.5 }')
  await after.destroy()
  t.throws(() => statSync(path), { code: 'ENOENT' })
  writeFileSync(path, 'garbage')
  const last = new FakeHost().overlay(path)
  await last.start()
  await last.setSelf({ nodeId: 'n1', index: 1 })
  await last.close()
})

t.test('kernel settings of the host are given back at leave, also after a restart', async (t) => {
  const host = new FakeHost()
  const path = `${t.testdir()}/settings.json`
  const rpFilter = (device: string) => `ipv4/conf/${device}/rp_filter`
  const max = 'netfilter/nf_conntrack_max'
  const wait = 'netfilter/nf_conntrack_tcp_timeout_time_wait'
  host.devices = ['all', 'default', 'eth0', 'eth1', 'sw-vx0']
  const before = new Map([
    [rpFilter('all'), '1'],
    [rpFilter('default'), '0'],
    [rpFilter('eth0'), '0'],
    [rpFilter('eth1'), '2'],
    [max, '262144'],
    [wait, '120'],
  ])
  for (const [name, value] of before) host.settings.set(name, value)
  const first = host.overlay(undefined, path)
  await first.start()
  await first.setSelf({ nodeId: 'n1', index: 1 })
  await apply(first, message(webWith([])))
  t.equal(host.settings.get(rpFilter('all')), '0')
  t.equal(host.settings.get(rpFilter('eth0')), '1', 'what `all` demanded')
  t.equal(host.settings.get(rpFilter('eth1')), '2')
  t.equal(host.settings.get(max), '1048576')
  await first.close()
  t.equal(host.settings.get(wait), '30', 'a stopped daemon changes nothing')

  host.settings.set(wait, '60')
  const second = host.overlay(undefined, path)
  await second.start()
  await second.setSelf({ nodeId: 'n1', index: 1 })
  await apply(second, message(webWith([])))
  t.equal(host.settings.get(wait), '30')
  host.settings.set(max, '2000000')
  await second.destroy()
  const after = new Map([...before.keys()].map((name) => [name, host.settings.get(name)]))
  t.strictSame(
    after,
    new Map([...before, [wait, '60'], [max, '2000000']]),
    'an administrator’s own later choice stays',
  )
  t.throws(() => statSync(path), { code: 'ENOENT' })
  t.ok(
    host.writes.lastIndexOf(`${rpFilter('all')}=1`) <
      host.writes.lastIndexOf(`${rpFilter('eth0')}=0`),
    'checked all the time',
  )
})

t.test('a task that ended by itself leaves the table before the managers say so', async (t) => {
  const host = new FakeHost()
  const overlay = await started(host)
  const of = webWith(['10.1.2.1', '10.1.2.2'])
  await apply(overlay, message(of))
  overlay.dropEndpoint('t10.1.2.1')
  await apply(overlay, message(of))
  t.notMatch(host.nft().at(-1), '10.1.0.5 . 1 : ')
  t.match(host.nft().at(-1), '10.1.0.5 . 0 : 10.1.2.2')
  await overlay.close()
})

const taskOn = (net: object): Task =>
  ({
    ID: 'task',
    Spec: { ContainerSpec: { DNSConfig: { Nameservers: ['9.9.9.9'], Options: ['ndots:2'] } } },
    NetworksAttachments: [
      {
        Network: {
          ID: 'front',
          Spec: { Name: 'front', DriverConfiguration: { Name: 'overlay', Options: {} } },
          IPAMOptions: { Configs: [{ Subnet: '10.1.0.0/16' }] },
          Swarmctl: { Index: 1, Plan: 'blocks', Gateways: {} },
          ...net,
        } as unknown as Network,
        Addresses: ['10.1.1.20/16'],
      },
      {
        Network: { ID: 'h', Spec: { DriverConfiguration: { Name: 'host' } } } as unknown as Network,
        Addresses: [],
      },
    ],
  }) as unknown as Task

t.test('attach needs no view: the task tells what its networks are', async (t) => {
  const host = new FakeHost()
  host.settings.set('/etc/resolv.conf', 'search corp.example\n')
  const overlay = host.overlay()
  await overlay.start()
  await t.rejects(overlay.attach(taskOn({})), { code: 'UNAVAILABLE' })
  await overlay.setSelf({ nodeId: 'n1', index: 1 })
  const wiring = await overlay.attach(taskOn({}))
  t.match(wiring, {
    networks: [{ dockerNetwork: 'swarmctl-1', ipv4Address: '10.1.1.20', aliases: [] }],
    dns: ['10.1.1.1', '9.9.9.9'],
    dnsSearch: ['swarmctl.internal', 'corp.example'],
    dnsOptions: ['ndots:2'],
  })
  t.equal(host.networks.size, 1)
  await overlay.close()
})

t.test(
  'a network that only containers of this node are still on has no way, not a plain one',
  async (t) => {
    const host = new FakeHost()
    const overlay = await started(host)
    const DriverConfiguration = { Name: 'overlay', Options: { encrypted: '' } }
    const task = taskOn({ Spec: { Name: 'front', DriverConfiguration } })
    const without = { ...webWith([]), networks: new Map() }
    await apply(overlay, message(without))
    await overlay.attach(task)
    const guarded = /add element ip swarmctl encrypted_nets { 10\.1\.0\.0\/16 }/
    t.match(host.nft().at(-1), guarded, 'before the view has it')
    const vault = network('front', 1, '10.1.0.0/16', { encrypted: true })
    await apply(overlay, message({ ...without, networks: new Map([['front', vault]]) }))
    host.ran.length = 0
    await apply(overlay, message(without))
    const removed = /delete element ip swarmctl encrypted_nets/
    t.notMatch(host.nft().join('\n'), removed, 'stack rm: its last tasks are stopping')
    await overlay.detach('task')
    await apply(overlay, message({ ...without, nodes: view({}).nodes }))
    t.match(host.nft().at(-1), removed)
    await overlay.close()
  },
)

t.test('the bridge as the Engine is asked for it', async (t) => {
  const self = { nodeId: 'n2', index: 2 }
  const bridge = (of: ReturnType<typeof network>, version: string) => {
    const one = bridgeNetwork(of, self)
    t.ok(one?.gateway)
    return createBody(one as never, { mtu: 1450, engineVersion: version })
  }
  const blocks = bridge(network('front', 1, '10.1.0.0/16', { internal: true }), '28.2.0')
  t.match(blocks, {
    Name: 'swarmctl-1',
    Internal: true,
    IPAM: {
      Config: [{ Subnet: '10.1.0.0/16', IPRange: '10.1.2.0/24', Gateway: '10.1.2.1' }],
    },
    Options: {
      'com.docker.network.bridge.name': 'sw-br1',
      'com.docker.network.driver.mtu': '1450',
      'com.docker.network.bridge.trusted_host_interfaces': 'sw-vx0',
    },
  })
  const flat = network('flat', 2, '10.9.9.0/24', {
    plan: 'flat',
    mtu: 1400,
    gateways: { n2: '10.9.9.2' },
  })
  for (const version of ['20.10.24', '28.1.1', '27.5.0']) {
    const body = bridge(flat, version)
    t.match(body.IPAM.Config, [{ Gateway: '10.9.9.2', IPRange: '10.9.9.0/24' }])
    t.notOk('com.docker.network.bridge.trusted_host_interfaces' in body.Options, version)
    t.equal(body.Options['com.docker.network.driver.mtu'], '1400')
  }
})

t.test('which plane a host can run', async (t) => {
  const host = new FakeHost()
  t.strictSame(await probeDataPlane(host.exec, 'auto'), { plane: 'kernel', note: '' })
  t.strictSame(await probeDataPlane(host.exec, 'proxy'), { plane: 'proxy', note: '' })
  host.answer = (command) => (/^(nft|conntrack) /.test(command) ? { code: 127 } : null)
  t.match(await probeDataPlane(host.exec, 'auto'), {
    plane: 'proxy',
    note: /missing: nft \(package nftables\), conntrack \(package conntrack\)/,
  })
  await t.rejects(probeDataPlane(host.exec, 'kernel'), {
    code: 'FAILED_PRECONDITION',
    message: /missing: nft/,
  })
  host.answer = (command) =>
    command === 'nft -f -' ? { code: 1, stderr: 'Error: Could not process rule\nmore' } : null
  t.match(await probeDataPlane(host.exec, 'auto'), {
    plane: 'proxy',
    note: /Could not process rule$/,
  })
  host.answer = (command) => (command === 'ip -V' ? { code: 127 } : null)
  await t.rejects(probeDataPlane(host.exec, 'proxy'), /install the package iproute2/)
})

t.test('addresses of tasks that are gone are remembered for a time', async (t) => {
  const host = new FakeHost()
  const retired = new RetiredAddresses(host.clock)
  const [two, one, none] = [webWith(['10.1.2.1', '10.1.2.2']), webWith(['10.1.2.2']), webWith([])]
  retired.onViews(two, one)
  t.strictSame(retired.addresses(), ['10.1.2.1'])
  retired.onViews(one, two)
  t.strictSame(retired.addresses(), [], 'used again')
  retired.onViews(two, none)
  t.equal(retired.addresses().length, 2)
  const gateways = { n3: '10.1.2.1' }
  retired.onViews(none, {
    ...none,
    networks: new Map([['front', network('front', 1, '10.1.0.0/16', { plan: 'flat', gateways })]]),
  })
  t.strictSame(retired.addresses(), ['10.1.2.2'], "a node's gateway now")
  host.now = 16 * 60_000
  t.strictSame(retired.addresses(), [])
  retired.onViews(two, { ...none, networks: new Map() })
  t.strictSame(retired.addresses(), [], 'their network left the view as a whole')
})

t.test("the proxy plane's rules", async (t) => {
  const table = forwardingTable(
    view({
      networks: [
        network('a', 1, '10.1.0.0/16'),
        network('b', 2, '10.2.0.0/16', { internal: true }),
      ],
    }),
    'n1',
  )
  t.ok(table)
  if (table === null) return
  const lines = proxyChains(table, { vxlanPort: 4789 }).split('\n')
  const between = lines.indexOf('-A SWARMCTL -s 10.1.0.0/16 -j SWARMCTL-BETWEEN')
  t.ok(lines.includes('-A SWARMCTL-BETWEEN -d 10.2.0.0/16 -j DROP'))
  const accepts = lines.indexOf('-A SWARMCTL -s 10.1.0.0/16 -d 10.1.0.0/16 -j ACCEPT')
  const asks = lines.indexOf('-A SWARMCTL -i sw-br+ -m conntrack --ctdir ORIGINAL -j SWARMCTL-FROM')
  t.ok(accepts < between && between < lines.indexOf('-A SWARMCTL -i sw-vx+ -o sw-br+ -j ACCEPT'))
  t.ok(0 < asks && asks < accepts, 'the sender is asked for before anything is accepted')
  const own = lines.indexOf('-A SWARMCTL-FROM -i sw-br1 -s 10.1.0.0/16 -j RETURN')
  t.ok(0 < own && own < lines.indexOf('-A SWARMCTL-FROM -s 10.1.0.0/16 -j DROP'))
  t.ok(lines.includes('-A SWARMCTL-NAT -s 10.1.1.0/24 ! -o sw-vx+ -j MASQUERADE'))
  t.notOk(
    lines.some((line) => line.includes('-s 10.2.1.0/24 ! -o')),
    'an internal one is not translated',
  )
  const taken = lines.indexOf('-A SWARMCTL-IN -p udp --dport 4789 -j SWARMCTL-VXLAN')
  const elsewhere = lines.indexOf('-A SWARMCTL-IN -p udp --dport 4789 ! -d 192.168.0.1 -j DROP')
  t.ok(0 < elsewhere && elsewhere < taken, 'the device hears at one address')
})

t.test('in the proxy plane no answer has an address that is routed to another node', async (t) => {
  const flat = { plan: 'flat', gateways: { n1: '10.3.3.1', n2: '10.3.3.2' } } as const
  const table = forwardingTable(
    view({
      networks: [network('a', 1, '10.1.0.0/16'), network('c', 3, '10.3.3.0/24', flat)],
      services: [service('s')],
      endpoints: [
        endpoint('t1', 's', 'n1', { a: '10.1.2.77', c: '10.3.3.10' }),
        endpoint('t2', 's', 'n2', { a: '10.1.1.88', c: '10.3.3.20' }),
      ],
    }),
    'n1',
  )!
  const lines = proxyChains(table, { vxlanPort: 4789 }).split('\n')
  t.strictSame(
    lines.filter((line) => line.startsWith('-A SWARMCTL-ANSWER')),
    [
      '-A SWARMCTL-ANSWER -s 10.3.3.2 -j DROP',
      '-A SWARMCTL-ANSWER -s 10.1.2.77 -j RETURN',
      '-A SWARMCTL-ANSWER -s 10.1.1.88 -j DROP',
      '-A SWARMCTL-ANSWER -s 10.3.3.20 -j DROP',
      '-A SWARMCTL-ANSWER -s 10.1.1.0/24 -j RETURN',
      '-A SWARMCTL-ANSWER -s 10.1.0.0/16 -j DROP',
    ],
  )
  const asks = lines.indexOf('-A SWARMCTL -i sw-br+ -m conntrack --ctdir REPLY -j SWARMCTL-ANSWER')
  t.ok(0 < asks && asks < lines.indexOf('-A SWARMCTL -s 10.1.0.0/16 -d 10.1.0.0/16 -j ACCEPT'))
})
