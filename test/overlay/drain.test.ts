/** When a draining task may be stopped, and when a started one listens. */
import t from 'tap'
import { Drainer } from '../../src/overlay/drain.ts'
import { untilListening } from '../../src/overlay/listening.ts'
import { openConnections, parseProcNetTcp, parseSilence } from '../../src/overlay/socket-table.ts'

const HEAD = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n'
/** 10.1.1.20 as the kernel prints it. */
const OWN = '1401010A'
const PEER = '6501A8C0'
const tcp = (lines: [string, string, string, string?][]) =>
  HEAD +
  lines
    .map(
      ([local, remote, state, queue = '00000000'], at) =>
        `   ${at}: ${local} ${remote} ${state} ${queue}:00000000 00:00000000 00000000  0 0 1`,
    )
    .join('\n')

const listen: [string, string, string] = ['00000000:0050', '00000000:0000', '0A']
const ready: [string, string, string] = [`${OWN}:0050`, `${PEER}:C001`, '01']

t.test('sockets that count', async (t) => {
  const lines = parseProcNetTcp(
    tcp([
      listen,
      ready,
      [`${OWN}:0050`, `${PEER}:C002`, '08'],
      [`${OWN}:0050`, `${PEER}:C003`, '04', '00000100'],
      [`${OWN}:0050`, `${PEER}:C004`, '04'],
      [`${OWN}:0050`, `${PEER}:C005`, '06'],
      [`${OWN}:0050`, `${PEER}:C007`, '03'],
      [`${OWN}:9000`, `${PEER}:1538`, '01'],
      ['0100007F:0050', '0100007F:C006', '01'],
    ]),
  )
  const open = openConnections(lines, new Set(['10.1.1.20']), new Set([80]))
  t.strictSame(
    open.map((one) => one.remotePort - 0xc000),
    [1, 2, 3, 7],
    'established, half closed, closed with data left, being opened; not: time-wait, own outgoing ones, loopback',
  )
  const mapped = parseProcNetTcp(
    tcp([[`0000000000000000FFFF0000${OWN}:0050`, `0000000000000000FFFF0000${PEER}:C001`, '01']]),
  )
  t.match(mapped, [{ localAddr: '10.1.1.20', remoteAddr: '192.168.1.101', remotePort: 0xc001 }])
  const ipv6 = parseProcNetTcp(
    tcp([
      [`${'0'.repeat(32)}:0050`, `${'0'.repeat(32)}:0000`, '0A'],
      [`010000FD${'0'.repeat(16)}${OWN}:0050`, `010000FD${'0'.repeat(16)}1501010A:C001`, '01'],
    ]),
  )
  t.match(openConnections(ipv6, new Set(['fd00:1::a01:114']), new Set([80])), [
    { localAddr: 'fd00:1::a01:114', remoteAddr: 'fd00:1::a01:115', remotePort: 0xc001 },
  ])
})

t.test('silence as ss tells it', async (t) => {
  const text = [
    'ESTAB 0 0 10.1.1.20:80 192.168.1.101:49153 cubic cwnd:10 lastsnd:5000 lastrcv:4100 lastack:1',
    'ESTAB 0 0 [::ffff:10.1.1.20]:80 [::ffff:192.168.1.101]:49154 cubic cwnd:10 lastsnd:10 lastrcv:9000',
    // Sent to in this very millisecond: ss says nothing of a 0.
    'ESTAB 0 0 10.1.1.20:80 192.168.1.101:49155 cubic cwnd:10 lastrcv:9000',
    'ESTAB 0 0 [fd00:1::a01:114]:80 [fd00:1::a01:115]:49156 cubic cwnd:10 lastsnd:7 lastrcv:9',
    'LISTEN 0 128 0.0.0.0:80 0.0.0.0:*',
  ].join('\n')
  t.strictSame(Object.fromEntries(parseSilence(text)), {
    '10.1.1.20:80 192.168.1.101:49153': 4100,
    '10.1.1.20:80 192.168.1.101:49154': 10,
    '10.1.1.20:80 192.168.1.101:49155': 0,
    'fd00:1::a01:114:80 fd00:1::a01:115:49156': 7,
  })
})

/** A task whose sockets and silence are functions of the time; every wait passes at once. */
const drainOf = async (
  at: (ms: number) => { tcp: string | null; ss?: string },
  options: { limitMs?: number; abortAtMs?: number } = {},
) => {
  let now = 0
  const controller = new AbortController()
  const clock = {
    nowMs: () => now,
    schedule: (delayMs: number, run: () => void) => {
      const handle = setImmediate(() => {
        now += delayMs
        if (options.abortAtMs !== undefined && now >= options.abortAtMs) controller.abort()
        run()
      })
      return () => clearImmediate(handle)
    },
  }
  const exec = {
    run: async () => ({ code: 0, stdout: at(now).ss ?? '', stderr: '' }),
    watch: () => ({ stop: () => {} }),
  }
  const proc = {
    read: async (path: string) => (path.endsWith('/tcp') ? at(now).tcp : null),
    write: async () => {},
    list: async () => [],
  }
  const drainer = new Drainer({ exec, proc, clock })
  await drainer.drain(new Set(['10.1.1.20']), 42, options.limitMs ?? 30_000, controller.signal)
  return now
}

t.test('how long a drain takes', async (t) => {
  const line = (silentMs: number) =>
    `ESTAB 0 0 10.1.1.20:80 192.168.1.101:49153 cubic cwnd:10 lastsnd:${silentMs} lastrcv:${silentMs}`
  t.equal(await drainOf(() => ({ tcp: tcp([listen]) })), 0, 'no connections')
  t.equal(await drainOf(() => ({ tcp: null })), 0, 'the process is gone')
  t.equal(
    await drainOf((ms) => ({ tcp: tcp(ms < 5000 ? [listen, ready] : [listen]), ss: line(0) })),
    5000,
    'until the last one ends',
  )
  t.equal(
    await drainOf((ms) => ({ tcp: tcp([listen, ready]), ss: line(ms) })),
    3000,
    'until all were silent for 3 s',
  )
  t.equal(
    await drainOf((ms) => ({ tcp: tcp(ms === 0 ? [listen, ready] : [ready]), ss: line(0) }), {
      limitMs: 10_000,
    }),
    10_000,
    'to the limit, though the server stopped listening',
  )
  const opening: [string, string, string] = [`${OWN}:0050`, `${PEER}:C001`, '03']
  t.equal(
    await drainOf((ms) => ({
      tcp: tcp(ms === 0 ? [listen, opening] : ms < 5000 ? [listen, ready] : [listen]),
      ss: ms === 0 ? '' : line(0),
    })),
    5000,
    'a client far away, whose connection is just being opened, gets its answer',
  )
  t.equal(
    await drainOf(() => ({ tcp: tcp([listen, opening]), ss: '' })),
    3000,
    'one that never confirms is not waited for',
  )
  t.equal(
    await drainOf(() => ({ tcp: tcp([listen, ready]), ss: line(0) }), { abortAtMs: 1000 }),
    1000,
    'until aborted',
  )
})

t.test('when what was started listens', async (t) => {
  const loopback: [string, string, string] = ['0100007F:0050', '00000000:0000', '0A']
  const own: [string, string, string] = [`${OWN}:1F90`, '00000000:0000', '0A']
  /** What was looked at, and how often it was waited. */
  const waitsFor = async (
    at: (look: number) => [string, string, string][] | null,
    options: { ports?: number[]; abortAfter?: number } = {},
  ) => {
    let waits = 0
    const controller = new AbortController()
    const proc = {
      read: async (path: string) => {
        const lines = path.endsWith('/tcp') ? at(waits) : null
        return lines && tcp(lines)
      },
    }
    const clock = {
      nowMs: () => 0,
      schedule: (delayMs: number, run: () => void) => {
        t.equal(delayMs, 20)
        waits += 1
        if (waits === options.abortAfter) controller.abort()
        queueMicrotask(run)
        return () => {}
      },
    }
    const wait = {
      pid: 42,
      addresses: new Set(['10.1.1.20']),
      ports: options.ports ?? [80],
      limitMs: 200,
    }
    await untilListening({ proc: proc as never, clock }, wait, controller.signal)
    return waits
  }
  t.equal(await waitsFor(() => [listen]), 0, 'at once')
  t.equal(await waitsFor((look) => (look < 3 ? [loopback, ready] : [listen])), 3)
  t.equal(await waitsFor(() => [own], { ports: [8080] }), 0, 'at its own address')
  t.equal(
    await waitsFor((look) => (look < 2 ? [listen] : [listen, own]), { ports: [80, 8080] }),
    2,
    'at all ports',
  )
  t.equal(await waitsFor(() => [loopback]), 10, 'to the limit')
  t.equal(await waitsFor(() => [loopback], { abortAfter: 4 }), 4, 'until aborted')
  t.equal(await waitsFor(() => null), 0, 'its process is gone')
})

t.test('a clock that is set back does not make the limit longer', async (t) => {
  let nowMs = 10_000_000
  let waits = 0
  const drainer = new Drainer({
    exec: {
      run: async () => ({ code: 1, stdout: '', stderr: '' }),
      watch: () => ({ stop() {} }),
    },
    proc: { read: async () => tcp([listen, ready]) } as never,
    clock: {
      nowMs: () => nowMs,
      schedule(_delayMs, run) {
        waits += 1
        nowMs = 6_400_000
        queueMicrotask(run)
        return () => {}
      },
    },
  })
  await drainer.drain(new Set(['10.1.1.20']), 1, 2000, new AbortController().signal)
  t.equal(waits, 8, 'eight looks of 250 ms')
})
