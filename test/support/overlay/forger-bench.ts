/**
 * A node's network in namespaces, with its real rules, and who would get into its overlays: `r` is node 1, `n` node 2 with two ways to it
 * (the second comes in by a card that node 1 answers by no more), `a` a container of red, `b` one of the internal blue, `c` one of the
 * Engine's own bridge.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { parseIpv4 } from '../../../src/api/ipv4.ts'
import { type Exec, ProcessExec } from '../../../src/overlay/exec.ts'
import { type ForwardingTable, forwardingTable } from '../../../src/overlay/forwarding-table.ts'
import { linkModel } from '../../../src/overlay/link-model.ts'
import { VXLAN_ID, VXLAN_PORT } from '../../../src/overlay/names.ts'
import { deviceLines, plainDevice } from '../../../src/overlay/vxlan-device.ts'
import { endpoint, network, node, service, view } from './views.ts'

const NAMES = ['r', 'n', 'a', 'b', 'c'] as const
export type Place = (typeof NAMES)[number]

export const MTU = 1450
/** Where `b` listens, and the port of node 2's task. */
const [HERE_PORT, THERE_PORT] = [8888, 7777]

/** Why there can be no such network here; '' when there can. */
export const obstacle = (): string =>
  process.getuid?.() === 0 ? '' : 'namespaces and their rules need root'

/** Sends a packet as it is, header included. */
const SEND = `use Socket; ($to, $hex) = @ARGV; socket(S, PF_INET, SOCK_RAW, 255)
  && setsockopt(S, SOL_SOCKET, SO_BROADCAST, 1)
  && send(S, pack("H*", $hex), 0, sockaddr_in(0, inet_aton($to))) or die $!`
/** Says what comes, in printable characters; a first datagram to an address makes a flow. */
const HEAR = `use Socket; $| = 1; ($at, $port, $to, $toPort) = @ARGV; socket(S, PF_INET, SOCK_DGRAM, 17)
  && bind(S, sockaddr_in($port, inet_aton($at))) or die $!;
  send(S, 'hello', 0, sockaddr_in($toPort, inet_aton($to))) if $to; print "ready\\n";
  while (1) { $from = recv(S, $d, 2000, 0); $d =~ s/[^ -~]//g; print "$d\\n"; send(S, "echo $d", 0, $from) }`

const SETUP = `
r sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
r ip link add br-up type bridge; r ip address add 192.168.0.1/24 dev br-up; r ip link set br-up up
r ip link add up0 type veth peer name up0 netns $N; r ip link set up0 master br-up up
n ip address add 192.168.0.2/24 dev up0; n ip link set up0 up
r ip link add up1 type veth peer name up1 netns $N; r ip address add 172.31.0.1/24 dev up1; r ip link set up1 up
n ip address add 172.31.0.2/24 dev up1; n ip link set up1 up
bridge() {
  r ip link add $1 type bridge; r ip address add $2.1/16 dev $1; r ip link set $1 up
  r sysctl -qw net.ipv4.conf.$1.proxy_arp=1
  r ip link add v$3 type veth peer name eth0 netns $4; r ip link set v$3 master $1 up
  ip -n $4 address add $2.5/16 dev eth0; ip -n $4 link set eth0 up; ip -n $4 route add default via $2.1
}
bridge sw-br1 10.1.1 a $A; bridge sw-br2 10.2.1 b $B; bridge docker0 172.17.0 c $C
# a is on blue as well; what it answers leaves by red.
r ip link add va2 type veth peer name eth1 netns $A; r ip link set va2 master sw-br2 up
a ip address add 10.2.1.6/32 dev eth1; a ip link set eth1 up
r iptables -N DOCKER-USER; r iptables -A FORWARD -j DOCKER-USER
`

export class ForgerBench {
  readonly table: ForwardingTable
  readonly #prefix = `swf${process.pid}`
  readonly #listeners: ChildProcess[] = []
  readonly #heard: string[] = []
  #onHeard = () => {}
  #count = 0

  constructor() {
    const table = forwardingTable(
      view({
        nodes: [node(1), node(2), node(3)],
        networks: [
          network('red', 1, '10.1.0.0/16'),
          network('blue', 2, '10.2.0.0/16', { internal: true }),
        ],
        services: [service('s')],
        endpoints: [
          endpoint('a', 's', 'n1', { red: '10.1.1.5', blue: '10.2.1.6' }),
          endpoint('b', 's', 'n1', { blue: '10.2.1.5' }),
          endpoint('far', 's', 'n2', { blue: '10.2.2.9' }),
        ],
      }),
      'n1',
    )
    if (table === null) throw new Error('no table')
    this.table = table
  }

  /** Of node 1. */
  readonly exec: Exec = {
    run: (command, args, input) =>
      new ProcessExec().run('ip', ['netns', 'exec', this.#name('r'), command, ...args], input),
    watch: () => ({ stop: () => {} }),
  }

  run(place: Place, command: string, args: readonly string[], input = ''): string {
    const inside = ['netns', 'exec', this.#name(place), command, ...args]
    return execFileSync('ip', inside, { input, encoding: 'utf8' })
  }

  make(): void {
    const { self } = this.table
    const names = NAMES.map((one) => `${one.toUpperCase()}=${this.#name(one)}`).join(' ')
    const within = NAMES.map((one) => `${one}() { ip netns exec ${this.#name(one)} "$@"; }`)
    const spaces = NAMES.map((one) => `ip netns add ${this.#name(one)}; ${one} ip link set lo up`)
    const script = ['set -e', names, ...within, ...spaces, SETUP].join('\n')
    execFileSync('sh', ['-c', script], { encoding: 'utf8' })
    const shape = { mac: self.mac, mtu: MTU, address: self.vtepAddr, port: VXLAN_PORT }
    const device = deviceLines(plainDevice(shape, self.dataPathAddr), undefined)
    const items = [...linkModel(this.table, new Set([1, 2]), null).values()]
    for (const tool of ['ip', 'bridge'] as const) {
      const lines = items.filter((one) => one.tool === tool).map((one) => one.add)
      const all = [...(tool === 'ip' ? device : []), ...lines].join('\n')
      this.run('r', tool, ['-force', '-batch', '-'], `${all}\n`)
    }
    this.run('r', 'sysctl', ['-qw', 'net.ipv4.conf.sw-vx0.rp_filter=0'])
  }

  close(): void {
    for (const one of this.#listeners) one.kill('SIGKILL')
    for (const name of NAMES)
      try {
        execFileSync('ip', ['netns', 'delete', this.#name(name)], { stdio: 'ignore' })
      } catch {
        // It was not made.
      }
  }

  /** Notes what comes to a place; with `flow` after it has sent something there. */
  async listen(place: Place, at: string, flow?: string): Promise<void> {
    const port = place === 'n' ? VXLAN_PORT : HERE_PORT
    const to = flow === undefined ? [] : [flow, String(THERE_PORT)]
    const args = ['netns', 'exec', this.#name(place), 'perl', '-e', HEAR, at, String(port), ...to]
    const child = spawn('ip', args, { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#listeners.push(child)
    const ready = new Promise<void>((resolve) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (line === 'ready') resolve()
        this.#heard.push(`${place} ${line}`)
        this.#onHeard()
      })
    })
    await ready
  }

  send(place: Place, packet: Buffer): void {
    const to = packet.subarray(DESTINATION_AT, DESTINATION_AT + 4).join('.')
    this.run(place, 'perl', ['-e', SEND, to, packet.toString('hex')])
  }

  /** Resolves when something that ends so has come to a place. */
  async heard(place: Place, end: string): Promise<void> {
    while (!this.#heard.some((one) => one.startsWith(`${place} `) && one.endsWith(end)))
      await new Promise<void>((resolve) => {
        this.#onHeard = resolve
      })
  }

  /** Whether a packet comes to `b` or node 2: what is sent after it, and answered, has come by then. */
  async arrives(place: Place, packet: (text: string) => Buffer): Promise<boolean> {
    const text = `case ${++this.#count}.`
    this.send(place, packet(text))
    const mark = `mark ${this.#count}.`
    this.send('n', this.wrapped('192.168.0.2', '192.168.0.1', onBlue(mark)))
    await this.heard('b', mark)
    await this.heard('n', `echo ${mark}`)
    return this.#heard.some((one) => one.endsWith(text))
  }

  /** As a node hands it to another (RFC 7348). */
  wrapped(from: string, to: string, inner: Buffer): Buffer {
    const { self, peers } = this.table
    const head = Buffer.alloc(8)
    head.writeUInt8(0x08, 0)
    head.writeUInt32BE(VXLAN_ID << 8, 4)
    const macs = [self.mac, peers[0]?.mac ?? ''].join('').replaceAll(':', '')
    const frame = [head, Buffer.from(`${macs}0800`, 'hex'), inner]
    return datagram({ from, to, ports: [33_333, VXLAN_PORT], payload: Buffer.concat(frame) })
  }

  #name(place: Place): string {
    return `${this.#prefix}${place}`
  }
}

/** From node 2's task on blue to `b`. */
export const onBlue = (text: string, from = '10.2.2.9', to = '10.2.1.5'): Buffer =>
  datagram({ from, to, ports: [THERE_PORT, HERE_PORT], payload: Buffer.from(text) })

const IP_HEADER_BYTES = 20
const DESTINATION_AT = 16

/** An IPv4 packet with a UDP datagram that has no checksum. */
const datagram = (of: {
  from: string
  to: string
  ports: [number, number]
  payload: Buffer
}): Buffer => {
  const packet = Buffer.alloc(IP_HEADER_BYTES + 8)
  const length = packet.length + of.payload.length
  packet.writeUInt8(0x45, 0)
  packet.writeUInt16BE(length, 2)
  packet.writeUInt8(64, 8)
  packet.writeUInt8(17, 9)
  packet.writeUInt32BE(parseIpv4(of.from) ?? 0, 12)
  packet.writeUInt32BE(parseIpv4(of.to) ?? 0, DESTINATION_AT)
  let sum = 0
  for (let at = 0; at < IP_HEADER_BYTES; at += 2) sum += packet.readUInt16BE(at)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  packet.writeUInt16BE(~sum & 0xffff, 10)
  for (const [at, port] of of.ports.entries()) packet.writeUInt16BE(port, IP_HEADER_BYTES + 2 * at)
  packet.writeUInt16BE(length - IP_HEADER_BYTES, IP_HEADER_BYTES + 4)
  return Buffer.concat([packet, of.payload])
}
