import t from 'tap'
import { sinceSeconds } from '../../src/cli/since.ts'

t.test('points in time', async (t) => {
  const zone = process.env.TZ
  process.env.TZ = 'Asia/Tokyo'
  t.teardown(() => {
    if (zone === undefined) delete process.env.TZ
    else process.env.TZ = zone
  })
  const at = (text: string) => Number(sinceSeconds('--since', text, 1_000_000))
  t.equal(at('10m'), 400)
  t.equal(at('1136214245.5'), 1136214245.5)
  t.equal(at('2006-01-02T15:04:05Z'), 1136214245)
  t.equal(at('2006-01-02T15:04:05'), 1136214245 - 9 * 3600, 'of this machine')
  t.equal(at('2006-01-02T15'), 1136214000 - 9 * 3600)
  t.equal(at('2006-01-02'), 1136160000 - 9 * 3600, 'a day as well')
  t.throws(() => at('bogus'), { message: 'invalid --since "bogus": a duration or a time' })
})
