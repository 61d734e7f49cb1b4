import t from 'tap'
import type { ExecResult } from '../../src/overlay/exec.ts'
import { NameClients } from '../../src/overlay/name-clients.ts'
import {
  JOIN_SCRIPT,
  NOT_THERE,
  PART_SCRIPT,
  resolverPorts,
  resolverRules,
} from '../../src/overlay/resolver-rules.ts'

const HEAD = '  sl  local_address rem_address   st tx_queue rx_queue\n'
/** Lines of /proc/<pid>/net/{udp,tcp}: 127.0.0.11 in the kernel's order. */
const udpTable = (port: string) =>
  `${HEAD} 7: 00000000:0035 00000000:0000 07 00000000:00000000\n 9: 0B00007F:${port} 00000000:0000 07 00000000:00000000\n`
const tcpTable = (port: string) =>
  `${HEAD} 0: 0B00007F:0FFF 0B00007F:AAAA 01 00000000:00000000\n 1: 0B00007F:${port} 00000000:0000 0A 00000000:00000000\n`

t.test('where the Engine’s resolver listens', async (t) => {
  t.strictSame(resolverPorts(udpTable('9C40'), tcpTable('A000')), { udp: 40_000, tcp: 40_960 })
  t.equal(resolverPorts(HEAD, tcpTable('A000')), undefined)
  t.equal(resolverPorts('', ''), undefined, 'a container that ended')
})

t.test('rules for the questions, the answers and what loopback is opened to', async (t) => {
  const rules = resolverRules(
    { address: '10.5.1.9', gateway: '10.5.1.1' },
    { udp: 40_000, tcp: 40_960 },
  )
  for (const rule of [
    '-A SWARMCTL-ASK -d 127.0.0.11 -p udp --dport 53 -j DNAT --to-destination 10.5.1.1',
    '-A SWARMCTL-ASK -d 127.0.0.11 -p tcp --dport 53 -j DNAT --to-destination 10.5.1.1',
    '-A SWARMCTL-BACK -s 10.5.1.1 -d 10.5.1.9 -p tcp --dport 40960 -j DNAT --to-destination 127.0.0.11',
    '-A SWARMCTL-GUARD ! -i lo -d 127.0.0.0/8 -m conntrack ! --ctstate DNAT -j DROP',
  ])
    t.ok(rules.includes(`${rule}\n`), rule)
  t.ok(JOIN_SCRIPT.indexOf('SWARMCTL-GUARD') < JOIN_SCRIPT.indexOf('echo 1'), 'guarded, then open')
  t.ok(PART_SCRIPT.indexOf('echo 0') < PART_SCRIPT.indexOf('SWARMCTL-GUARD'), 'closed, then free')
})

class Bench {
  readonly ran: string[] = []
  readonly said: string[] = []
  readonly files = new Map<string, string>()
  result: Partial<ExecResult> = {}
  readonly clients = new NameClients({
    exec: {
      run: async (program, args, input = '') => {
        const isJoin = args.includes(JOIN_SCRIPT)
        const gateway = /destination (10\S+)/.exec(input)?.[1] ?? ''
        this.ran.push(
          [isJoin ? 'join' : 'part', program, args[0], args.at(-1), gateway].join(' ').trim(),
        )
        return { code: 0, stdout: '', stderr: '', ...this.result }
      },
      watch: () => ({ stop: () => {} }),
    },
    proc: {
      read: async (path) => this.files.get(path) ?? null,
      write: async () => {},
      list: async () => [],
    },
    log: {
      ...{ debug: () => {}, info: () => {}, error: () => {}, child: () => t.fail() as never },
      warn: (_: object, text: string) => void this.said.push(text),
    },
  })

  container(pid: number, udpPort = '9C40'): void {
    this.files.set(`/proc/${pid}/net/udp`, udpTable(udpPort))
    this.files.set(`/proc/${pid}/net/tcp`, tcpTable('A000'))
  }

  async sync(isResync = false): Promise<string[]> {
    this.ran.length = 0
    await this.clients.sync(isResync)
    return [...this.ran]
  }
}

const one = { pid: 77, address: '10.5.1.9', gateway: '10.5.1.1' }
const two = { pid: 77, address: '10.6.1.9', gateway: '10.6.1.1' }

t.test('a container is led to our server while it is on an overlay', async (t) => {
  const bench = new Bench()
  bench.clients.set('t1', one)
  t.strictSame(await bench.sync(), [], 'it has no resolver of the Engine')
  t.equal(bench.clients.resolverOf('10.5.1.9'), undefined)
  bench.container(77)
  const join = 'join nsenter --net=/proc/77/ns/net 10.5.1.9 10.5.1.1'
  t.strictSame(await bench.sync(), [join])
  t.strictSame(bench.clients.resolverOf('10.5.1.9'), {
    address: '10.5.1.9',
    ports: { udp: 40_000, tcp: 40_960 },
  })
  t.equal(bench.clients.resolverOf('10.5.1.8'), undefined)
  t.strictSame(await bench.sync(), [])
  t.strictSame(await bench.sync(true), [join], 'somebody may have flushed them')
  bench.container(77, '9C41')
  t.strictSame(await bench.sync(), [join], 'the Engine was away')
  t.equal(bench.clients.resolverOf('10.5.1.9')?.ports.udp, 40_001)
  t.ok(bench.clients.delete('t1'))
  t.notOk(bench.clients.delete('t1'))
  t.strictSame(await bench.sync(), ['part nsenter --net=/proc/77/ns/net 10.5.1.9'])
  t.strictSame(await bench.sync(true), [])
  t.equal(bench.clients.resolverOf('10.5.1.9'), undefined)
})

t.test('one on two overlays asks at one of them', async (t) => {
  const bench = new Bench()
  bench.container(77)
  bench.clients.set('t1', one)
  bench.clients.set('t2', two)
  t.strictSame(await bench.sync(), ['join nsenter --net=/proc/77/ns/net 10.5.1.9 10.5.1.1'])
  t.strictSame(await bench.sync(), [])
  bench.clients.delete('t1')
  t.strictSame(await bench.sync(), ['join nsenter --net=/proc/77/ns/net 10.6.1.9 10.6.1.1'])
})

t.test('a restarted container, another one’s process id, and this daemon’s end', async (t) => {
  const bench = new Bench()
  bench.container(77)
  bench.container(78)
  bench.clients.set('t1', one)
  bench.result = { code: NOT_THERE }
  t.equal((await bench.sync()).length, 1)
  t.equal(bench.clients.resolverOf('10.5.1.9'), undefined)
  t.strictSame(bench.clients.problems(), [])
  bench.result = {}
  await bench.sync()
  bench.clients.set('t1', { ...one, pid: 78 })
  t.strictSame(await bench.sync(), [
    'part nsenter --net=/proc/77/ns/net 10.5.1.9',
    'join nsenter --net=/proc/78/ns/net 10.5.1.9 10.5.1.1',
  ])
  bench.ran.length = 0
  await bench.clients.close()
  t.strictSame(bench.ran, ['part nsenter --net=/proc/78/ns/net 10.5.1.9'])
})

t.test('what can’t be done is said once', async (t) => {
  const bench = new Bench()
  bench.container(77)
  bench.clients.set('t1', one)
  bench.result = { code: 127, stderr: 'nsenter: not found' }
  await bench.sync()
  await bench.sync(true)
  const problem =
    'the container with address 10.5.1.9 finds no names of the overlay: nsenter: not found'
  t.strictSame(bench.said, [problem])
  t.strictSame(bench.clients.problems(), [problem])
  bench.result = {}
  await bench.sync(true)
  t.strictSame(bench.clients.problems(), [])
})
