import t from 'tap'
import { Assembler } from '../../src/rpc/assembler.ts'
import { NOTIFY_CHANNEL, Outbox } from '../../src/rpc/outbox.ts'
import {
  CHUNK_BYTES_MAX,
  decodeBatch,
  decodeFrame,
  encodeBatch,
  encodeFrame,
} from '../../src/rpc/wire.ts'

const drain = (outbox: Outbox): string[] => {
  const frames: string[] = []
  for (let bytes = outbox.next(); bytes; bytes = outbox.next()) {
    const { kind, id, more, payload } = decodeFrame(bytes)
    frames.push(`${kind} ${id} ${payload.length}${more ? ' more' : ''}`)
  }
  return frames
}

t.test('large messages take turns, control goes first', async (t) => {
  const outbox = new Outbox()
  const large = Buffer.alloc(2 * CHUNK_BYTES_MAX + 10)
  outbox.push(1, 'request', 1, large)
  outbox.push(NOTIFY_CHANNEL, 'notify', 0, Buffer.alloc(5))
  outbox.push(NOTIFY_CHANNEL, 'notify', 0, Buffer.alloc(6))
  outbox.push(3, 'request', 3, Buffer.alloc(0))
  outbox.pushControl('cancel', 9)
  t.equal(outbox.queuedBytes, large.length + 11)
  t.ok(outbox.isWaiting)
  t.same(drain(outbox), [
    'cancel 9 0',
    `request 1 ${CHUNK_BYTES_MAX} more`,
    'notify 0 5',
    'request 3 0',
    `request 1 ${CHUNK_BYTES_MAX} more`,
    'notify 0 6',
    'request 1 10',
  ])
  t.equal(outbox.queuedBytes, 0)
  t.notOk(outbox.isWaiting)
})

t.test('a batch is its frames, and anything else is refused', async (t) => {
  const frames = [3, 5, 7].map((id) =>
    encodeFrame({ kind: 'response', more: id === 5, id }, Buffer.alloc(id, id)),
  )
  const batch = decodeFrame(encodeBatch(frames))
  t.equal(batch.kind, 'batch')
  t.same(decodeBatch(batch.payload), frames.map(decodeFrame))
  t.same(decodeBatch(Buffer.alloc(0)), [])
  const refused = { code: 'INVALID_ARGUMENT' }
  for (let length = 1; length < 15; length += 1) {
    t.throws(() => decodeBatch(batch.payload.subarray(0, length)), refused, `cut at ${length}`)
  }
  t.throws(() => decodeBatch(Buffer.from([255, 255, 255, 255, 1])), refused)
  const nested = decodeFrame(encodeBatch([encodeBatch(frames)]))
  t.throws(() => decodeBatch(nested.payload), refused, 'no batch in a batch')
})

t.test('any number of busy streams delays a notify by one chunk', async (t) => {
  const outbox = new Outbox()
  for (let id = 1; id < 200; id += 2) {
    outbox.openWindow(id, 1_000_000, () => {})
    outbox.push(id, 'data', id, Buffer.alloc(100_000))
  }
  outbox.next()
  outbox.push(NOTIFY_CHANNEL, 'notify', 0, Buffer.alloc(5))
  t.match(drain(outbox).slice(0, 2).join(), /notify 0 5/)
})

t.test('a stream stops at its window and goes on with credit', async (t) => {
  const outbox = new Outbox()
  const drained: [number, boolean][] = []
  outbox.openWindow(1, 100, (bytes, isEmpty) => drained.push([bytes, isEmpty]))
  outbox.push(1, 'data', 1, Buffer.alloc(150))
  outbox.push(1, 'end', 1, Buffer.alloc(0))
  t.same(drain(outbox), ['data 1 100 more'])
  t.notOk(outbox.isWaiting, 'without credit')
  outbox.addCredit(1, 20)
  t.ok(outbox.isWaiting)
  t.same(drain(outbox), ['data 1 20 more'])
  outbox.addCredit(1, 1000)
  t.same(drain(outbox), ['data 1 30', 'end 1 0'])
  t.same(drained, [
    [50, false],
    [30, false],
    [0, false],
    [0, true],
  ])
  outbox.push(1, 'data', 1, Buffer.alloc(10))
  outbox.drop(1)
  t.same(drain(outbox), [])
  t.equal(outbox.queuedBytes, 0)
})

t.test('chunks become messages again, within limits', async (t) => {
  const frame = (id: number, text: string, more: boolean) =>
    decodeFrame(encodeFrame({ kind: 'data', id, more }, Buffer.from(text)))
  const assembler = new Assembler({ messageBytesMax: 10, totalBytesMax: 3 * 256 })
  t.equal(assembler.add(frame(1, 'abc', true)), undefined)
  t.equal(String(assembler.add(frame(3, 'whole', false))), 'whole')
  t.equal(assembler.add(frame(3, 'xy', true)), undefined)
  t.equal(String(assembler.add(frame(1, 'def', false))), 'abcdef')
  t.equal(String(assembler.add(frame(3, 'z', false))), 'xyz')
  t.throws(() => assembler.add(frame(5, 'eleven char', false)), { code: 'INVALID_ARGUMENT' })
  for (let round = 0; round < 3; round++) {
    t.equal(assembler.add(frame(7, '12345678', true)), undefined)
    assembler.drop('data', 7)
  }
  t.equal(assembler.add(frame(7, '12345678', true)), undefined)
  t.throws(() => assembler.add(frame(7, '123', true)), { code: 'INVALID_ARGUMENT' })
})

t.test('what holds the chunks of unfinished messages is bounded as their bytes are', async (t) => {
  const empty = (id: number) => decodeFrame(encodeFrame({ kind: 'notify', id, more: true }, EMPTY))
  const limits = { messageBytesMax: 64 * 1024, totalBytesMax: 64 * 1024 }
  const refused = { code: 'INVALID_ARGUMENT' }
  const feed = (idOf: (round: number) => number) => {
    const assembler = new Assembler(limits)
    for (let round = 0; round < 1000; round++) assembler.add(empty(idOf(round)))
  }
  t.throws(() => feed((round) => round), refused, 'many messages without a byte')
  t.throws(() => feed(() => 1), refused, 'one of many chunks without a byte')
  const bytes = Buffer.alloc(32 * 1024)
  const chunk = (more: boolean) => decodeFrame(encodeFrame({ kind: 'request', id: 1, more }, bytes))
  const assembler = new Assembler(limits)
  t.equal(assembler.add(chunk(true)), undefined)
  t.equal(assembler.add(chunk(false))?.length, 64 * 1024, 'the largest message still passes')
})

const EMPTY = Buffer.alloc(0)
