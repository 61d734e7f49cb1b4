/** Encrypted networks: what a node's tables hold for them, and what the relay carries. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import t from 'tap'
import { type ForwardingTable, forwardingTable } from '../../src/overlay/forwarding-table.ts'
import { guardChains } from '../../src/overlay/guard-chains.ts'
import { linkModel } from '../../src/overlay/link-model.ts'
import { ipv6LinkModel } from '../../src/overlay/link-model-ipv6.ts'
import { encryptedVtepMac } from '../../src/overlay/names.ts'
import { IPV6_LAYOUT } from '../../src/overlay/nft-layout-ipv6.ts'
import { nftModel } from '../../src/overlay/nft-model.ts'
import { ipv6NftModel } from '../../src/overlay/nft-model-ipv6.ts'
import { fullScript } from '../../src/overlay/nft-script.ts'
import { DatagramReader, frameDatagrams } from '../../src/overlay/proxy/datagram-frames.ts'
import {
  BATCH_BYTES_MAX,
  DatagramQueue,
  QUEUE_BYTES_MAX,
} from '../../src/overlay/relay/datagram-queue.ts'
import type { RelayStream } from '../../src/overlay/relay/link.ts'
import { Relay } from '../../src/overlay/relay/relay.ts'
import { isOurs, macBytes, stamp, targetOf } from '../../src/overlay/relay/vxlan-datagram.ts'
import { deviceLines, encryptedDevice } from '../../src/overlay/vxlan-device.ts'
import { endpoint, network, node, service, view } from '../support/overlay/views.ts'

const quiet = () => {}
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet, child: () => log }

const plain = network('plain', 1, '10.1.0.0/16')
const vault = network('vault', 2, '10.2.0.0/16', { encrypted: true })
const small = network('small', 3, '10.3.3.0/24', {
  encrypted: true,
  plan: 'flat',
  gateways: { n1: '10.3.3.1', n2: '10.3.3.2' },
})

const tableOf = (networks = [plain, vault, small], nodes = [node(1), node(2)]): ForwardingTable => {
  const table = forwardingTable(
    view({
      nodes,
      networks,
      services: [service('s', { vips: [{ networkId: 'small', addr: '10.3.3.20' }] })],
      endpoints: [
        endpoint('far', 's', 'n2', { small: '10.3.3.22' }),
        endpoint('static', 's', 'n2', { vault: '10.2.1.77' }),
      ],
    }),
    'n1',
  )
  t.ok(table)
  return table as ForwardingTable
}

const RELAY_PORT = 40_001

t.test('every way to other nodes is the encrypted device, none is the plain one', async (t) => {
  const items = linkModel(tableOf(), new Set([2]), RELAY_PORT)
  const add = (key: string) => items.get(key)?.add
  const far = 'via 169.254.78.2 dev sw-vx1 onlink'
  t.equal(add('route main 10.2.2.0/24'), `route replace 10.2.2.0/24 ${far} src 10.2.1.1 proto 94`)
  t.match(add('route main 10.2.0.0/24'), 'dev sw-vx1 src 10.2.1.1', 'VIPs')
  t.match(add('route main 10.2.1.77'), far, 'another node has an address of our block')
  t.match(add('route main 10.3.3.22'), far, 'a task in a small subnet')
  t.match(add('route main 10.3.3.2'), far, "the other node's gateway")
  t.match(add('route main 10.3.3.20'), 'dev sw-vx1', 'a VIP of a small subnet')
  t.match(add('route main 10.1.2.0/24'), 'via 169.254.77.2 dev sw-vx0', 'the others as ever')
  for (const { add: line } of items.values()) {
    if (/10\.[23]\./.test(line)) t.notMatch(line, 'sw-vx0')
  }
  t.equal(
    add('fdb 02:de:c0:a8:00:02 127.255.255.255'),
    `fdb replace 02:de:c0:a8:00:02 dev sw-vx1 dst 127.255.255.255 port ${RELAY_PORT} self permanent`,
  )
  t.equal(
    add('neigh 169.254.78.2'),
    'neigh replace 169.254.78.2 lladdr 02:de:c0:a8:00:02 dev sw-vx1 nud permanent',
  )
  t.match(add('route main 169.254.78.2'), 'dev sw-vx1 src 169.254.78.1')
  t.equal(add('rule 1158'), 'rule add pref 1158 fwmark 0x1020000/0xfff0000 lookup 1158')
  t.match(add('route 1158 default'), `${far} proto 94 table 1158`, 'the way back')
  t.match(add('rule 1411'), 'nop', 'behind the last return rule')
})

t.test('IPv6 of such a network has the same way and no other', async (t) => {
  const dual = { ...vault, subnet6: 'fd00:2::/64' }
  const table = tableOf([{ ...plain, subnet6: 'fd00:1::/64' }, dual])
  const inputs = { bridges: new Set([2]), isIsolated: false, retired: [] }
  const items = ipv6LinkModel(table, { ...inputs, isRelayed: true })
  const add = (key: string) => items.get(key)?.add
  const far = 'via fe80::4e:2 dev sw-vx1 onlink'
  t.match(add('route main fd00:2::a02:200/120'), far)
  t.match(add('route main fd00:2::a02:0/120'), 'dev sw-vx1', 'VIPs')
  t.match(add('route main fd00:2::a02:14d'), far, 'another node has an address of our block')
  t.match(add('route main fd00:1::a01:200/120'), 'via fe80::4d:2 dev sw-vx0', 'the others as ever')
  t.match(add('neigh fe80::4e:2'), 'lladdr 02:de:c0:a8:00:02 dev sw-vx1')
  const without = [...ipv6LinkModel(table, { ...inputs, isRelayed: false }).values()]
  t.notOk(
    without.some((one) => /route.*fd00:2:|sw-vx1/.test(one.add)),
    'without the relay: none',
  )
  const model = ipv6NftModel(table, { retired: [] })!
  t.strictSame([...model.sets.encrypted_nets], ['fd00:2::/64'])
  const script = fullScript(model, { vxlanPort: 4789, layout: IPV6_LAYOUT })
  for (const rule of [
    'ip6 saddr @encrypted_nets jump astray',
    'ip6 daddr @encrypted_nets jump astray',
    'iifname != "sw-vx1" iifname != "sw-br*" iifname != "lo" drop',
    'ip6 daddr @encrypted_nets oifname != "sw-vx1" oifname != "sw-br*" oifname != "lo" drop',
    'ip6 saddr @encrypted_nets oifname != "sw-vx1" oifname != "sw-br*" oifname != "lo" drop',
  ])
    t.ok(script.includes(`  ${rule}\n`), rule)
  const chains = guardChains(['fd00:2::/64'], null)
  t.match(chains, '-A SWARMCTL-GUARD-OUT -d fd00:2::/64 -j DROP')
  t.notMatch(chains, '--dport', 'the port is of IPv4')
})

t.test('a node whose relay has no port has no route to encrypted networks', async (t) => {
  const items = [...linkModel(tableOf(), new Set([1, 2, 3]), null).values()]
  t.notOk(items.some(({ add }) => /sw-vx1|sw-br[23]|10\.[23]\./.test(add)))
  t.ok(items.some(({ add }) => add.includes('10.1.2.0/24')))
})

t.test('without encrypted networks there is no trace of them', async (t) => {
  const items = [...linkModel(tableOf([plain]), new Set([1]), RELAY_PORT).values()]
  t.notOk(items.some(({ add }) => add.includes('sw-vx1')))
})

t.test('the device sends to the relay only, and from a port that is its own', async (t) => {
  const device = encryptedDevice({
    mac: '02:de:0:0:0:1',
    mtu: 1450,
    address: '169.254.78.1',
    port: 4790,
  })
  const lines = deviceLines(device, undefined)
  t.match(lines[0], 'type vxlan id 4243 local 127.0.0.1 dstport 4790 srcport 4790 4791 nolearning')
  t.match(lines[1], 'link set sw-vx1 address 02:de:0:0:0:1 mtu 1450 gso_max_segs 1 up')
  const info_data = { id: 4243, local: '127.0.0.1', port: 4790 }
  const current = { ifname: 'sw-vx1', mtu: 1450, address: '', linkinfo: { info_data } }
  t.notOk(
    deviceLines(device, current).some((line) => /link (add|del)/.test(line)),
    'it stays',
  )
  const moved = { ...current, linkinfo: { info_data: { ...info_data, port: 4800 } } }
  t.equal(deviceLines(device, moved)[0], 'link del sw-vx1')
})

const modelOf = (networks: (typeof plain)[]) =>
  nftModel(tableOf(networks), {
    reserved: () => true,
    retired: [],
    vxlanPort: 4789,
  })

t.test('nftables keeps them off every other device, and others off their port', async (t) => {
  const model = modelOf([plain, vault, small])
  t.strictSame([...model.sets.encrypted_nets], ['10.2.0.0/16', '10.3.3.0/24'])
  t.strictSame([...model.sets.encrypted_ports], ['4790'])
  t.equal(model.maps.node_mark.get('02:dd:c0:a8:00:02'), '0x10020000')
  t.equal(model.maps.node_mark.get('02:de:c0:a8:00:02'), '0x11020000', 'back the same way')
  t.strictSame([...modelOf([plain]).sets.encrypted_ports], [], "then the port is anybody's")
  const script = fullScript(model, { vxlanPort: 4789 })
  for (const rule of [
    'ip saddr @encrypted_nets jump astray',
    'ip daddr @encrypted_nets jump astray',
    'iifname != "sw-vx1" iifname != "sw-br*" iifname != "lo" drop',
    'ip daddr @encrypted_nets oifname != "sw-vx1" oifname != "sw-br*" oifname != "lo" drop',
    'ip saddr @encrypted_nets oifname != "sw-vx1" oifname != "sw-br*" oifname != "lo" drop',
    // Broadcasts and multicasts reach a VXLAN socket too.
    'udp dport @encrypted_ports iifname != "lo" fib daddr type != unicast drop',
    'udp dport @encrypted_ports oifname "lo" meta skuid != 0 drop',
  ])
    t.ok(script.includes(`  ${rule}\n`), rule)
})

t.test(
  'networks of containers that the view lacks are kept off too, in both families',
  async (t) => {
    const gone = network('gone', 9, '10.9.0.0/16', { encrypted: true, subnet6: 'fd00:9::/64' })
    const open = network('open', 10, '10.10.0.0/16')
    const reused = network('reused', 11, '10.1.0.0/16', { encrypted: true })
    const table = forwardingTable(view({ networks: [plain, vault] }), 'n1', [
      vault,
      gone,
      gone,
      open,
      reused,
    ])
    const subnets = { ipv4: ['10.2.0.0/16', '10.9.0.0/16'], ipv6: ['fd00:9::/64'] }
    t.strictSame(
      table?.encryptedSubnets,
      subnets,
      "what was given to another network is that one's",
    )
    const model = table && ipv6NftModel(table, { retired: [] })
    t.strictSame([...(model?.sets.encrypted_nets ?? [])], ['fd00:9::/64'])
  },
)

t.test('so do the chains of the proxy plane', async (t) => {
  const lines = guardChains(['10.2.0.0/16', '10.3.3.0/24'], 4790).split('\n')
  for (const subnet of ['10.2.0.0/16', '10.3.3.0/24']) {
    for (const rule of [
      `-A SWARMCTL-GUARD-IN -s ${subnet} -j DROP`,
      `-A SWARMCTL-GUARD-IN -d ${subnet} -j DROP`,
      `-A SWARMCTL-GUARD-OUT -d ${subnet} -j DROP`,
      `-A SWARMCTL-GUARD-OUT -s ${subnet} -o sw-vx0 -j DROP`,
    ])
      t.ok(lines.includes(rule), rule)
  }
  const strangers = lines.indexOf(
    '-A SWARMCTL-GUARD-IN ! -i lo -p udp --dport 4790 -m addrtype ! --dst-type UNICAST -j DROP',
  )
  t.ok(strangers > 0)
  for (const way of ['lo', 'sw-vx1', 'sw-br+']) {
    const returns = lines.indexOf(`-A SWARMCTL-GUARD-IN -i ${way} -j RETURN`)
    t.ok(strangers < returns, 'containers of any network are strangers to the port')
    t.ok(returns < lines.findIndex((line) => line.includes('-s 10.')), 'its own ways come first')
  }
  t.notMatch(guardChains([], 4790), /-j/)
})

/** VXLAN of the encrypted device around an IPv4 packet. */
const datagram = (to: string, from: string, payload: string, vni = 4243): Buffer =>
  Buffer.concat([
    Buffer.of(0x08, 0, 0, 0, vni >> 16, (vni >> 8) & 255, vni & 255, 0),
    macBytes(to),
    macBytes(from),
    Buffer.of(0x08, 0x00),
    Buffer.from(payload),
  ])

const [mac1, mac2, mac3] = [1, 2, 3].map((n) => encryptedVtepMac(`192.168.0.${n}`)) as [
  string,
  string,
  string,
]

t.test('who sent a frame is what the certificate says, not what the frame says', async (t) => {
  const one = datagram(mac1, mac3, 'hello')
  t.equal(targetOf(one), mac1.replaceAll(':', ''))
  stamp(one, macBytes(mac2), macBytes(mac1))
  t.strictSame(one, datagram(mac1, mac2, 'hello'))
})

t.test("only IP of the encrypted device's own VNI is carried", async (t) => {
  t.ok(isOurs(datagram(mac1, mac2, 'x')))
  t.notOk(isOurs(datagram(mac1, mac2, 'x', 4242)), 'another VNI')
  const arp = datagram(mac1, mac2, 'x')
  arp.writeUInt16BE(0x0806, 20)
  t.notOk(isOurs(arp), 'ARP')
  const flagless = datagram(mac1, mac2, 'x')
  flagless[0] = 0
  t.notOk(isOurs(flagless))
  for (const length of [0, 1, 8, 20, 22])
    t.notOk(isOurs(datagram(mac1, mac2, 'x').subarray(0, length)))
})

t.test('datagrams come out of a stream as they went in, however it is cut', async (t) => {
  const sent = [Buffer.from('a'), Buffer.alloc(0), Buffer.alloc(60_000, 'b'), Buffer.from('cd')]
  const bytes = frameDatagrams(sent)
  for (const step of [1, 7, bytes.length]) {
    const reader = new DatagramReader()
    const got: Buffer[] = []
    for (let at = 0; at < bytes.length; at += step)
      got.push(...reader.read(bytes.subarray(at, at + step)))
    t.strictSame(got, sent, `in pieces of ${step}`)
  }
})

t.test('a queue is bounded, and drops what comes when it is full', async (t) => {
  const queue = new DatagramQueue()
  const count = QUEUE_BYTES_MAX / 1024
  for (let at = 0; at < count + 3; at += 1) queue.push(Buffer.alloc(1022, at % 251))
  t.equal(queue.dropped, 3)
  const reader = new DatagramReader()
  const got: Buffer[] = []
  for (let batch = queue.take(); batch; batch = queue.take()) {
    t.ok(batch.length <= BATCH_BYTES_MAX)
    got.push(...reader.read(batch))
  }
  t.equal(got.length, count)
  t.ok(
    got.every((one, at) => one[0] === at % 251),
    'the oldest, in order',
  )
  queue.push(Buffer.alloc(1))
  t.equal(queue.dropped, 3, 'there is room again')
  queue.clear()
  t.equal(queue.take(), undefined)
})

/** The two ends of a relay's connection, in one process. */
class FakeStream implements RelayStream {
  readonly sent: Buffer[] = []
  #close: () => void = () => {}
  readonly closed = new Promise<void>((resolve) => {
    this.#close = resolve
  })
  isClosed = false
  /** Set: `send` waits for it. */
  room: Promise<void> = Promise.resolve()

  async send(message: Buffer): Promise<void> {
    if (this.isClosed) throw new Error('over')
    this.sent.push(message)
    await this.room
  }

  close(): void {
    this.isClosed = true
    this.#close()
  }

  get datagrams(): string[] {
    const reader = new DatagramReader()
    return this.sent.flatMap((one) => reader.read(one)).map((one) => one.subarray(22).toString())
  }
}

const until = async (what: () => boolean): Promise<void> => {
  while (!what()) await new Promise((resolve) => setTimeout(resolve, 1))
}

/** A relay whose device is a socket of the test: the relay sends to `devicePort` and takes from it. */
const relayWith = async (streams: FakeStream[]) => {
  const device = createSocket('udp4')
  device.bind(0, '127.0.0.1')
  await once(device, 'listening')
  device.setBroadcast(true)
  const opened: string[] = []
  const link = {
    open: async (nodeId: string) => {
      opened.push(nodeId)
      const stream = streams.shift()
      if (stream === undefined) throw new Error('not in reach')
      return stream
    },
  }
  const vxlanPort = device.address().port - 1
  const relay = new Relay({ link, log }, { vxlanPort })
  const port = await relay.set(tableOf([vault], [node(1), node(2), node(3)]))
  relay.hasDevice = true
  const send = (one: Buffer) =>
    new Promise<void>((resolve) => device.send(one, port ?? 0, '127.255.255.255', () => resolve()))
  const close = () => {
    relay.close()
    device.close()
  }
  return { relay, device, opened, send, close, port: port ?? 0 }
}

t.test('the relay sends each node what is for it, and connects again after a break', async (t) => {
  const [first, second] = [new FakeStream(), new FakeStream()]
  const { opened, send, close } = await relayWith([first, second])
  await send(datagram(mac2, mac1, 'one'))
  await send(datagram(mac2, mac1, 'two'))
  await send(datagram('02:de:00:00:00:99', mac1, 'to nobody'))
  await until(() => first.datagrams.length === 2)
  t.strictSame(first.datagrams, ['one', 'two'])
  t.strictSame(opened, ['n2'])
  first.close()
  await send(datagram(mac2, mac1, 'three'))
  await until(() => second.datagrams.length === 1)
  t.strictSame(second.datagrams, ['three'])
  second.close()
  await send(datagram(mac2, mac1, 'lost'))
  await until(() => opened.length === 3)
  close()
})

t.test('a peer that takes nothing costs no more than its queue', async (t) => {
  const stream = new FakeStream()
  let free = () => {}
  stream.room = new Promise((resolve) => {
    free = resolve
  })
  const { send, close } = await relayWith([stream])
  await send(datagram(mac2, mac1, 'first'))
  await until(() => stream.sent.length === 1)
  const payload = 'x'.repeat(32_000)
  const count = (2 * QUEUE_BYTES_MAX) / payload.length
  // One by one: the kernel's buffer is not what is tested.
  for (let at = 0; at < count; at += 1) {
    await send(datagram(mac2, mac1, payload))
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  t.equal(stream.sent.length, 1, 'nothing is sent meanwhile')
  free()
  await until(() => stream.datagrams.length >= Math.floor(QUEUE_BYTES_MAX / (payload.length + 22)))
  t.ok(stream.datagrams.length < count * 0.75, `${stream.datagrams.length} of ${count}`)
  close()
})

t.test(
  'what a peer sends goes to the device with its own MAC; a stranger is not heard',
  async (t) => {
    const { relay, device, close } = await relayWith([])
    const got: Buffer[] = []
    device.on('message', (one) => got.push(one))
    const messages = async function* (payload: string) {
      yield 'nonsense'
      yield frameDatagrams([datagram(mac1, mac3, payload), datagram(mac1, mac3, payload, 1)])
    }
    await relay.accept('n9', messages('removed'))
    relay.hasDevice = false
    await relay.accept('n2', messages('for who has the port instead of the device'))
    relay.hasDevice = true
    await relay.accept('n2', messages('hello'))
    await until(() => got.length > 0)
    await new Promise((resolve) => setTimeout(resolve, 50))
    t.strictSame(got, [datagram(mac1, mac2, 'hello')])
    close()
  },
)

t.test('nobody but the device is listened to', async (t) => {
  const stream = new FakeStream()
  const { relay, send, close } = await relayWith([stream])
  const port = await relay.set(tableOf([vault], [node(1), node(2), node(3)]))
  const other = createSocket('udp4')
  other.bind(0, '127.0.0.1')
  await once(other, 'listening')
  other.setBroadcast(true)
  await new Promise<void>((resolve) =>
    other.send(datagram(mac2, mac1, 'forged'), port ?? 0, '127.255.255.255', () => resolve()),
  )
  await send(datagram(mac2, mac1, 'true'))
  await until(() => stream.datagrams.length > 0)
  t.strictSame(stream.datagrams, ['true'])
  other.close()
  close()
})

t.test('a relay that has no way to the device says so, and is not open to others', async (t) => {
  const link = { open: () => Promise.reject(new Error('not in reach')) }
  const relay = new Relay({ link, log }, { vxlanPort: 65_535 })
  t.equal(await relay.set(tableOf([vault])), null)
  t.match(relay.problem, /encrypted networks reach no other node: .*65536/)
  relay.close()
})

t.test(
  'the port where a relay takes plain datagrams is never free for others than root',
  async (t) => {
    const [first, second] = [await relayWith([]), await relayWith([])]
    t.equal(first.port < 1024, process.getuid?.() === 0)
    t.equal(second.port < 1024, process.getuid?.() === 0)
    t.not(first.port, second.port, 'one that is taken is passed over')
    first.close()
    second.close()
  },
)
