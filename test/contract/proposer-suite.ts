import type { Test } from 'tap'
import { encodeTransaction } from '../../src/manager/store/codec.ts'
import type { Proposer } from '../../src/manager/store/proposer.ts'
import type { StoreState } from '../../src/manager/store/state.ts'
import { sampleSecret } from '../support/objects.ts'

/** A proposer with the state that it applies to, of a cluster that can decide. */
export interface ProposerSubject {
  proposer: Proposer
  state: StoreState
}

const creation = (id: string, name = id): Uint8Array =>
  encodeTransaction({
    timeMs: 1_700_000_000_000,
    expect: [{ kind: 'secret', id, version: 0 }],
    put: [{ kind: 'secret', object: sampleSecret(id, name) }],
    remove: [],
  })

/** What the store relies on, whatever log is behind the port. */
export const proposerSuite = async (t: Test, { proposer, state }: ProposerSubject) => {
  await t.test(
    'a proposal resolves when it is applied here, with what apply answered',
    async (t) => {
      const { index, result } = await proposer.propose(creation('a'))
      t.same(result, { kind: 'committed' })
      t.equal(state.view().get('secret', 'a')?.Version.Index, index)
      t.ok(state.view().index >= index)
    },
  )
  await t.test('a refusal is an answer, not an error', async (t) => {
    const { result } = await proposer.propose(creation('a'))
    t.same(result, { kind: 'conflict', object: { kind: 'secret', id: 'a' } })
    const { result: taken } = await proposer.propose(creation('b', 'A'))
    t.same(taken, { kind: 'claimed', scope: 'name/secret', key: 'a', owner: 'secret/a' })
  })
  await t.test('proposals are applied in their order, each exactly once', async (t) => {
    const seen: string[] = []
    const stop = state.watch((changes) => seen.push(...changes.map((c) => c.object?.ID ?? '')))
    const ids = Array.from({ length: 50 }, (_, i) => `many-${i}`)
    const answers = await Promise.all(ids.map((id) => proposer.propose(creation(id))))
    stop()
    t.same(seen, ids)
    const indexes = answers.map(({ index }) => index)
    t.same(
      indexes,
      [...new Set(indexes)].sort((a, b) => a - b),
    )
  })
  await t.test('after a read barrier the view holds what was acknowledged before', async (t) => {
    const { index } = await proposer.propose(creation('late'))
    await proposer.readBarrier()
    t.ok(state.view().index >= index)
    t.ok(state.view().get('secret', 'late'))
  })
}
