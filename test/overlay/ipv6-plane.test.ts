/** What networks with IPv6 change on a host, and that a host that has none is left alone. */
import t from 'tap'
import type { OverlayView } from '../../src/api/overlay-view.ts'
import type { ExecResult } from '../../src/overlay/exec.ts'
import { forwardingTable } from '../../src/overlay/forwarding-table.ts'
import { HostSettings } from '../../src/overlay/host-settings.ts'
import { Ipv6Plane } from '../../src/overlay/ipv6-plane.ts'
import { network, node, service, view } from '../support/overlay/views.ts'

const quiet = () => {}
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet, child: () => log }

const conf = (name: string) => `ipv6/conf/${name}`
const FORWARDING = conf('all/forwarding')

/** A host with these settings below /proc/sys/net; `answer` says what a program prints. */
class FakeHost {
  readonly ran: string[] = []
  readonly settings: Map<string, string>
  answer: (command: string, input: string) => Partial<ExecResult> | undefined = () => undefined

  constructor(settings: Record<string, string>) {
    this.settings = new Map(Object.entries(settings))
  }

  readonly exec = {
    run: async (program: string, args: readonly string[], input = ''): Promise<ExecResult> => {
      const command = [program, ...args].join(' ')
      this.ran.push(`${command} ${input}`.trim())
      return { code: 0, stderr: '', stdout: '', ...this.answer(command, input) }
    },
    watch: () => ({ stop: quiet }),
  }

  readonly proc = {
    read: async (path: string) => this.settings.get(path.replace('/proc/sys/net/', '')) ?? null,
    write: async (path: string, text: string) => {
      this.settings.set(path.replace('/proc/sys/net/', ''), text)
    },
    list: async () => [],
  }

  readonly hostSettings = new HostSettings({ proc: this.proc, log }, {})

  plane(mtu = () => 1450): Ipv6Plane {
    return new Ipv6Plane({ ...this, settings: this.hostSettings, log }, { vxlanPort: 4789, mtu })
  }

  ranLike(pattern: RegExp): string[] {
    return this.ran.filter((one) => pattern.test(one))
  }
}

const of = (subnet6?: string): OverlayView =>
  view({
    nodes: [node(1, { ipv6: true })],
    networks: [network('front', 1, '10.1.0.0/16', subnet6 === undefined ? {} : { subnet6 })],
    services: [service('web', { vips: [{ networkId: 'front', addr: '10.1.0.5' }] })],
  })
const tableOf = (one: OverlayView) => forwardingTable(one, 'n1')!
const attachment = (subnet6?: string) => ({
  networks: [
    { dockerNetwork: 'swarmctl-1', ipv4Address: '10.1.1.20', ipv6Address: 'fd00::1', aliases: [] },
  ],
  dns: [],
  dnsSearch: [],
  dnsOptions: [],
  nameservers: [],
  overlayNetworks: [...of(subnet6).networks.values()],
})
const sync = { retired: [], isResync: true }

t.test('a host whose networks have IPv4 only keeps its settings and gets no rules', async (t) => {
  const host = new FakeHost({ [FORWARDING]: '0' })
  const plane = host.plane()
  await plane.start('kernel')
  t.ok(plane.isSupported)
  host.ran.length = 0
  const given = attachment()
  t.equal(await plane.prepare(given), given)
  await plane.sync(tableOf(of()), sync)
  t.strictSame(host.ran, ['nft list tables ip6'], 'a look for what an earlier daemon left')
  t.equal(host.settings.get(FORWARDING), '0')
  t.strictSame(plane.problems(), [])
})

t.test(
  'forwarding is on before the Engine makes the bridge, and given back at leave',
  async (t) => {
    const before = {
      [FORWARDING]: '0',
      [conf('eth0/accept_ra')]: '1',
      [conf('eth1/accept_ra')]: '1',
      'bridge/bridge-nf-call-iptables': '1',
      'bridge/bridge-nf-call-ip6tables': '0',
    }
    const host = new FakeHost(before)
    host.answer = (command) =>
      command.includes('proto ra') ? { stdout: '[{"dst":"default","dev":"eth0"}]' } : undefined
    const plane = host.plane()
    await plane.start('kernel')
    const given = attachment('fd00:1::/64')
    t.equal(await plane.prepare(given), given)
    t.match(Object.fromEntries(host.settings), {
      [FORWARDING]: '1',
      [conf('eth0/accept_ra')]: '2',
      [conf('eth1/accept_ra')]: '1',
      'bridge/bridge-nf-call-ip6tables': '1',
    })
    await host.hostSettings.restore()
    t.strictSame(Object.fromEntries(host.settings), before)
  },
)

t.test('rules come with the first network that has IPv6 and go with the last', async (t) => {
  const host = new FakeHost({ [FORWARDING]: '0' })
  const plane = host.plane()
  await plane.start('kernel')
  await plane.sync(tableOf(of()), sync)
  host.ran.length = 0
  const later = { ...sync, isResync: false }
  await plane.sync(tableOf(of('fd00:1::/64')), later)
  t.equal(host.settings.get(FORWARDING), '1')
  t.match(host.ranLike(/^nft -f/), [/table ip6 swarmctl \{[\s\S]*vip_addrs \{ fd00:1::a01:5 \}/])
  host.ran.length = 0
  await plane.sync(tableOf(of('fd00:1::/64')), later)
  t.strictSame(host.ran, [], 'nothing to do')
  t.equal(await plane.isPresent(), false, 'somebody took the table away')
  host.answer = (command) =>
    command === 'nft list tables ip6' ? { stdout: 'table ip6 swarmctl\n' } : undefined
  t.equal(await plane.isPresent(), true)
  await plane.sync(tableOf(of()), later)
  t.equal(host.ranLike(/^nft -f - table ip6 swarmctl\ndelete table ip6 swarmctl$/).length, 1)
  t.equal(host.ranLike(/^ip6tables .* -D /).length > 0, true)
  t.equal(await plane.isPresent(), true, 'there is to be none')
})

t.test('what the kernel refuses is said, and is no error of the other tables', async (t) => {
  const host = new FakeHost({ [FORWARDING]: '0' })
  const plane = host.plane()
  await plane.start('kernel')
  host.answer = (command) =>
    command === 'nft -f -' ? { code: 1, stderr: 'No buffer space' } : undefined
  await plane.sync(tableOf(of('fd00:1::/64')), sync)
  t.match(plane.problems(), [/^IPv6 of overlay networks does not work here: .*No buffer space/])
  host.answer = () => undefined
  await plane.sync(tableOf(of('fd00:1::/64')), sync)
  t.strictSame(plane.problems(), [])
})

t.test('a host that refuses to forward keeps no task from IPv4, and isolates', async (t) => {
  const host = new FakeHost({ [FORWARDING]: '0' })
  host.proc.write = () => Promise.reject(new Error('EROFS: read-only file system'))
  const plane = host.plane()
  await plane.start('kernel')
  host.ran.length = 0
  const given = attachment('fd00:1::/64')
  t.equal(await plane.prepare(given), given)
  t.match(plane.problems(), [/does not work here: .*read-only/])
  await plane.sync(tableOf(of('fd00:1::/64')), sync)
  t.match(host.ranLike(/^nft -f/), [/table ip6 swarmctl/], 'the rules are there')
  t.match(plane.problems(), [/does not work here: .*read-only/])
})

t.test('after a reboot the Engine forwards first: routers are believed again', async (t) => {
  const accept = conf('eth0/accept_ra')
  const host = new FakeHost({ [FORWARDING]: '0', [accept]: '1', [conf('eth1/accept_ra')]: '1' })
  host.answer = (command) =>
    command.includes('proto ra') ? { stdout: '[{"dst":"default","dev":"eth0"}]' } : undefined
  const first = host.plane()
  await first.start('kernel')
  await first.prepare(attachment('fd00:1::/64'))
  t.equal(host.settings.get(accept), '2')
  host.settings.set(accept, '1')
  host.answer = () => undefined
  const again = host.plane()
  await again.start('kernel')
  await again.sync(tableOf(of('fd00:1::/64')), sync)
  t.equal(host.settings.get(accept), '2')
  t.equal(host.settings.get(conf('eth1/accept_ra')), '1', 'not ours')
  await host.hostSettings.restore()
  t.equal(host.settings.get(accept), '1')
})

t.test('a data path too narrow for IPv6 has IPv4 only, until it is wider', async (t) => {
  const host = new FakeHost({ [FORWARDING]: '0' })
  let mtu = 1450
  const plane = host.plane(() => mtu)
  await plane.start('kernel')
  const dual = of('fd00:1::/64').networks
  t.equal(plane.served(dual), dual)
  await plane.sync(tableOf(of('fd00:1::/64')), sync)
  mtu = 1230
  t.equal(plane.isSupported, false)
  t.equal(plane.served(dual).get('front')?.subnet6, undefined)
  t.notOk('ipv6Address' in (await plane.prepare(attachment('fd00:1::/64'))).networks[0]!)
  const isThere = (command: string) => command === 'nft list tables ip6'
  host.answer = (command) => (isThere(command) ? { stdout: 'table ip6 swarmctl\n' } : undefined)
  await plane.sync(tableOf(of()), sync)
  t.match(host.ran.at(-1), /delete table ip6 swarmctl/, 'what there was goes')
  t.match(plane.problems(), [/MTU on this host is 1230, IPv6 needs 1280.*raise .* by 50/])
  mtu = 1280
  t.equal(plane.served(dual), dual)
  t.strictSame(plane.problems(), [])
})

t.test('without ip6tables the proxy plane has no isolation, so no IPv6 either', async (t) => {
  for (const code of [127, 2]) {
    const host = new FakeHost({ [FORWARDING]: '1' })
    host.answer = (command) => (command.startsWith('ip6tables-restore') ? { code } : undefined)
    const plane = host.plane()
    await plane.start('proxy')
    t.equal(plane.isSupported, false)
    t.equal(host.ranLike(/^ip6tables-restore/).length, code === 127 ? 1 : 2, 'nothing is left')
  }
})

t.test('a host without IPv6 serves IPv4, and says so while it matters', async (t) => {
  const refused = new FakeHost({ [FORWARDING]: '0' })
  refused.answer = () => ({ code: 1 })
  for (const host of [new FakeHost({}), refused]) {
    const plane = host.plane()
    await plane.start('kernel')
    t.equal(plane.isSupported, false)
    t.equal(plane.served(of().networks).size, 1)
    t.strictSame(plane.problems(), [])
    const served = plane.served(of('fd00:1::/64').networks)
    t.equal(served.get('front')?.subnet6, undefined)
    t.match(plane.problems(), [/IPv6 is off on this host/])
    const given = await plane.prepare(attachment('fd00:1::/64'))
    t.notOk('ipv6Address' in given.networks[0]!)
    t.notOk('subnet6' in given.overlayNetworks[0]!)
    host.ran.length = 0
    await plane.sync(tableOf(of('fd00:1::/64')), sync)
    await plane.destroy()
    t.strictSame(host.ran, [])
  }
})

t.test('a host without the tables that guard encrypted networks serves the others', async (t) => {
  const host = new FakeHost({ [FORWARDING]: '1' })
  const plane = host.plane()
  await plane.start('proxy')
  host.answer = (_command, input) =>
    input.includes('*raw') ? { code: 3, stderr: "can't initialize table `raw'" } : undefined
  await plane.sync(tableOf(of('fd00:1::/64')), sync)
  t.strictSame(plane.problems(), [])
  const vault = network('vault', 2, '10.2.0.0/16', { subnet6: 'fd00:2::/64', encrypted: true })
  await plane.sync(tableOf(view({ networks: [vault] })), sync)
  t.match(plane.problems(), [/can't initialize table `raw'/])
})

t.test(
  'chains that the host took a part of are made anew, also when they are to be as before',
  async (t) => {
    const host = new FakeHost({ [FORWARDING]: '1' })
    const plane = host.plane()
    await plane.start('proxy')
    await plane.sync(tableOf(of('fd00:1::/64')), sync)
    // Of one table: the other may have been taken.
    host.answer = (command) =>
      command.startsWith('ip6tables-restore') ? { code: 2, stderr: 'no nat' } : undefined
    await plane.sync(tableOf(of('fd00:2::/64')), sync)
    host.answer = () => undefined
    host.ran.length = 0
    await plane.sync(tableOf(of('fd00:1::/64')), sync)
    t.match(host.ranLike(/^ip6tables-restore/), [/-A SWARMCTL -s fd00:1::\/64 -d fd00:1::\/64/])
  },
)

t.test('the proxy plane has chains of its own', async (t) => {
  const host = new FakeHost({ [FORWARDING]: '1' })
  const missing = (command: string) => / -C | -S SWARMCTL/.test(command)
  host.answer = (command) => (missing(command) ? { code: 1 } : undefined)
  const plane = host.plane()
  await plane.start('proxy')
  t.ok(plane.isSupported, 'without nft')
  t.match(host.ranLike(/^ip6tables-restore/), [
    /-A SWARMCTL-PROBE -j MASQUERADE/,
    /-X SWARMCTL-PROBE/,
  ])
  host.ran.length = 0
  await plane.sync(tableOf(of('fd00:1::/64')), sync)
  t.match(host.ranLike(/^ip6tables-restore/), [/-A SWARMCTL -s fd00:1::\/64 -d fd00:1::\/64/])
  t.strictSame(host.ranLike(/ -I /), [
    'ip6tables -w -t filter -I DOCKER-USER -j SWARMCTL',
    'ip6tables -w -t filter -I OUTPUT -j SWARMCTL-OUT',
    'ip6tables -w -t nat -I POSTROUTING -j SWARMCTL-NAT',
  ])
  host.answer = (command) =>
    missing(command) || command.includes('-I DOCKER-USER') ? { code: 1 } : undefined
  await plane.sync(tableOf(of('fd00:1::/64')), sync)
  t.ok(host.ran.includes('ip6tables -w -t filter -I FORWARD -j SWARMCTL'), 'an older Engine')
  host.answer = () => undefined
  host.ran.length = 0
  await plane.sync(tableOf(of()), sync)
  for (const chain of ['SWARMCTL', 'SWARMCTL-OUT', 'SWARMCTL-NAT'])
    t.equal(host.ranLike(new RegExp(` -X ${chain}$`)).length, 1, chain)
  host.ran.length = 0
  await plane.sync(tableOf(of()), sync)
  t.strictSame(host.ran, [], 'nothing is looked for twice')
  host.answer = (command) =>
    command.startsWith('ip6tables-restore') ? { code: 2, stderr: 'no nat' } : undefined
  await plane.sync(tableOf(of('fd00:1::/64')), sync)
  t.match(plane.problems(), [/ip6tables-restore: no nat/])
})
