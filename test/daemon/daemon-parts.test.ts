import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { NetworkInterfaceInfo } from 'node:os'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { SwarmctlError } from '../../src/api/errors.ts'
import { JoinRequest } from '../../src/api/swarm.ts'
import { addressTowards } from '../../src/daemon/address-towards.ts'
import {
  chooseAddress,
  chooseDataPathAddress,
  ownAddress,
  splitHostPort,
} from '../../src/daemon/addresses.ts'
import { Engine, parseEngineAddress } from '../../src/daemon/engine.ts'
import { HostSubnets, subnetsOfIpv6Routes, subnetsOfRoutes } from '../../src/daemon/host-subnets.ts'
import { joiningAddresses, nodeAddresses } from '../../src/daemon/node-addresses.ts'
import { loadNodeRecord, NodeFile, type NodeRecord } from '../../src/daemon/node-file.ts'
import { parseDaemonOptions } from '../../src/daemon/options.ts'
import { passesToRaft } from '../../src/daemon/raft-admission.ts'
import { fromRaft, NO_LEADER } from '../../src/daemon/raft-proposer.ts'
import { LogFullError, NotLeaderError, OutcomeUnknownError } from '../../src/raft/errors.ts'
import { StandInEngine } from '../support/http/stand-in-engine.ts'

const ipv4 = (cidr: string, internal = false): NetworkInterfaceInfo => ({
  address: cidr.split('/')[0] as string,
  cidr,
  family: 'IPv4',
  internal,
  mac: '00:00:00:00:00:00',
  netmask: '255.255.255.0',
})

t.test('the address to advertise', async (t) => {
  const lo = [ipv4('127.0.0.1/8', true)]
  const one = { lo, eth0: [ipv4('10.1.1.2/24')], docker0: [ipv4('172.17.0.1/16')] }
  const two = { ...one, eth1: [ipv4('10.2.2.2/24')] }
  t.equal(chooseAddress('--advertise-addr', '', one), '10.1.1.2', "containers' bridges don't count")
  t.equal(chooseAddress('--advertise-addr', 'eth1', two), '10.2.2.2', 'by interface')
  t.equal(chooseAddress('--advertise-addr', '192.0.2.7', one), '192.0.2.7', 'as it is')
  t.equal(chooseAddress('--advertise-addr', '', { lo }), '127.0.0.1', 'a machine alone')
  t.throws(() => chooseAddress('--advertise-addr', '', two), /several .*10\.1\.1\.2 on eth0/)
  t.throws(() => chooseAddress('--data-path-addr', 'eth9', two), /--data-path-addr "eth9"/)
  t.throws(() => chooseAddress('--advertise-addr', '999.9.9.9', one), /999\.9\.9\.9/)
  t.equal(chooseDataPathAddress('', '10.1.1.2', two), '10.1.1.2', 'the advertised one')
  t.equal(chooseDataPathAddress('', '203.0.113.1', one), '10.1.1.2', "not a router's")
  t.equal(chooseDataPathAddress('eth1', '10.1.1.2', two), '10.2.2.2')
  t.throws(() => chooseDataPathAddress('10.9.9.9', '10.1.1.2', two), /does not have that address/)
  t.throws(
    () => chooseAddress('--advertise-addr', '0.0.0.0', one),
    /invalid --advertise-addr "0\.0\.0\.0": it has to be one address/,
  )
  const withLinkLocal = { ...one, eth1: [ipv4('169.254.7.7/16')] }
  t.equal(chooseAddress('--advertise-addr', '', withLinkLocal), '10.1.1.2', 'no link-local one')
  const alone = { lo, eth1: [ipv4('169.254.7.7/16')] }
  t.equal(
    chooseAddress('--advertise-addr', '', alone),
    '169.254.7.7',
    'but where there is no other',
  )
})

t.test('the address to listen at is one, or an interface', async (t) => {
  const interfaces = { eth0: [ipv4('10.1.1.2/24')], eth1: [ipv4('10.2.2.2/24')] }
  const of = (ListenAddr: string, AdvertiseAddr = '10.1.1.2') =>
    nodeAddresses({ ListenAddr, AdvertiseAddr, DataPathAddr: '' }, interfaces)
  t.equal(of('eth1:2400').listenAddr, '10.2.2.2:2400')
  t.equal(of('eth1', '').advertiseAddr, '10.2.2.2:2377', 'which is the advertised one, too')
  t.equal(of('').listenAddr, '0.0.0.0:2377')
  t.equal(of('[::]:2400').listenAddr, '[::]:2400')
  t.equal(of('[fd00::1]:2400').listenAddr, '[fd00::1]:2400')
  t.equal(of('10.1.1.2:2400').advertiseAddr, '10.1.1.2:2400')
  t.throws(() => of('eth7:2377'), { code: 'INVALID_ARGUMENT', message: /--listen-addr "eth7"/ })
})

t.test('a node with several addresses joins from the one that reaches the managers', async (t) => {
  const interfaces = { eth0: [ipv4('10.1.1.2/24')], eth1: [ipv4('10.2.2.2/24')] }
  const request = JoinRequest.parse({ RemoteAddrs: ['10.9.9.9:2377', '10.2.2.9:2377'] })
  const asked: string[] = []
  const towards = async (addr: string) => {
    asked.push(addr)
    return addr === '10.2.2.9:2377' ? '10.2.2.2' : '172.17.0.1'
  }
  t.match(await joiningAddresses(request, interfaces, towards), {
    ...{ listenAddr: '0.0.0.0:2377', advertiseAddr: '10.2.2.2:2377' },
    ...{ dataPathAddr: '10.2.2.2', device: 'eth1' },
  })
  t.strictSame(asked, request.RemoteAddrs, 'the first one is reached from no address of its own')
  const routed = { ...request, AdvertiseAddr: '203.0.113.1' }
  t.match(await joiningAddresses(routed, interfaces, towards), {
    ...{ advertiseAddr: '203.0.113.1:2377', dataPathAddr: '10.2.2.2' },
  })
  asked.length = 0
  const told = { ...request, AdvertiseAddr: 'eth0' }
  t.match(await joiningAddresses(told, interfaces, towards), { advertiseAddr: '10.1.1.2:2377' })
  const bound = { ...request, ListenAddr: 'eth0' }
  t.match(await joiningAddresses(bound, interfaces, towards), { advertiseAddr: '10.1.1.2:2377' })
  t.strictSame(asked, [], 'who says it is not asked')
  const noWay = joiningAddresses(request, interfaces, async () => undefined)
  await t.rejects(noWay, /could not choose an IP address to advertise/)
})

t.test('a machine reaches its own cluster port whatever it advertises', async (t) => {
  const cases = {
    '0.0.0.0:2377': '127.0.0.1:2377',
    '[::]:2377': '[::1]:2377',
    '10.1.1.2:2377': '10.1.1.2:2377',
    '[fd00::1]:2377': '[fd00::1]:2377',
  }
  for (const [listenAddr, own] of Object.entries(cases)) t.equal(ownAddress(listenAddr, 2377), own)
  t.equal(ownAddress('127.0.0.1:0', 4711), '127.0.0.1:4711', 'the port that it got')
})

t.test('the address that traffic leaves from', async (t) => {
  t.equal(await addressTowards('127.0.0.1:2377'), '127.0.0.1')
  t.equal(await addressTowards('127.0.0.1'), '127.0.0.1')
  t.equal(await addressTowards('[::1]:2377'), undefined)
  t.equal(await addressTowards('no:such:address'), undefined)
})

t.test("the host's own subnets", async (t) => {
  const table = [
    'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT',
    'eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0',
    'eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
    'docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0',
    'wg0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0',
    'eth0\t0000A8C0\t010200C0\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0',
    'sw-br1\t0000000A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0',
    '',
  ].join('\n')
  const expected = ['172.17.0.0/16', '192.0.2.0/24']
  t.strictSame(subnetsOfRoutes(table), expected, 'no default route, no VPN, no routers, not ours')
  const subnets = new HostSubnets({ read: async () => table })
  t.strictSame(subnets.current, [])
  await subnets.refresh()
  t.strictSame(subnets.current, expected)
  t.strictSame(subnetsOfRoutes(''), [], 'no /proc/net/route')
  const route = (to: string, prefix: string, device: string, nextHop = '0'.repeat(32)) =>
    `${to.padEnd(32, '0')} ${prefix} ${'0'.repeat(32)} 00 ${nextHop} 00000100 00000001 00000000 00000001 ${device.padStart(8)}`
  const table6 = [
    route('', '00', 'lo'),
    route('', '00', 'eth0', `fe80${'0'.repeat(27)}1`),
    route('20010db8', '20', 'eth0', `fe80${'0'.repeat(27)}1`),
    route('20010db80001', '40', 'eth0'),
    route('20010db80001', '40', 'eth1'),
    route(`20010db80001${'0'.repeat(19)}2`, '80', 'eth0'),
    route('fd00', '3c', 'br-1'),
    route('fd00000100000000', '40', 'sw-br1'),
    route('fe80', '40', 'eth0'),
    route('ff00', '08', 'eth0'),
    route('2000', '03', 'wg0'),
    'junk',
    '',
  ].join('\n')
  const expected6 = ['2001:db8:1::/64', 'fd00::/60']
  t.strictSame(subnetsOfIpv6Routes(table6), expected6, 'nor what each link has, nor one address')
  const both = new HostSubnets({ read: async (path) => (path.includes('6') ? table6 : table) })
  await both.refresh()
  t.strictSame([both.current, both.current6], [expected, expected6])
})

t.test('host:port', async (t) => {
  t.strictSame(splitHostPort('a:1', 2377), { host: 'a', port: 1 })
  t.strictSame(splitHostPort('10.0.0.1', 2377), { host: '10.0.0.1', port: 2377 })
  t.throws(() => splitHostPort('a:70000', 2377), /no such port/)
  t.strictSame(splitHostPort('', 2377), { host: '', port: 2377 })
})

t.test('daemon flags', async (t) => {
  const raw = {
    dataDir: '/d',
    runDir: '/r',
    dockerHost: 'unix:///var/run/docker.sock',
    dataPlane: 'auto',
    dataPathPort: '4789',
    logLevel: 'info',
  }
  t.match(parseDaemonOptions(raw), { socket: '/r/docker.sock', dataPathPort: 4789 })
  t.equal(parseDaemonOptions({ ...raw, socket: 'unix:///s' }).socket, '/s')
  t.throws(() => parseDaemonOptions({ ...raw, dataPathPort: '0' }), /--data-path-port "0"/)
  t.throws(() => parseDaemonOptions({ ...raw, dataPathPort: '65535' }), /take the next one/)
  t.throws(() => parseDaemonOptions({ ...raw, socket: `/${'x'.repeat(120)}` }), /longer than 107/)
  t.strictSame(parseEngineAddress('tcp://h:2375'), { host: 'h', port: 2375 })
  t.throws(() => parseEngineAddress('ssh://h'), /--docker-host/)
  t.throws(() => parseEngineAddress('tcp://h:99999'), /--docker-host "tcp:\/\/h:99999"/)
  t.throws(
    () => parseDaemonOptions({ ...raw, dockerHost: 'unix:///r/docker.sock' }),
    /--docker-host .* this daemon's own socket/,
  )
  const here = { ...raw, runDir: 'run', dataDir: './data' }
  t.match(parseDaemonOptions(here), {
    runDir: join(process.cwd(), 'run'),
    dataDir: join(process.cwd(), 'data'),
  })
  t.throws(() => parseDaemonOptions({ ...raw, dataDir: '' }), /--data-dir "": a directory/)
})

t.test('the versions of the Engine, asked once in a while', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'engine-'))
  t.teardown(() => rm(dir, { recursive: true }))
  const standIn = new StandInEngine(join(dir, 'e.sock'), '1.52')
  standIn.oldestVersion = '1.44'
  let nowMs = 0
  const engine = new Engine(`unix://${standIn.socketPath}`, () => nowMs)
  t.strictSame(await engine.apiVersions(), { oldest: '1.24', newest: '1.51' }, 'not known yet')
  await standIn.start()
  t.teardown(() => standIn.stop())
  nowMs = 1000
  for (const _ of [1, 2]) {
    t.strictSame(await engine.apiVersions(), { oldest: '1.44', newest: '1.52' })
  }
  t.equal(standIn.requests('GET', '/version').length, 1)
})

t.test('an Engine that hangs holds up the overlay for a while', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'engine-'))
  t.teardown(() => rm(dir, { recursive: true }))
  const path = join(dir, 'e.sock')
  const server = createServer(() => {})
  await new Promise<void>((resolve) => server.listen(path, resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const engine = new Engine(`unix://${path}`, () => 0, 50)
  await t.rejects(engine.docker.listNetworks())
})

t.test("the node's record", async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'node-file-'))
  t.teardown(() => rm(dir, { recursive: true }))
  t.equal(await loadNodeRecord(dir), undefined, 'none yet')
  const file = new NodeFile(dir)
  const record = (addr: string): NodeRecord => ({
    nodeId: 'n',
    clusterId: 'c',
    listenAddr: '0.0.0.0:2377',
    advertiseAddr: '10.0.0.1:2377',
    dataPathAddr: '10.0.0.1',
    managers: [{ nodeId: 'm', addr }],
  })
  await Promise.all([1, 2, 3].map((n) => file.store(record(`a:${n}`))))
  t.strictSame(await loadNodeRecord(dir), record('a:3'), 'the last one wins')
  await writeFile(join(dir, 'node.json'), JSON.stringify({ format: 2 }))
  await t.rejects(loadNodeRecord(dir), /has format 2, this swarmctl reads format 1/)
})

t.test("raft's errors in the catalogue of the API", async (t) => {
  const code = (error: unknown) => (fromRaft(error) as SwarmctlError).code
  t.equal(code(new LogFullError(new Error('EROFS'))), 'DISK_FULL')
  t.equal(code(new OutcomeUnknownError('x')), 'TIMEOUT')
  t.equal(code(new NotLeaderError('other')), 'UNAVAILABLE')
  t.equal((fromRaft(new NotLeaderError(null)) as Error).message, NO_LEADER)
  const other = new Error('x')
  t.equal(fromRaft(other), other, 'what is not of raft passes')
  t.equal(new SwarmctlError('DISK_FULL', 'x').httpStatus, 507)
})

t.test('which messages of whom raft gets', async (t) => {
  const demoted = { isDemoted: true, isManagerAgain: false }
  const kinds = ['append', 'vote', 'heartbeat', 'snapshot-chunk', 'removed', 'timeout-now'] as const
  for (const kind of [...kinds, 'pre-vote-response' as const, undefined]) {
    t.equal(passesToRaft(kind, demoted), false, `${kind} of a demoted manager`)
    t.equal(passesToRaft(kind, { ...demoted, isManagerAgain: true }), true, 'it came back')
    t.equal(passesToRaft(kind, { isDemoted: false, isManagerAgain: false }), true, 'a new manager')
  }
  t.equal(passesToRaft('pre-vote', demoted), true, 'it is told that it was removed')
})
