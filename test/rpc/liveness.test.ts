import t from 'tap'
import type { Clock } from '../../src/api/clock.ts'
import { Liveness, PING_PERIOD_MS } from '../../src/rpc/liveness.ts'

/** A liveness on a clock that is moved by hand. */
const start = (onPeriod: (liveness: Liveness) => void = () => {}) => {
  const timers: { atMs: number; run: () => void }[] = []
  let nowMs = 0
  const clock: Clock = {
    nowMs: () => nowMs,
    schedule: (delayMs, run) => {
      const timer = { atMs: nowMs + delayMs, run }
      timers.push(timer)
      return () => timers.splice(0, timers.length, ...timers.filter((one) => one !== timer))
    },
  }
  const seen = { pings: 0, dead: [] as string[], timers }
  const liveness = new Liveness(clock, {
    onPeriod: () => onPeriod(liveness),
    ping: () => {
      seen.pings += 1
    },
    onDead: (reason) => seen.dead.push(reason),
  })
  liveness.start()
  const advance = (ms: number) => {
    nowMs += ms
    for (const { run } of timers.splice(0).filter((timer) => timer.atMs <= nowMs)) run()
  }
  return { liveness, advance, seen }
}

t.test('a silent peer is pinged, and dead after three silent seconds', async (t) => {
  const { liveness, advance, seen } = start()
  liveness.seen()
  for (let period = 0; period < 3; period++) advance(PING_PERIOD_MS)
  t.same(seen.dead, [])
  t.equal(seen.pings, 2)
  advance(PING_PERIOD_MS)
  t.same(seen.dead, ['the peer was silent for 3 s'])
  t.equal(seen.timers.length, 0)
})

t.test('an answer to a ping is life', async (t) => {
  const { liveness, advance, seen } = start()
  for (let period = 0; period < 20; period++) {
    const before = seen.pings
    advance(PING_PERIOD_MS)
    if (seen.pings > before) liveness.seen()
  }
  t.same(seen.dead, [])
  t.equal(seen.pings, 10)
})

t.test('who sends by itself is not pinged', async (t) => {
  const { liveness, advance, seen } = start()
  for (let period = 0; period < 10; period++) {
    advance(PING_PERIOD_MS)
    liveness.seen()
  }
  t.equal(seen.pings, 0)
  t.same(seen.dead, [])
})

t.test('a pause of this process counts as one period', async (t) => {
  const { liveness, advance, seen } = start()
  advance(PING_PERIOD_MS)
  liveness.seen()
  advance(60_000)
  advance(PING_PERIOD_MS)
  advance(PING_PERIOD_MS)
  t.same(seen.dead, [])
  advance(PING_PERIOD_MS)
  t.equal(seen.dead.length, 1)
})

t.test('who ends it in a period is not asked again', async (t) => {
  const { advance, seen } = start((liveness) => liveness.stop())
  advance(PING_PERIOD_MS)
  t.equal(seen.timers.length, 0)
  t.equal(seen.pings, 0)
})
