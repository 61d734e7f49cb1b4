import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { positionOf } from './mutation.ts'
import { MUTATIONS } from './mutations.ts'

const ROOT = join(import.meta.dirname, '../..')

t.test(
  'every mutation still has its place in the sources, so that the table can not rot',
  async (t) => {
    t.equal(new Set(MUTATIONS.map(({ name }) => name)).size, MUTATIONS.length, 'names are unique')
    for (const mutation of MUTATIONS) {
      const text = readFileSync(join(ROOT, mutation.file), 'utf8')
      t.doesNotThrow(() => positionOf(mutation, text), mutation.name)
      t.not(mutation.original, mutation.mutated)
    }
  },
)
