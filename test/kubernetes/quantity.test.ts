import t from 'tap'
import { parseQuantity } from '../../src/kubernetes/quantity.ts'

t.test('quantities', async (t) => {
  const cases: [string | number, number | undefined][] = [
    ['500m', 0.5],
    [2, 2],
    ['1.5', 1.5],
    ['128Mi', 128 * 2 ** 20],
    ['1G', 1e9],
    ['1e3', 1000],
    ['5 Mi', undefined],
    ['-1', undefined],
    ['x', undefined],
  ]
  for (const [text, value] of cases) t.equal(parseQuantity(text), value, String(text))
})
