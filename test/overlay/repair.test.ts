/** What others left, take away or have on the host, and what that may cost. */
import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import type { Task } from '../../src/api/task.ts'
import type { ExecResult } from '../../src/overlay/exec.ts'
import { Firewall } from '../../src/overlay/firewall.ts'
import { forwardingTable } from '../../src/overlay/forwarding-table.ts'
import { nftModel } from '../../src/overlay/nft-model.ts'
import { answeringAddresses, endedFlows, removalArgs } from '../../src/overlay/udp-flows.ts'
import { apply, FakeHost, message, started } from '../support/overlay/fake-host.ts'
import { endpoint, network, node, service, view } from '../support/overlay/views.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))
const turns = async (count: number) => {
  for (let i = 0; i < count; i++) await turn()
}

const two = view({
  nodes: [node(1), node(2)],
  networks: [network('front', 1, '10.1.0.0/16'), network('back', 2, '10.2.0.0/16')],
})

/** A task that brings its network along. */
const taskOn = (id: string, address: string, index = 1): Task =>
  ({
    ID: 'task',
    Spec: { ContainerSpec: {} },
    NetworksAttachments: [
      {
        Network: {
          ID: id,
          Spec: { Name: id, DriverConfiguration: { Name: 'overlay', Options: {} } },
          IPAMOptions: { Configs: [{ Subnet: `10.${index}.0.0/16` }] },
          Swarmctl: { Index: index, Plan: 'blocks', Gateways: {} },
        },
        Addresses: [address],
      },
    ],
  }) as unknown as Task

/** Of the runs with input, one text. */
const inputs = (host: FakeHost): string => host.ran.map(({ input }) => input).join('\n')

t.test(
  'a bridge that lacks the gateway costs its own network its source, and no other',
  async (t) => {
    const host = new FakeHost()
    // Left of another swarm, in which this was node 7.
    host.bridges.push('sw-br1', 'sw-br2')
    const bridge = (ifname: string, local: string) => ({
      ...{ ifname, mtu: 1450, address: '' },
      addr_info: [{ local, prefixlen: 16 }],
    })
    host.links.push(bridge('sw-br1', '10.1.7.1'), bridge('sw-br2', '10.2.1.1'))
    host.answer = (_command, input) =>
      input.includes('src 10.1.1.1') ? { code: 2, stderr: 'Error: Invalid prefsrc address.' } : null
    const overlay = await started(host)
    await apply(overlay, message(two))
    t.match(
      inputs(host),
      'route replace 10.2.2.0/24 via 169.254.77.2 dev sw-vx0 onlink src 10.2.1.1',
    )
    t.match(inputs(host), 'route replace 10.1.2.0/24 via 169.254.77.2 dev sw-vx0 onlink proto 94')
    t.match(host.nft().at(-1), 'add element ip swarmctl overlay', 'the sync went on')
    t.match(overlay.problems(), [/network front: the bridge sw-br1 does not have .* 10\.1\.1\.1/])

    host.ran.length = 0
    await apply(overlay, message({ ...two, services: view({}).services }))
    t.strictSame(inputs(host).trim(), '', 'nothing is tried at each change')
    t.equal(overlay.problems().length, 1)
    // A task comes, and with it the right bridge.
    host.answer = () => null
    await overlay.attach(taskOn('front', '10.1.1.20/16'))
    t.match(
      inputs(host),
      'route replace 10.1.2.0/24 via 169.254.77.2 dev sw-vx0 onlink src 10.1.1.1',
    )
    t.strictSame(overlay.problems(), [])
    await overlay.close()
  },
)

t.test("an administrator's routing rules stay, whatever their numbers", async (t) => {
  const host = new FakeHost()
  const own = (index: number) => ({
    priority: 900 + index,
    fwmark: `0x${(index << 16).toString(16)}`,
    fwmask: '0xfff0000',
    table: String(900 + index),
  })
  const rules = [
    { priority: 900, fwmark: '0', fwmask: '0xfff0000', goto: 1411 },
    ...[own(2), own(5)],
    { priority: 905, src: '10.0.0.6', table: '100' },
    { priority: 1000, src: '10.0.0.5', table: '100' },
    { priority: 1411, src: 'all', nop: null },
  ]
  host.answer = (command) =>
    command === 'ip -j rule show' ? { stdout: JSON.stringify(rules) } : null
  const overlay = await started(host)
  await apply(overlay, message(two))
  const lines = inputs(host)
    .split('\n')
    .filter((line) => line.startsWith('rule '))
  t.strictSame(lines, ['rule del pref 905 fwmark 0x50000/0xfff0000 lookup 905'])
  await overlay.close()
})

t.test('what somebody removes is put back, also what went during a sync', async (t) => {
  const host = new FakeHost()
  const overlay = await started(host)
  await apply(overlay, message(two))
  const there = (pref: number) => ({
    ...{ priority: pref, fwmark: `0x${((pref - 900) << 16).toString(16)}`, fwmask: '0xfff0000' },
    table: String(pref),
  })
  const all = [
    { priority: 900, fwmark: '0', fwmask: '0xfff0000', goto: 1411 },
    there(902),
    { priority: 1411, nop: null },
  ]
  let rules: object[] = all
  let tables = 'table ip swarmctl\n'
  host.answer = (command) => {
    if (command === 'ip -j rule show') return { stdout: JSON.stringify(rules) }
    if (command === 'nft list tables ip') return { stdout: tables }
    if (command.startsWith('ip -o link show up')) return { stdout: '3: sw-vx0: <UP>' }
    return null
  }
  const tell = async (program: string, line: string) => {
    const before = host.timers.length
    host.ran.length = 0
    host.monitors.get(program)?.(line)
    if (host.timers.length > before) host.timers.pop()?.()
    await turns(60)
  }
  await tell('ip', 'Deleted 902:\tfrom all fwmark 0x20000/0xfff0000 lookup 902')
  t.notMatch(
    inputs(host),
    'rule add',
    'it is there: it was somebody else’s, or a sync made it anew',
  )
  await tell('ip', 'Deleted 1500:\tfrom all lookup 7')
  t.strictSame(host.ran, [], 'none of ours')
  rules = all.slice(2)
  await tell('ip', 'Deleted 902:\tfrom all fwmark 0x20000/0xfff0000 lookup 902')
  t.match(inputs(host), 'rule add pref 902 fwmark 0x20000/0xfff0000 lookup 902')
  t.match(host.said.at(-1), 'routing rules were removed by someone else')
  rules = all
  await tell('ip', 'Deleted 3: sw-vx0: <BROADCAST> mtu 1450 qdisc noqueue')
  t.notMatch(inputs(host), 'link ', 'made anew by a sync')

  // While the sync waits for the bridges, after its own look at the table.
  overlay.take(message({ ...two, services: view({}).services }))
  await turn()
  tables = ''
  await tell('nft', 'delete table ip swarmctl')
  t.match(host.nft().at(-1), /^table ip swarmctl\ndelete table/)
  t.match(host.said.at(-1), 'nftables rules were removed by someone else')
  await overlay.close()
})

t.test('what can not be programmed is said once', async (t) => {
  const host = new FakeHost()
  const overlay = await started(host)
  host.links.length = 0
  overlay.take(message(two))
  for (let attempt = 0; attempt < 3; attempt++) {
    await turns(20)
    host.timers.pop()?.()
  }
  await turns(20)
  t.strictSame(host.said, ['overlay sync failed'])
  await overlay.close()
})

t.test('a bridge that a task gets while old ones are removed stays', async (t) => {
  const host = new FakeHost()
  const overlay = await started(host)
  const removed: string[] = []
  let attached: Promise<unknown> | undefined
  const task = taskOn('late', '10.9.1.20/16', 9)
  host.docker.listNetworks = async () => {
    attached ??= overlay.attach(task)
    while (!host.bridges.includes('sw-br9')) await turn()
    const labels = (id: string) => ({ 'swarmctl.network': id })
    return [
      { Id: 'old', Name: 'swarmctl-8', Labels: labels('old') },
      { Id: 'late', Name: 'swarmctl-9', Labels: labels('late') },
    ]
  }
  const { getNetwork } = host.docker
  host.docker.getNetwork = (name) => ({
    ...getNetwork(name),
    remove: async () => void removed.push(name),
  })
  await apply(overlay, message(two))
  await attached
  t.strictSame([...new Set(removed)], ['old'])
  await overlay.close()
})

t.test('a task finds the way through an Engine that came after us', async (t) => {
  const host = new FakeHost()
  let hasChain = false
  host.answer = (command) => {
    if (/^iptables .*-[CS] /.test(command)) return { code: 1 }
    if (/^iptables .*-I DOCKER-USER /.test(command)) return { code: hasChain ? 0 : 1 }
    return null
  }
  host.bridges.push('sw-br1')
  const overlay = await started(host)
  await apply(overlay, message(two))
  t.match(overlay.dataPlane.note, 'there is no chain DOCKER-USER')
  hasChain = true
  host.docker.getNetwork = () => ({
    inspect: async () => ({
      ...{ Id: 'x', Name: 'swarmctl-1', Labels: { 'swarmctl.network': 'front' } },
      IPAM: { Config: [{ Subnet: '10.1.0.0/16', Gateway: '10.1.1.1' }] },
    }),
    remove: async () => {},
  })
  await overlay.attach(taskOn('front', '10.1.1.20/16'))
  t.equal(overlay.dataPlane.note, '')
  await overlay.close()
})

t.test('the proxy plane says what it lacks as long as it lacks it', async (t) => {
  let broken = /-I DOCKER-USER/
  const run = async (program: string, args: readonly string[]): Promise<ExecResult> => {
    const command = [program, ...args].join(' ')
    const isMissing = / -C /.test(command) || broken.test(command)
    return { code: isMissing ? 1 : 0, stdout: '', stderr: isMissing ? 'no' : '' }
  }
  const said: string[] = []
  const log = { ...new FakeHost().log, warn: (_: object, text: string) => void said.push(text) }
  const exec = { run, watch: () => ({ stop: () => {} }) }
  const firewall = new Firewall({ exec, log }, { vxlanPort: 4789 })
  const table = forwardingTable(two, 'n1')!
  await firewall.syncProxy(table)
  t.match(firewall.note, 'there is no chain DOCKER-USER', 'not hidden by what went well')
  await firewall.syncProxy(table)
  t.equal(said.length, 1)
  broken = /-I POSTROUTING/
  await firewall.syncProxy(table)
  t.match(firewall.note, 'POSTROUTING of table nat')
  broken = /iptables-restore/
  await t.rejects(firewall.syncProxy(forwardingTable(view({}), 'n1')!), /^iptables-restore: no/)
  t.match(firewall.note, /^iptables-restore: no/)
  broken = /never/
  await firewall.syncProxy(table)
  t.equal(firewall.note, '')
})

t.test('the proxy plane holds a view when its chains do, and tries again until then', async (t) => {
  const host = new FakeHost()
  host.dataPlane = 'proxy'
  const overlay = await started(host)
  let code = 124
  let chains = ''
  host.answer = (command, input) => {
    if (!command.startsWith('iptables-restore') || !input.includes('*nat')) return null
    if (code === 0) chains = input
    return { code, stderr: 'no end after 30000 ms' }
  }
  overlay.take(message(two))
  let isHeld = false
  const held = overlay.held().then(() => {
    isHeld = true
  })
  for (let attempt = 0; attempt < 3; attempt++) {
    await turns(40)
    t.notOk(isHeld)
    if (attempt === 2) code = 0
    host.timers.pop()?.()
  }
  await held
  t.match(chains, '10.1.0.0/16')
  t.equal(overlay.dataPlane.note, '')
  await overlay.close()

  // Nothing would bring it.
  const without = new FakeHost()
  without.dataPlane = 'proxy'
  without.answer = (command) =>
    command.startsWith('iptables') ? { code: 127, stderr: 'iptables-restore: not found' } : null
  const bare = await started(without)
  await apply(bare, message(two))
  t.match(bare.dataPlane.note, 'iptables-restore: not found')
  await bare.close()
})

t.test('names are served where the firewall refuses its rules', async (t) => {
  const host = new FakeHost()
  host.dataPlane = 'proxy'
  host.bridges.push('sw-br1')
  host.answer = (command) =>
    command.startsWith('iptables-restore') ? { code: 2, stderr: 'no such match' } : null
  const overlay = await started(host)
  overlay.take(
    message(view({ nodes: [node(1)], networks: [network('front', 1, '127.66.0.0/16')] })),
  )
  await turns(40)
  t.match(host.said.join(), 'no such match')
  const resolver = connect(53, '127.66.1.1')
  await once(resolver, 'connect')
  resolver.destroy()
  await overlay.close()
})

t.test("questions for names pass a host's INPUT policy, and nothing else does", async (t) => {
  const ran: string[] = []
  const run = async (program: string, args: readonly string[], input = '') => {
    ran.push([program, ...args, input].join(' '))
    return { code: args.includes('-C') ? 1 : 0, stdout: '', stderr: '' }
  }
  const exec = { run, watch: () => ({ stop: () => {} }) }
  const firewall = new Firewall({ exec, log: new FakeHost().log }, { vxlanPort: 4789 })
  await firewall.syncKernel()
  for (const protocol of ['udp', 'tcp'])
    t.match(
      ran.join('\n'),
      `-I INPUT -p ${protocol} --dport 53 -m mark --mark 0x40000000/0x40000000 -j ACCEPT`,
    )
  const host = new FakeHost()
  const overlay = await started(host)
  await apply(overlay, message(two))
  t.match(host.nft()[0], /ip daddr @overlay .* th dport 53 meta mark set meta mark \| 0x40000000/)
  await overlay.close()

  ran.length = 0
  await firewall.syncProxy(forwardingTable(two, 'n1')!)
  t.match(ran.join('\n'), '-I INPUT -j SWARMCTL-NAMES')
  t.match(
    ran.join('\n'),
    '-A SWARMCTL-NAMES -s 10.1.0.0/16 -d 10.1.1.1 -p udp --dport 53 -j ACCEPT',
  )
})

t.test('of two nodes with one address the live one is meant', async (t) => {
  const old = node(5, { dataPathAddr: '192.168.0.2', live: false })
  const table = forwardingTable(view({ nodes: [node(1), node(2), old] }), 'n1')!
  const model = nftModel(table, {
    reserved: () => true,
    retired: [],
    vxlanPort: 4789,
  })
  t.strictSame([...model.maps.node_mark], [['02:dd:c0:a8:00:02', '0x10020000']])
  t.equal(table.peers.at(-1)?.nodeId, 'n2', 'and the relay asks the last')
})

t.test('UDP flows end with an address, and with what a published port leads to', async (t) => {
  const port = (published: number, target: number) => ({
    Protocol: 'udp' as const,
    PublishedPort: published,
    TargetPort: target,
    PublishMode: 'ingress' as const,
  })
  const of = (ports: Record<string, ReturnType<typeof port>[]>, addrs: Record<string, string[]>) =>
    nftModel(
      forwardingTable(
        view({
          networks: [network('front', 1, '10.1.0.0/16')],
          services: Object.entries(ports).map(([id, list], at) =>
            service(id, { ports: list, vips: [{ networkId: 'front', addr: `10.1.0.${at + 5}` }] }),
          ),
          endpoints: Object.entries(addrs).flatMap(([id, list]) =>
            list.map((addr) => endpoint(addr, id, 'n2', { front: addr })),
          ),
        }),
        'n1',
      )!,
      { reserved: () => true, retired: [], vxlanPort: 4789 },
    )
  const both = { blue: ['10.1.2.1'], green: ['10.1.2.2'] }
  const first = of({ blue: [port(514, 5514)], green: [] }, both)
  t.strictSame(endedFlows(first, first), [])
  const switched = of({ blue: [], green: [port(514, 5514)] }, both)
  t.strictSame(endedFlows(first, switched), [
    { from: '10.1.2.1', published: { port: '514', target: '5514' } },
  ])
  t.strictSame(endedFlows(first, of({ blue: [port(514, 6514)], green: [] }, both)), [
    { from: '10.1.2.1', published: { port: '514', target: '5514' } },
  ])
  const gone = endedFlows(first, of({ blue: [port(514, 5514)], green: [] }, { green: both.green }))
  t.strictSame(gone, [{ from: '10.1.2.1' }])
  t.equal(removalArgs(gone[0]!, true).join(' '), '-D -f ipv6 -p udp -r 10.1.2.1')
  t.equal(
    removalArgs(endedFlows(first, switched)[0]!, false).join(' '),
    '-D -p udp --orig-port-dst 514 -r 10.1.2.1 --reply-port-src 5514',
  )
  const listing = [
    'udp      17 29 src=10.0.0.9 dst=10.0.0.1 sport=4000 dport=514 [UNREPLIED] src=10.1.2.1 dst=10.0.0.9 sport=5514 dport=4000 mark=268435456 use=1',
    'udp      17 119 src=10.1.2.7 dst=10.1.0.5 sport=4000 dport=53 src=10.1.2.2 dst=10.1.2.7 sport=53 dport=4000 [ASSURED] mark=0 use=1',
    '',
  ].join('\n')
  t.strictSame([...answeringAddresses(listing)], ['10.1.2.1', '10.1.2.2'])
})

t.test('a node that fails with many tasks costs few runs of conntrack', async (t) => {
  const host = new FakeHost()
  const overlay = await started(host)
  const addrs = Array.from({ length: 200 }, (_, at) => `10.1.2.${at + 1}`)
  const of = (live: boolean) =>
    view({
      nodes: [node(1), node(2, { live })],
      networks: [network('front', 1, '10.1.0.0/16')],
      services: [service('web', { vips: [{ networkId: 'front', addr: '10.1.0.5' }] })],
      endpoints: addrs.map((addr) => endpoint(addr, 'web', 'n2', { front: addr })),
    })
  await apply(overlay, message(of(true)))
  host.ran.length = 0
  host.answer = (command) =>
    command === 'conntrack -L -p udp'
      ? {
          stdout:
            'udp 17 29 src=10.1.1.4 dst=10.1.0.5 sport=4 dport=53 src=10.1.2.9 dst=10.1.1.4 sport=53 dport=4 mark=0 use=1\n',
        }
      : null
  await apply(overlay, message(of(false)))
  t.strictSame(
    host.ran.map(({ command }) => command).filter((command) => command.startsWith('conntrack')),
    ['conntrack -L -p udp', 'conntrack -D -p udp -r 10.1.2.9'],
  )
  await overlay.close()
})
