// The small pure parts: quorums, membership, encodings.

import fc from 'fast-check'
import t from 'tap'
import { ByteReader, ByteWriter, DecodeError } from '../../src/raft/bytes.ts'
import { createEntry } from '../../src/raft/entry.ts'
import {
  applyMembership,
  EMPTY_MEMBERSHIP,
  type MemberChange,
  type Membership,
  refusalOf,
} from '../../src/raft/membership.ts'
import {
  decodeMembership,
  decodeMembershipCommand,
  encodeMembership,
  encodeMembershipCommand,
} from '../../src/raft/membership-codec.ts'
import { committedIndex, hasQuorum, voteResult } from '../../src/raft/quorum.ts'
import { decodeMessage, encodeMessage, kindOf, type WireMessage } from '../../src/raft/wire.ts'

const id = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f')
const index = fc.nat({ max: 2 ** 40 })

t.test('a quorum is a majority of each set', async (t) => {
  const match: Record<string, number> = { a: 9, b: 5, c: 7, d: 1 }
  const matchOf = (id: string) => match[id] ?? 0
  const plain = { voters: ['a', 'b', 'c'], outgoing: [] }
  t.equal(committedIndex(plain, matchOf), 7)
  t.equal(committedIndex({ voters: ['a', 'b', 'c', 'd'], outgoing: [] }, matchOf), 5)
  t.equal(committedIndex({ voters: ['a', 'b', 'c'], outgoing: ['a', 'd'] }, matchOf), 1)
  t.equal(voteResult(plain, new Map([['a', true]])), 'pending')
  t.equal(
    voteResult(
      plain,
      new Map([
        ['a', true],
        ['c', true],
      ]),
    ),
    'won',
  )
  t.equal(
    voteResult(
      plain,
      new Map([
        ['a', false],
        ['c', false],
      ]),
    ),
    'lost',
  )
  const joint = { voters: ['a', 'b', 'c'], outgoing: ['d', 'e', 'f'] }
  t.equal(
    voteResult(
      joint,
      new Map([
        ['a', true],
        ['b', true],
      ]),
    ),
    'pending',
  )
  t.ok(hasQuorum(plain, (id) => id !== 'a'))
  t.notOk(hasQuorum(joint, (id) => id < 'd'))
})

/** Any two quorums of neighbouring configurations must share a member, or two leaders could be elected. */
function quorumsIntersect(before: Membership, after: Membership): boolean {
  const all = ['a', 'b', 'c', 'd', 'e', 'f']
  const subsets = Array.from({ length: 2 ** all.length }, (_, bits) =>
    all.filter((_, at) => (bits >> at) & 1),
  )
  const quorumsOf = (of: Membership) =>
    subsets.filter((subset) => hasQuorum(of, (id) => subset.includes(id)))
  const others = quorumsOf(after)
  return quorumsOf(before).every((one) =>
    others.every((other) => one.some((id) => other.includes(id))),
  )
}

t.test('every step between configurations keeps quorums that intersect', async () => {
  const change: fc.Arbitrary<MemberChange> = fc.record({
    kind: fc.constantFrom('add-voter', 'add-learner', 'remove'),
    id,
  })
  const changes = fc.uniqueArray(change, { selector: ({ id }) => id, minLength: 1, maxLength: 4 })
  const start: Membership = { ...EMPTY_MEMBERSHIP, voters: ['a', 'b', 'c'] }
  fc.assert(
    fc.property(fc.array(changes, { maxLength: 4 }), (commands) => {
      let membership = start
      for (const one of commands) {
        for (const command of [
          { kind: 'change', changes: one },
          { kind: 'leave-joint' },
        ] as const) {
          const next = applyMembership(membership, command)
          if (!quorumsIntersect(membership, next)) return false
          if (next.removed.some((id) => next.voters.includes(id) || next.learners.includes(id)))
            return false
          membership = next
        }
        if (membership.outgoing.length > 0 || membership.learnersNext.length > 0) return false
      }
      return true
    }),
    { numRuns: 60 },
  )
})

t.test('what a membership refuses', async (t) => {
  const three: Membership = { ...EMPTY_MEMBERSHIP, voters: ['a', 'b', 'c'], removed: ['z'] }
  const refused = (...changes: MemberChange[]) => refusalOf(three, { kind: 'change', changes })
  t.match(refused(), 'nothing')
  t.match(refused({ kind: 'add-voter', id: 'z' }), 'removed before')
  const back = { kind: 'change', changes: [{ kind: 'add-learner', id: 'z' }] } as const
  t.match(applyMembership(three, back), { learners: ['z'], removed: [] }, 'as a learner it may')
  t.match(refused({ kind: 'remove', id: 'a' }, { kind: 'add-voter', id: 'a' }), 'twice')
  t.match(refused(...three.voters.map((id) => ({ kind: 'remove', id }) as const)), 'no voter')
  t.equal(refused({ kind: 'add-voter', id: 'd' }), undefined)
  t.match(refusalOf(three, { kind: 'leave-joint' }), 'no joint change')
  const changes = [
    { kind: 'add-voter', id: 'd' },
    { kind: 'add-learner', id: 'a' },
  ] as const
  const joint = applyMembership(three, { kind: 'change', changes })
  t.match(joint, {
    voters: ['b', 'c', 'd'],
    outgoing: ['a', 'b', 'c'],
    learners: [],
    learnersNext: ['a'],
  })
  t.match(refusalOf(joint, { kind: 'change', changes }), 'under way')
  const left = applyMembership(joint, { kind: 'leave-joint' })
  t.match(left, { voters: ['b', 'c', 'd'], outgoing: [], learners: ['a'], removed: ['z'] })
})

const envelope = { from: id, to: id, term: index }
const entries = fc.array(fc.tuple(index, index, fc.uint8Array({ maxLength: 40 })), { maxLength: 5 })
const message = fc.oneof(
  fc.record({
    ...envelope,
    kind: fc.constant('vote'),
    lastIndex: index,
    lastTerm: index,
    force: fc.boolean(),
  }),
  fc.record({ ...envelope, kind: fc.constant('pre-vote'), lastIndex: index, lastTerm: index }),
  fc.record({
    ...envelope,
    kind: fc.constant('vote-response'),
    granted: fc.boolean(),
  }),
  fc.record({
    ...{ ...envelope, kind: fc.constant('pre-vote-response'), granted: fc.boolean() },
    ...{ commit: index, commitTerm: index },
  }),
  fc.record({
    ...{
      ...envelope,
      kind: fc.constant('append'),
      prevIndex: index,
      prevTerm: index,
      commit: index,
    },
    entries: entries.map((all) =>
      all.map(([index, term, data]) => createEntry({ index, term }, 'command', data)),
    ),
  }),
  fc.record({
    ...{ ...envelope, kind: fc.constant('append-response'), index, rejected: fc.boolean() },
    ...{ hintIndex: index, hintTerm: index },
  }),
  fc.record({ ...envelope, kind: fc.constant('heartbeat'), commit: index, readRound: index }),
  fc.record({ ...envelope, kind: fc.constant('heartbeat-response'), readRound: index }),
  fc.record({ ...envelope, kind: fc.constant('timeout-now') }),
  fc.record({ ...envelope, kind: fc.constant('removed'), index }),
  fc.record({ ...envelope, kind: fc.constant('read-index'), token: index }),
  fc.record({ ...envelope, kind: fc.constant('read-index-response'), token: index, index }),
  fc.record({
    ...{ ...envelope, kind: fc.constant('snapshot-chunk'), stream: index, sequence: index },
    ...{ last: fc.boolean(), checksum: fc.nat(), payload: fc.uint8Array({ maxLength: 40 }) },
  }),
  fc.record({
    ...{ ...envelope, kind: fc.constant('snapshot-ack'), stream: index, next: index },
    refused: fc.boolean(),
  }),
) as fc.Arbitrary<WireMessage>

t.test('any text comes back as it was, in UTF-8', async (t) => {
  const texts = ['', 'config/abc', 'é', 'ascii, and then …', '\0', 'x'.repeat(1000), '😀']
  for (const sizeHintBytes of [1, 4096]) {
    const writer = new ByteWriter(sizeHintBytes)
    for (const text of texts) writer.text(text)
    const bytes = writer.finish()
    const reader = new ByteReader(bytes)
    t.same(
      texts.map(() => reader.text()),
      texts,
    )
    t.equal(
      bytes.length,
      texts.reduce((sum, text) => sum + 4 + Buffer.byteLength(text), 0),
    )
  }
})

t.test('every message comes back as it was', async (t) => {
  fc.assert(
    fc.property(message, (sent) => {
      const bytes = encodeMessage(sent)
      t.same(decodeMessage(bytes), sent)
      t.equal(kindOf(bytes), sent.kind)
    }),
    { numRuns: 200 },
  )
})

t.test('what is no message is refused, never misread', async (t) => {
  const good = encodeMessage({
    kind: 'heartbeat',
    from: 'a',
    to: 'b',
    term: 1,
    commit: 2,
    readRound: 3,
  })
  for (let length = 0; length < good.length; length += 1) {
    t.throws(() => decodeMessage(good.subarray(0, length)), DecodeError)
  }
  const newer = good.slice()
  newer[0] = 2
  t.throws(() => decodeMessage(newer), /version 2/)
  for (const none of [newer, good.subarray(0, 1), new Uint8Array(0), new Uint8Array([1, 200])]) {
    t.equal(kindOf(none), undefined)
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (noise) => {
      try {
        decodeMessage(noise)
      } catch (error) {
        return error instanceof DecodeError
      }
      return true
    }),
  )
})

t.test('a membership and its changes come back as they were', async (t) => {
  const context = new Uint8Array([1, 2, 3])
  const membership: Membership = {
    ...{
      voters: ['a', 'b'],
      outgoing: ['a', 'c'],
      learners: ['d'],
      learnersNext: ['c'],
      removed: ['z'],
    },
    contexts: new Map([['a', context]]),
  }
  t.same(decodeMembership(encodeMembership(membership)), membership)
  const changes: MemberChange[] = [
    { kind: 'add-voter', id: 'a' },
    { kind: 'add-learner', id: 'b', context },
    { kind: 'remove', id: 'c' },
  ]
  for (const command of [{ kind: 'change', changes }, { kind: 'leave-joint' }] as const) {
    t.same(decodeMembershipCommand(encodeMembershipCommand(command)), command)
  }
})
