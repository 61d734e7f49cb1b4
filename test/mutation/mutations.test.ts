import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { find } from './find.ts'
import { positionOf } from './mutation.ts'
import { MUTATIONS } from './mutations.ts'

const ROOT = join(import.meta.dirname, '../..')
/** One of each kind that takes few seeds; all of them: `npm run test:mutation`. */
const QUICK = [
  'vote-sent-before-durable',
  'pre-vote-granted-with-own-term',
  'old-terms-committed-by-counting',
  'append-acknowledged-before-durable',
  'half-is-a-majority',
  'reads-served-while-a-snapshot-is-installed',
]
/** Several times what they take now, so that a change of the simulation rarely matters. */
const QUICK_SEEDS = 30

t.test('every mutation has its place in the sources, so that the table can not rot', async (t) => {
  t.equal(new Set(MUTATIONS.map(({ name }) => name)).size, MUTATIONS.length, 'names are unique')
  for (const mutation of MUTATIONS) {
    const text = readFileSync(join(ROOT, mutation.file), 'utf8')
    t.doesNotThrow(() => positionOf(mutation, text), mutation.name)
    t.not(mutation.original, mutation.mutated)
  }
})

t.test('the simulation finds a few of them within seconds', async (t) => {
  const chosen = MUTATIONS.filter(({ name }) => QUICK.includes(name))
  t.equal(chosen.length, QUICK.length)
  for (const mutation of chosen) {
    const { seeds, broken } = await find(mutation, QUICK_SEEDS)
    t.type(broken, 'string', mutation.name)
    t.comment(`${mutation.name}: seed ${seeds}, ${broken}`)
  }
})
