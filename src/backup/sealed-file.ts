// A backup's outer form. Big-endian:
//   magic 8 | version 4 | log2 N 1 | r 1 | p 1 | salt 32 | check 16 | nonce prefix 7 | chunks
//   chunk: length 4 | sealed bytes | tag 16
// Key and check come from the passphrase by scrypt. A chunk's nonce is prefix | number 4 | whether it is the last 1 (the STREAM
// construction), and the header is authenticated with each: chunks can't be dropped, moved, repeated, or cut off at the end.

import {
  createCipheriv,
  createDecipheriv,
  randomBytes,
  type ScryptOptions,
  scrypt,
  timingSafeEqual,
} from 'node:crypto'
import { invalid, SwarmctlError } from '../api/errors.ts'

const MAGIC = 'SWARMBAK'
/** Version of everything in a backup, inside and out. */
const VERSION = 1
const SALT_BYTES = 32
const CHECK_BYTES = 16
const PREFIX_BYTES = 7
const TAG_BYTES = 16
const KEY_BYTES = 32
const VERSION_OFFSET = 8
const COST_OFFSET = 12
const SALT_OFFSET = 15
const CHECK_OFFSET = SALT_OFFSET + SALT_BYTES
const PREFIX_OFFSET = CHECK_OFFSET + CHECK_BYTES
const HEADER_BYTES = PREFIX_OFFSET + PREFIX_BYTES
const CIPHER = 'aes-256-gcm'

/** 128 MiB and about half a second for each guess (OWASP's recommendation for scrypt). */
const SCRYPT_COST_LOG2 = 17
/** A file that asks for more (1 GiB) is not ours. */
const SCRYPT_COST_LOG2_MAX = 20
const SCRYPT_BLOCK_SIZE = 8
const SCRYPT_PARALLELIZATION = 1
/** One chunk, sealed. A single object of the state is at most 1.5 MiB. */
export const CHUNK_BYTES_MAX = 4 * 1024 * 1024

const deriveKey = (
  passphrase: string,
  salt: Uint8Array,
  costLog2: number,
): Promise<{ key: Buffer; check: Buffer }> => {
  const options: ScryptOptions = {
    N: 2 ** costLog2,
    r: SCRYPT_BLOCK_SIZE,
    p: SCRYPT_PARALLELIZATION,
    maxmem: 2 * 128 * 2 ** costLog2 * SCRYPT_BLOCK_SIZE,
  }
  return new Promise((resolve, reject) => {
    scrypt(passphrase.normalize('NFC'), salt, KEY_BYTES + CHECK_BYTES, options, (error, bytes) => {
      if (error) reject(error)
      else resolve({ key: bytes.subarray(0, KEY_BYTES), check: bytes.subarray(KEY_BYTES) })
    })
  })
}

const nonceOf = (header: Buffer, number: number, isLast: boolean): Buffer => {
  const nonce = Buffer.alloc(PREFIX_BYTES + 5)
  header.copy(nonce, 0, PREFIX_OFFSET, HEADER_BYTES)
  nonce.writeUInt32BE(number, PREFIX_BYTES)
  nonce[PREFIX_BYTES + 4] = isLast ? 1 : 0
  return nonce
}

const sealChunk = (
  key: Buffer,
  header: Buffer,
  chunk: Uint8Array,
  place: { number: number; isLast: boolean },
): Buffer => {
  const cipher = createCipheriv(CIPHER, key, nonceOf(header, place.number, place.isLast))
  cipher.setAAD(header)
  const sealed = Buffer.concat([cipher.update(chunk), cipher.final(), cipher.getAuthTag()])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(sealed.length)
  return Buffer.concat([length, sealed])
}

/** Seals chunks with a passphrase; yields the file's bytes. `costLog2` is lower in tests only. */
export async function* sealBackup(
  chunks: AsyncIterable<Uint8Array>,
  passphrase: string,
  costLog2: number = SCRYPT_COST_LOG2,
): AsyncGenerator<Buffer> {
  const header = Buffer.alloc(HEADER_BYTES)
  header.write(MAGIC, 0, 'latin1')
  header.writeUInt32BE(VERSION, VERSION_OFFSET)
  header.set([costLog2, SCRYPT_BLOCK_SIZE, SCRYPT_PARALLELIZATION], COST_OFFSET)
  header.set(randomBytes(SALT_BYTES), SALT_OFFSET)
  header.set(randomBytes(PREFIX_BYTES), PREFIX_OFFSET)
  const salt = header.subarray(SALT_OFFSET, CHECK_OFFSET)
  const { key, check } = await deriveKey(passphrase, salt, costLog2)
  header.set(check, CHECK_OFFSET)
  yield header
  let number = 0
  let waiting: Uint8Array | undefined
  for await (const chunk of chunks) {
    if (waiting) yield sealChunk(key, header, waiting, { number: number++, isLast: false })
    waiting = chunk
  }
  yield sealChunk(key, header, waiting ?? new Uint8Array(0), { number, isLast: true })
}

const cutOff = (): SwarmctlError =>
  invalid('the backup is cut off: a part of the file is missing. Copy it again, or use another one')

const damaged = (number: number): SwarmctlError =>
  invalid(`the backup is damaged (in part ${number + 1}): use another one`)

/** Reads exact counts of bytes from pieces of any size. */
class ByteSource {
  readonly #pieces: AsyncIterator<Uint8Array>
  #held: Buffer = Buffer.alloc(0)

  constructor(bytes: AsyncIterable<Uint8Array>) {
    this.#pieces = bytes[Symbol.asyncIterator]()
  }

  /** Exactly `count` bytes; undefined at the end of the file; throws when it ends within them. */
  async take(count: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = [this.#held]
    let length = this.#held.length
    while (length < count) {
      const { done, value } = await this.#pieces.next()
      if (done) break
      parts.push(Buffer.from(value))
      length += value.length
    }
    const all = Buffer.concat(parts)
    if (all.length === 0) return undefined
    if (all.length < count) throw cutOff()
    this.#held = all.subarray(count)
    return all.subarray(0, count)
  }
}

const readHeader = async (source: ByteSource): Promise<Buffer> => {
  const notOurs = invalid('this file is not a backup of a swarm')
  const start = await source.take(COST_OFFSET)
  if (start?.toString('latin1', 0, MAGIC.length) !== MAGIC) throw notOurs
  const version = start.readUInt32BE(VERSION_OFFSET)
  if (version > VERSION) {
    throw new SwarmctlError(
      'UNIMPLEMENTED',
      `the backup was written by a newer swarmctl (format ${version}, this one reads up to ${VERSION}): restore it with that version`,
    )
  }
  const rest = await source.take(HEADER_BYTES - COST_OFFSET)
  if (rest === undefined) throw cutOff()
  const header = Buffer.concat([start, rest])
  const [costLog2 = 0, r, p] = header.subarray(COST_OFFSET)
  const isOurs = r === SCRYPT_BLOCK_SIZE && p === SCRYPT_PARALLELIZATION
  if (costLog2 < 1 || costLog2 > SCRYPT_COST_LOG2_MAX || !isOurs) throw damaged(0)
  return header
}

/**
 * Opens a file that `sealBackup` made; yields its chunks, each proven to be whole and in its place. Only when it ends without an error
 * the backup was complete. Throws UNAUTHENTICATED (passphrase), INVALID_ARGUMENT (no backup, damaged, cut off), UNIMPLEMENTED (newer).
 */
export async function* openBackup(
  bytes: AsyncIterable<Uint8Array>,
  passphrase: string,
): AsyncGenerator<Uint8Array> {
  const source = new ByteSource(bytes)
  const header = await readHeader(source)
  const salt = header.subarray(SALT_OFFSET, CHECK_OFFSET)
  const { key, check } = await deriveKey(passphrase, salt, header[COST_OFFSET] as number)
  if (!timingSafeEqual(check, header.subarray(CHECK_OFFSET, PREFIX_OFFSET))) {
    throw new SwarmctlError('UNAUTHENTICATED', 'the passphrase is not the one of this backup')
  }
  let length = await source.take(4)
  if (length === undefined) throw cutOff()
  for (let number = 0; length !== undefined; number += 1) {
    const count: number = length.readUInt32BE()
    if (count < TAG_BYTES || count > CHUNK_BYTES_MAX + TAG_BYTES) throw damaged(number)
    const sealed = await source.take(count)
    if (sealed === undefined) throw cutOff()
    length = await source.take(4)
    yield openChunk(key, header, sealed, { number, isLast: length === undefined })
  }
}

const openChunk = (
  key: Buffer,
  header: Buffer,
  sealed: Buffer,
  place: { number: number; isLast: boolean },
): Uint8Array => {
  const open = (isLast: boolean): Buffer | undefined => {
    const decipher = createDecipheriv(CIPHER, key, nonceOf(header, place.number, isLast))
    decipher.setAAD(header)
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
    const chunk = decipher.update(sealed.subarray(0, -TAG_BYTES))
    try {
      decipher.final()
      return chunk
    } catch {
      return undefined
    }
  }
  const chunk = open(place.isLast)
  if (chunk) return chunk
  // Whole but not the last one: what followed it is gone.
  throw place.isLast && open(false) ? cutOff() : damaged(place.number)
}
