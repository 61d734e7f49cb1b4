import t from 'tap'
import { openBackup, sealBackup } from '../../src/backup/sealed-file.ts'

/** Fast; the real cost is a constant. */
const COST_LOG2 = 4

async function* chunksOf(texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}

const seal = async (texts: readonly string[], passphrase = 'right'): Promise<Buffer> => {
  const parts: Buffer[] = []
  for await (const part of sealBackup(chunksOf(texts), passphrase, COST_LOG2)) parts.push(part)
  return Buffer.concat(parts)
}

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

const open = async (bytes: Buffer, passphrase = 'right', size = 7): Promise<string[]> => {
  const texts: string[] = []
  for await (const chunk of openBackup(inPieces(bytes, size), passphrase)) {
    texts.push(Buffer.from(chunk).toString())
  }
  return texts
}

t.test('what was sealed comes back, however the file arrives', async (t) => {
  const texts = ['one', 'two'.repeat(1000), '', 'last']
  const file = await seal(texts)
  for (const size of [1, 7, 64 * 1024]) t.strictSame(await open(file, 'right', size), texts)
  t.notOk(file.includes('two'), 'nothing of it can be read')
  t.notSame(await seal(texts), file, 'no two files are the same')
  t.strictSame(await open(await seal([])), [''])
  t.strictSame(
    await open(await seal(['x'], 'Zu\u0308rich'), 'Z\u00fcrich'),
    ['x'],
    'typed otherwise',
  )
})

t.test('a wrong passphrase, another file and a newer one are told apart', async (t) => {
  const file = await seal(['x'])
  await t.rejects(open(file, 'wrong'), { code: 'UNAUTHENTICATED', message: /passphrase/ })
  await t.rejects(open(Buffer.from('PK\u0003\u0004 something else')), /not a backup/)
  await t.rejects(open(Buffer.alloc(0)), /not a backup/)
  const newer = Buffer.from(file)
  newer.writeUInt32BE(2, 8)
  await t.rejects(open(newer), { code: 'UNIMPLEMENTED', message: /newer swarmctl \(format 2/ })
  const costly = Buffer.from(file)
  costly[12] = 40
  await t.rejects(open(costly), /damaged/)
})

t.test('a file that is cut off anywhere is no backup', async (t) => {
  const file = await seal(['first', 'second', 'third'])
  for (let length = 1; length < file.length; length += 1) {
    await t.rejects(open(file.subarray(0, length)), /cut off|not a backup/, `${length} bytes`)
  }
})

t.test('each flipped byte is found', async (t) => {
  const file = await seal(['first', 'second'])
  for (let at = 0; at < file.length; at += 1) {
    const bad = Buffer.from(file)
    bad[at] = (bad[at] as number) ^ 1
    await t.rejects(open(bad), { name: 'SwarmctlError' }, `byte ${at}`)
  }
  await t.rejects(open(Buffer.concat([file, file.subarray(-26)])), /damaged|cut off/, 'appended')
})
