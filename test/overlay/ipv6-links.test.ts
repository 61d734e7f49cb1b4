/** What the kernel or the Engine refuses of IPv6 on devices, and what it may cost. */
import t from 'tap'
import { Bridges, type DockerNetworks } from '../../src/overlay/bridges.ts'
import type { ExecResult } from '../../src/overlay/exec.ts'
import { bridgeNetwork, forwardingTable } from '../../src/overlay/forwarding-table.ts'
import { HostSettings } from '../../src/overlay/host-settings.ts'
import { Links } from '../../src/overlay/links.ts'
import { network, node, view } from '../support/overlay/views.ts'

const quiet = () => {}
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet, child: () => log }
const front = network('front', 1, '10.1.0.0/16', { subnet6: 'fd00:1::/64' })

const UNDERLAY = [
  { ifname: 'eth0', mtu: 1500, address: '', addr_info: [{ local: '192.168.0.1', prefixlen: 24 }] },
]

const refusing = (pattern: RegExp) => ({
  read: async (path: string) => (pattern.test(path) ? '1' : '0'),
  write: (path: string) =>
    pattern.test(path) ? Promise.reject(new Error(`EACCES: ${path}`)) : Promise.resolve(),
  list: async () => [],
})

t.test('IPv4 links are made before IPv6 is tried, and all of it that is taken', async (t) => {
  const ran: string[] = []
  const exec = {
    run: async (program: string, args: readonly string[], input = ''): Promise<ExecResult> => {
      const command = [program, ...args].join(' ')
      ran.push(`${command} ${input}`)
      const stdout = command === 'ip -j -d addr' ? JSON.stringify(UNDERLAY) : ''
      return { code: 0, stderr: '', stdout }
    },
    watch: () => ({ stop: quiet }),
  }
  const two = view({ nodes: [node(1, { ipv6: true }), node(2, { ipv6: true })], networks: [front] })
  const inputs = { bridges: new Set<number>(), isIsolated: false, retired: [] }
  const options = { resync: true, relayPort: null }
  const linksOn = (proc: ReturnType<typeof refusing>) => {
    ran.length = 0
    const settings = new HostSettings({ proc, log }, {})
    return new Links({ exec, proc, settings, log }, { vxlanPort: 4789 })
  }
  const refused = linksOn(refusing(/sw-vx0\/disable_ipv6$/))
  await refused.sync(forwardingTable(two, 'n1')!, inputs, options)
  t.ok(ran.some((one) => one.includes('route replace 10.1.2.0/24')))
  t.match(refused.problems(), [/IPv6 between nodes does not work here: EACCES/])
  const without = { ...two, networks: new Map([['front', network('front', 1, '10.1.0.0/16')]]) }
  await refused.sync(forwardingTable(without, 'n1')!, inputs, options)
  t.strictSame(refused.problems(), [], 'the last network with IPv6 is gone')
  const taken = linksOn(refusing(/nothing/))
  await taken.sync(forwardingTable(two, 'n1')!, inputs, options)
  const batch = ran.find((one) => one.includes('route replace fd00:1::a01:200/120')) ?? ''
  t.match(batch, /^ip -force -batch -/, 'what one device refuses the others get')
  t.strictSame(taken.problems(), [])
})

t.test('a bridge of before the host got IPv6', async (t) => {
  const self = { nodeId: 'n1', index: 1 }
  const wanted = bridgeNetwork(front, self)!
  const existing = {
    ...{ Id: 'x', Name: 'swarmctl-1', EnableIPv6: false },
    Labels: { 'com.docker.swarm.network.id': 'front' },
    IPAM: { Config: [{ Subnet: wanted.subnet, Gateway: wanted.gateway! }] },
  }
  let removal: () => Promise<void> = async () => {}
  const made: object[] = []
  const docker: DockerNetworks = {
    listNetworks: async () => [],
    createNetwork: async (body) => void made.push(body),
    getNetwork: () => ({ inspect: async () => existing, remove: () => removal() }),
    version: async () => ({ Version: '28.2.2' }),
  }
  const bridges = new Bridges({ docker, proc: refusing(/net\/ipv6/), log })
  await bridges.ensure(wanted, 1450)
  t.match(made, [{ EnableIPv6: true }], 'made anew, whatever of its IPv6 settings is refused')
  removal = () => Promise.reject(new Error('network has active endpoints'))
  await t.rejects(bridges.ensure(wanted, 1450), {
    code: 'FAILED_PRECONDITION',
    message: /network front has to be made anew with IPv6.*drain this node.*active endpoints/,
  })
  t.equal(made.length, 1)
})
