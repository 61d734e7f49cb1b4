import t from 'tap'
import { SwarmctlError } from '../../src/api/errors.ts'
import type { Log } from '../../src/api/log.ts'
import { type Credentials, readCredentials } from '../../src/pki/credentials.ts'
import { createKeyAndCsr } from '../../src/pki/csr.ts'
import { RenewalLoop, renewAtMs } from '../../src/pki/renewal-loop.ts'
import { createRootCA, NODE_LIFETIME_MS, signNodeCertificate } from '../../src/pki/root-ca.ts'

const START_MS = Date.UTC(2026, 0, 1)
const DAY_MS = 24 * 3_600_000

/** A clock that jumps to the next timer. */
class FakeClock {
  ms = START_MS
  #timers: { atMs: number; run: () => void }[] = []
  readonly longestMs = { value: 0 }

  nowMs(): number {
    return this.ms
  }

  schedule(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.ms + delayMs, run }
    this.longestMs.value = Math.max(this.longestMs.value, delayMs)
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  get timers(): number {
    return this.#timers.length
  }

  jump(): void {
    const timer = this.#timers.shift()
    if (!timer) throw new Error('no timer')
    this.ms = timer.atMs
    timer.run()
  }
}

const setUp = async () => {
  const clock = new FakeClock()
  const root = await createRootCA(clock)
  const state: {
    role: 'worker' | 'manager'
    error: Error | undefined
    renewals: number
    got: Credentials[]
    warnings: string[]
    lifetimeMs: number
  } = {
    ...{ role: 'worker', error: undefined, renewals: 0, got: [], warnings: [] },
    lifetimeMs: NODE_LIFETIME_MS,
  }
  const sign = (csrPem: string) =>
    signNodeCertificate(
      root,
      { csrPem, nodeId: 'n', role: state.role, clusterId: 'c', lifetimeMs: state.lifetimeMs },
      clock,
    )
  const { keyPem, csrPem } = await createKeyAndCsr()
  const rootCAPem = root.certPem
  const credentials = readCredentials({ keyPem, certPem: await sign(csrPem), rootCAPem })
  const waiting: (() => void)[] = []
  const quiet = (): void => {}
  const log: Log = {
    debug: quiet,
    info: quiet,
    warn: (_fields, message) => state.warnings.push(message),
    error: quiet,
    child: () => log,
  }
  const loop = new RenewalLoop(
    {
      clock,
      random: () => 0.5,
      log,
      renew: async (csr) => {
        state.renewals += 1
        if (state.error) throw state.error
        return { certPem: await sign(csr), rootCAPem }
      },
      onCredentials: async (fresh) => {
        state.got.push(fresh)
        for (const run of waiting.splice(0)) run()
      },
    },
    { credentials },
  )
  const nextCredentials = () =>
    new Promise<void>((resolve) => {
      waiting.push(resolve)
    })
  return { clock, loop, state, credentials, nextCredentials }
}

/** Lets the loop's promises run until it waits for its clock again. */
const settled = async (clock: FakeClock) => {
  while (clock.timers === 0) await new Promise((resolve) => setImmediate(resolve))
}

t.test('renews between 50 and 80 % of the life', async (t) => {
  const life = { notBefore: 1000, notAfter: 2000 }
  t.same(
    [0, 0.5, 1].map((random) => renewAtMs(life, random)),
    [1500, 1650, 1800],
  )

  const { clock, loop, state, credentials } = await setUp()
  loop.start()
  loop.start()
  while (state.renewals === 0) {
    t.equal(clock.timers, 1)
    clock.jump()
    await settled(clock)
  }
  const partOfLife = (clock.ms - credentials.notBefore) / (NODE_LIFETIME_MS + 3_600_000)
  t.ok(Math.abs(partOfLife - 0.65) < 0.001, `at ${partOfLife} of the life`)
  t.ok(clock.longestMs.value <= DAY_MS, 'no timer is longer than the runtime can keep')
  t.equal(state.got.length, 1)
  t.not(state.got[0]!.keyPem, credentials.keyPem, 'with a new key')
  await loop.stop()
  t.equal(clock.timers, 0)
})

t.test('a failure is tried again, rarer and rarer, and logged', async (t) => {
  const { clock, loop, state } = await setUp()
  loop.start()
  state.error = new SwarmctlError('UNAVAILABLE', 'no manager answers')
  while (state.renewals === 0) {
    clock.jump()
    await settled(clock)
  }
  const waits: number[] = []
  for (let i = 0; i < 11; i++) {
    const before = clock.ms
    clock.jump()
    await settled(clock)
    waits.push((clock.ms - before) / 750)
  }
  t.same(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300])
  t.equal(state.warnings.length, 12)
  t.equal(state.warnings[0], "can't renew the node certificate: no manager answers")
  state.error = undefined
  clock.jump()
  await settled(clock)
  t.equal(state.got.length, 1)
  await loop.stop()
})

t.test('renewNow: at once, and once more when the role changes meanwhile', async (t) => {
  const { clock, loop, state } = await setUp()
  loop.start()
  const first = loop.renewNow()
  state.role = 'manager'
  const [second, third] = [loop.renewNow(), loop.renewNow()]
  t.equal(second, third)
  await Promise.all([first, second])
  t.equal(state.renewals, 2)
  t.equal(state.got.at(-1)!.role, 'manager')
  t.equal(clock.ms, START_MS)
  state.error = new SwarmctlError('UNAVAILABLE', 'no leader')
  await t.rejects(loop.renewNow(), { code: 'UNAVAILABLE', message: 'no leader' })
  t.equal(clock.timers, 1, 'it goes on trying')
  await loop.stop()
})

t.test(
  'certificates whose life is almost over when they come are not renewed without a pause',
  async (t) => {
    const { clock, loop, state } = await setUp()
    loop.start()
    state.lifetimeMs = 60_000
    await loop.renewNow()
    clock.jump()
    await settled(clock)
    t.equal(state.renewals, 2)
    t.equal(clock.ms - START_MS, 5 * 60_000)
    await loop.stop()
  },
)
